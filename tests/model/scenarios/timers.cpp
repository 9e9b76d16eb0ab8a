// Timers against those who stop, reset, receive and drop them. Time is virtual: what is said about it is exact.
#include <runnel/timer.hpp>

#include "kit.hpp"

namespace model {
namespace {

void after_is_received() {
  const rn::time_point start = rn::detail::now();
  const auto due = rn::after(milliseconds(10));
  const auto r = due.recv();
  require(r && *r == start + milliseconds(10), "it carries the time at which it was due");
  require(due.recv().status() == rn::status::closed, "it is closed then");
}
void after_is_dropped() {
  auto due = rn::after(milliseconds(10));
  parallel(as("drop", [&] { due = nullptr; }), as("sleep", [] { rn::sleep_for(milliseconds(10)); }));
}
void after_in_select() {
  const rn::channel<int> ch;
  parallel(as("select",
              [&] {
                const auto due = rn::after(milliseconds(10));
                int which = 0;
                rn::select(rn::on_recv(ch, [&](int) { which = 1; }), rn::on_recv(due, [&](rn::time_point) { which = 2; }));
                if (which == 2) static_cast<void>(ch.recv());
                require(which != 0, "one case happened");
              }),
           as("sender", [&] { ch.send(1); }));
}

void stop_against_due() {
  rn::timer t(milliseconds(10));
  const auto ch = t.channel();
  bool stopped = false;
  bool received = false;
  parallel(as("stop", [&] { stopped = t.stop(); }),
           as("receive", [&] { received = ch.try_recv_for(milliseconds(20)).status() == rn::status::ok; }));
  require(stopped != received, "stop() says whether the value was received");
}
void reset_against_receive() {
  const rn::time_point start = rn::detail::now();
  rn::timer t(milliseconds(10));
  const auto ch = t.channel();
  bool stopped = false;
  rn::time_point first{};
  parallel(as("reset", [&] { stopped = t.reset(milliseconds(40)); }), as("receive", [&] {
             const auto r = ch.recv();
             first = *r;
           }));
  if (stopped)
    require(first >= start + milliseconds(40), "a value of the earlier setting is received after reset()");
  else
    require(first == start + milliseconds(10) && t.stop(), "it was received before, and the timer runs again");
}
void function_against_destruction() {
  shared_count runs;
  bool stopped = false;
  {
    rn::timer t(milliseconds(10), [&] { ++runs; });
    parallel(as("stop", [&] { stopped = t.stop(); }), as("sleep", [] { rn::sleep_for(milliseconds(10)); }));
  }
  const int n = runs;
  require(n <= 1 && !(stopped && n != 0), "a stopped function does not run");
}
void ticker_is_stopped() {
  const rn::time_point start = rn::detail::now();
  rn::ticker t(milliseconds(10));
  const auto ch = t.channel();
  parallel(as("stop", [&] { t.stop(); }), as("receive", [&] {
             if (const auto r = ch.try_recv_for(milliseconds(15))) require(*r == start + milliseconds(10), "ticks carry due times");
           }));
  require(ch.try_recv_for(milliseconds(50)).status() == rn::status::timed_out, "no tick after stop()");
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"timer/after, received", waiting, &after_is_received});
  add_scenario({"timer/after, dropped", waiting, &after_is_dropped});
  add_scenario({"timer/after in select", {9, 10, 11}, &after_in_select});
  add_scenario({"timer/stop, due, receive", waiting, &stop_against_due});
  add_scenario({"timer/reset, due, receive", waiting, &reset_against_receive});
  add_scenario({"timer/function, stop, destruction", waiting, &function_against_destruction});
  add_scenario({"timer/ticker, stop", waiting, &ticker_is_stopped});
});

}  // namespace
}  // namespace model
