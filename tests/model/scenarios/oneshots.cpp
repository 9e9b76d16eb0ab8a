// Oneshots: who sets, who waits, and who goes away without a value.
#include <runnel/oneshot.hpp>

#include "kit.hpp"

namespace model {
namespace {

void two_set_one_gets() {
  const rn::oneshot<counted> o;
  int set = 0;
  const auto put = [&](int value) {
    counted v(value);
    try {
      o.set(std::move(v));
      ++set;
    } catch (const std::logic_error&) {
      require(v.has_value(), "a set that failed has moved its value");
    }
  };
  parallel(as("set", [&] { put(1); }), as("set", [&] { put(2); }),
           as("get", [&] { require(o.get().value().value() > 0, "it was set"); }));
  require(set == 1, "one sets");
  require(o.get().status() == rn::status::closed, "it was taken");
}
void two_get() {
  const rn::oneshot<counted> o;
  int got = 0;
  const auto get = [&] {
    if (auto value = o.get()) ++got;
  };
  parallel(as("get", get), as("get", get), as("set", [&] { o.set(counted(1)); }));
  require(got == 1, "one gets the value, the other learns that there is none");
}
void set_against_cancel() {
  const rn::oneshot<counted> o;
  auto ctx = rn::with_cancel(rn::context());
  rn::status end = rn::status::would_block;
  parallel(as("get", [&] { end = o.get(ctx).status(); }), as("set", [&] { o.set(counted(1)); }),
           as("cancel", [&] { ctx.cancel(); }));
  require(o.try_get().status() == (end == rn::status::ok ? rn::status::closed : rn::status::ok), "the value is taken once");
}
void dropped_or_set() {
  rn::oneshot<counted> first;
  rn::oneshot<counted> second = first;
  const auto answer = first.channel();
  bool set = false;
  bool got = false;
  parallel(as("drop", [&] { rn::oneshot<counted>(std::move(first)).close(); }),
           as("set",
              [&] {
                const auto mine = std::move(second);
                try {
                  mine.set(counted(1));
                  set = true;
                } catch (const rn::channel_closed&) {
                }
              }),
           as("receive", [&] { got = static_cast<bool>(answer.recv()); }));
  require(got == set, "a value, or none will come");
}
void dropped() {
  rn::oneshot<counted> first;
  rn::oneshot<counted> second = first;
  const auto answer = first.channel();
  const auto drop = [](rn::oneshot<counted>& handle) { const auto mine = std::move(handle); };
  parallel(as("drop", [&] { drop(first); }), as("drop", [&] { drop(second); }),
           as("receive", [&] { require(answer.recv().status() == rn::status::closed, "none will come"); }));
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"oneshot/two set, one gets", waiting, counting(two_set_one_gets)});
  add_scenario({"oneshot/two get", waiting, counting(two_get)});
  add_scenario({"oneshot/set, cancel", waiting, counting(set_against_cancel)});
  add_scenario({"oneshot/given up or set", waiting, counting(dropped_or_set)});
  add_scenario({"oneshot/dropped", waiting, counting(dropped)});
});

}  // namespace
}  // namespace model
