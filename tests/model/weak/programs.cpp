// For the weak-memory lane: the stores and the protocol around them, with few parties: each load has several answers there.
#include <array>

#include "../spec/runner.hpp"

namespace model {
namespace {

constexpr std::array channels{"0", "1", "1+1", "2+1", "u"};
constexpr std::array programs{"send a | recv a",
                              "send a | try_recv a",
                              "try_send a | recv a",
                              "try_send a | try_recv a",
                              "send a | send a",
                              "recv a | recv a",
                              "send a | close a",
                              "recv a | close a",
                              "send_for a | recv a",
                              "send a | recv_for a",
                              "send a, send a | recv a, recv a",
                              "send a | recv a | close a",
                              "send a | send a | recv a",
                              "send a | recv a | recv a",
                              "send a, drop_send a | recv a, drop_recv a",
                              "send a, drop_send a | send a, drop_send a | drop_recv a",
                              "select recv a send a | recv a",
                              "select recv a send a | send a",
                              "size a | send a | recv a"};

const enroll all([] {
  for (const char* channel : channels)
    for (const char* text : programs) add_scenario(scenario_of(program::parse(std::string(channel) + ": " + text)));
});

}  // namespace
}  // namespace model
