// The timer thread is started by the first that needs it, and nothing before. A program of its own: no other test starts it first.
#include <runnel/context.hpp>
#include <runnel/guarded.hpp>
#include <runnel/select.hpp>
#include <runnel/timer.hpp>
#include <runnel/wait_group.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include "catch.hpp"
#include "support.hpp"

namespace timer_start_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

bool started() { return rn::detail::timer_queue::instance().started(); }

/// Whether f(), in a process of its own in which the timer thread does not run yet, answers true and has started it.
template <class F>
bool starts_it(F f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(!started() && f() && started() ? 0 : 1);
  int how = -1;
  return child > 0 && ::waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

}  // namespace

TEST_CASE("the timer thread is started by the first deadline that somebody must watch") {
  const auto ticks = [](const rn::recv_channel<rn::time_point>& ch) { return ch.try_recv_for(1min).status() == rn::status::ok; };
  CHECK(starts_it([&] { return ticks(rn::after(0ns)) && rn::after(1h) != nullptr; }));
  CHECK(starts_it([] { return rn::timer(1h).channel() != nullptr; }));
  CHECK(starts_it([&] {
    rn::timer at_once(0ns);
    return ticks(at_once.channel()) && !at_once.reset(1h);
  }));
  CHECK(starts_it([] {
    rn::timer function(1h, [] {});
    return function.stop();
  }));
  CHECK(starts_it([&] {
    const rn::ticker due_as_it_is_made(1ns);
    return ticks(due_as_it_is_made.channel()) && ticks(due_as_it_is_made.channel());
  }));
  CHECK(starts_it([] { return !rn::with_timeout(rn::context(), 1h).done(); }));

  // Whoever waits up to a time watches the clock itself.
  const rn::channel<int> ch;
  CHECK(ch.try_recv_for(1ms).status() == rn::status::timed_out);
  CHECK(ch.try_send_until(rn::clock::now() + 1ms, 1).status() == rn::status::timed_out);
  CHECK(rn::select(rn::on_recv(ch), rn::on_timeout(1ms)) == 1);
  rn::selector s;
  s.add(rn::on_recv(ch));
  CHECK(s.try_wait_for(1ms).status() == rn::status::timed_out);
  rn::sleep_for(1ms);
  rn::wait_group group;
  group.add();
  CHECK(group.try_wait_for(1ms).status() == rn::status::timed_out);
  group.done();
  rn::guarded<int> value(0);
  CHECK_FALSE(value.try_wait_for(1ms, [](int v) { return v == 1; }));
  CHECK_FALSE(started());

  // A deadline that nobody has looked at, and one that the looker watches.
  const rn::scoped_context ctx = rn::with_timeout(rn::context(), 1h);
  const rn::scoped_context child = rn::with_cancel(ctx);
  CHECK(ctx.deadline());
  CHECK(ch.recv(rn::with_timeout(ctx, 1ms)).status() == rn::status::timed_out);
  CHECK(rn::sleep_for(ctx, 1ms).status() == rn::status::ok);
  CHECK_FALSE(started());

  // Timers that are due at once, or never.
  CHECK(rn::after(0ns).recv());
  static_cast<void>(rn::after(rn::duration::max()));
  rn::timer endless(rn::duration::max());
  endless.stop();
  endless.reset(rn::duration::max());
  support::gate ran;
  const rn::timer at_once(0ns, [&] { ran.open(); });
  ran.wait();
  const rn::timer endless_function(rn::duration::max(), [] {});
  const rn::ticker endless_ticks(rn::duration::max());
  CHECK_THROWS_AS(rn::ticker(0ns), std::invalid_argument);
  CHECK_FALSE(started());

  CHECK_FALSE(ctx.done());
  CHECK(started());
}

}  // namespace timer_start_test
