// Selects on two channels: against sends, receives, closes and each other, with limits, all compared with the specification.
#include <array>

#include "../spec/runner.hpp"

namespace model {
namespace {

constexpr std::array channels{"0/0", "0/1", "1/1", "1+1/0", "u/0"};
constexpr std::array programs{
    // one select against plain operations
    "select recv a recv b | send a | send b", "select recv a recv b | send a | close b", "select recv a recv b | close a | close b",
    "select send a send b | recv a | recv b", "select send a send b | close a | recv b", "select send a recv b | recv a | send b",
    "select recv a send b | close a | close b", "select recv a recv a | send a | close a", "select send a recv a | send a | recv a",
    "select send a send a | recv a | recv a", "select recv a recv b | send a, recv a | send b",
    // selects that meet
    "select send a recv b | select recv a send b", "select send a recv b | select send b recv a",
    "select send a recv a | select recv a send a", "select recv a recv b | select send a send b",
    "select recv a recv b | select send a send b | select recv b recv a", "select send a recv b | select send b recv a | send a",
    "select recv a recv b | select recv b recv a | send a", "select send a send b | select recv b recv a | close a",
    "select send a recv b | select send b recv a | select send a recv b",
    // several in a row: what one left behind must not disturb the next
    "select recv a recv b, select recv a recv b | send a | send b", "select send a send b, recv a | recv a, recv b",
    "select recv a recv b, send a | send a, recv a",
    // with a limit
    "select_for recv a recv b | send a", "select_for recv a recv b | send a | close b",
    "select_for send a send b | recv a | recv b", "select_for recv a send b | select_for send a recv b",
    "select_for recv a recv b, recv a | send a", "select_ctx recv a recv b | send a | cancel",
    "select_ctx send a recv b | recv a | cancel", "select_ctx recv a recv b | select_ctx send a send b | cancel",
    "select_for recv a recv b | select send a send b",
    // without waiting
    "try_select recv a recv b | send a | send b", "try_select send a send b | recv a | recv b",
    "try_select recv a send b | select send a recv b", "try_select recv a recv b | close a | send b",
    // without waiting, while never none is ready
    "try_select recv a recv b | send b, send a, recv b", "try_select send a send b | send a, recv a, send b"};

const enroll all([] {
  for (const char* channel : channels)
    for (const char* text : programs) {
      const program p = program::parse(std::string(channel) + ": " + text);
      add_scenario(scenario_of(p));
      for (const program& q : with_coroutines(p, false)) add_scenario(scenario_of(q));
    }
});

}  // namespace
}  // namespace model
