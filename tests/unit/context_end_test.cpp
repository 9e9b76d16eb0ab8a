// How contexts end: several ends at once, who is told in which order, where the user's code runs, and what is left behind.
#include <runnel/context.hpp>

#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace context_end_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::crew;
using support::gate;
using support::read;
using support::wait_for;
using support::wait_until;

namespace {

using token = std::shared_ptr<int>;
inline constexpr rn::context_key<token> token_key;
inline constexpr rn::context_key<std::shared_ptr<void>> guard_key;

std::size_t armed_timers() { return rn::detail::timer_queue::instance().armed(); }
std::size_t children_of(const rn::context& ctx) { return rn::detail::context_access::scope(ctx)->linked().first; }
std::size_t waiters_of(const rn::context& ctx) { return rn::detail::context_access::scope(ctx)->linked().second; }
bool on_timer_thread() { return rn::detail::timer_queue::on_thread(); }

/// Lets two threads start their parts at the same time, one of them a little later.
class start_line {
 public:
  void cross(int pauses = 0) {
    support::add(arrived_);
    while (read(arrived_) < 2) {
    }
    for (int i = 0; i < pauses; ++i) rn::detail::spin_hint();
  }

 private:
  counter arrived_{0};
};

}  // namespace

TEST_CASE("X02 X03 a cancel that comes while one above it is ending the tree leaves the tree to that one") {
  const auto alive = std::make_shared<int>(0);
  const std::size_t armed = armed_timers();
  for (int round = 0; round < 300; ++round) {
    rn::scoped_context root = rn::with_cancel(rn::with_value(rn::context(), token_key, alive));
    std::vector<rn::scoped_context> others;
    for (int i = 0; i < 250; ++i) others.push_back(rn::with_timeout(root, 1h));
    rn::scoped_context middle = rn::with_cancel(root);  // the youngest child: it is the last to be ended
    others.push_back(rn::with_cancel(middle));
    for (const rn::scoped_context& ctx : others) static_cast<void>(ctx.done());
    start_line line;
    crew above;
    above.go([&] {
      line.cross();
      root.cancel();
    });
    line.cross(round % 64);
    middle.cancel();
    above.join();
    REQUIRE(armed_timers() == armed);
  }
  CHECK(alive.use_count() == 1);  // every context is gone
}

TEST_CASE("X04 a context that has ended is off its parents' lists, while it is still held") {
  rn::scoped_context a = rn::with_cancel(rn::context());
  rn::scoped_context b = rn::with_cancel(rn::context());
  rn::scoped_context child = rn::with_cancel(a);
  rn::scoped_context timed = rn::with_timeout(a, 1h);
  rn::scoped_context both = rn::merge(a, b);
  const rn::scoped_context below = rn::with_cancel(both);
  REQUIRE(children_of(a) == 3);
  REQUIRE(children_of(b) == 1);
  child.cancel();
  CHECK(children_of(a) == 2);
  timed.cancel();
  CHECK(children_of(a) == 1);
  both.cancel();
  CHECK(below.done());
  CHECK(children_of(a) == 0);
  CHECK(children_of(b) == 0);

  rn::scoped_context again = rn::merge(a, b);
  const rn::scoped_context under = rn::with_cancel(again);
  b.cancel();
  CHECK(under.done());
  CHECK(children_of(a) == 0);
  const rn::scoped_context born_done = rn::merge(a, b);
  CHECK(born_done.done());
  CHECK(children_of(a) == 0);
  CHECK_FALSE(a.done());
}

TEST_CASE("X25 a merged context that is made while its parents end is on no list when they have") {
  for (int round = 0; round < 300; ++round) {
    rn::scoped_context a = rn::with_cancel(rn::context());
    const rn::scoped_context b = rn::with_cancel(rn::context());
    start_line line;
    crew ending;
    ending.go([&] {
      line.cross(round % 16);
      a.cancel();
    });
    line.cross();
    const rn::scoped_context both = rn::merge(round % 2 == 0 ? a : b, round % 2 == 0 ? b : a);
    ending.join();
    REQUIRE(both.done());
    REQUIRE(children_of(a) == 0);
    REQUIRE(children_of(b) == 0);
  }
}

TEST_CASE("X36 a stop callback may wait for those that the same end resumes") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  const rn::scoped_context child = rn::with_cancel(ctx);
  const rn::channel<int> none;
  crew waiting;
  counter resumed{0};
  const std::stop_callback last(ctx.stop_token(), [&] {
    wait_for(resumed, 4);  // they go on before the callback is called, so it may block until they have
  });
  const rn::after_func_handle after = rn::after_func(ctx, [&] { support::add(resumed); });
  waiting.go([&] {
    static_cast<void>(none.recv(ctx));
    support::add(resumed);
  });
  waiting.go([&] {
    static_cast<void>(none.recv(child));
    support::add(resumed);
  });
  waiting.go([&] {
    ctx.done_channel().recv();
    support::add(resumed);
  });
  // The callback, after_func, the done channel, and the first thread.
  wait_until([&] { return waiters_of(ctx) == 4 && waiters_of(child) == 1; });
  support::wait_until_receiving(ctx.done_channel());
  ctx.cancel();
  CHECK(read(resumed) == 4);
}

TEST_CASE("X36 a deadline's stop callbacks never run in a thread that only looks") {
  for (int round = 0; round < 200; ++round) {
    const rn::scoped_context timed = rn::with_timeout(rn::context(), 200us);
    const std::thread::id here = std::this_thread::get_id();
    counter registered{0};  // a callback that comes too late is called by its own constructor, in this thread
    counter wrong{0};
    counter called{0};
    const std::stop_callback on_stop(timed.stop_token(), [&] {
      const bool looks = std::this_thread::get_id() == here && read(registered) == 1;
      if (looks || on_timer_thread()) support::add(wrong);
      support::add(called);
    });
    support::add(registered);
    while (!timed.done()) {
    }
    wait_for(called, 1);
    REQUIRE(read(wrong) == 0);
  }
}

TEST_CASE("X36 what is asked for after the end has ended: the token is stopped, the channel closed") {
  rn::scoped_context canceled = rn::with_cancel(rn::context());
  canceled.cancel();
  CHECK(canceled.stop_token().stop_requested());
  CHECK(canceled.done_channel().closed());
  const rn::scoped_context passed = rn::with_timeout(rn::context(), 0s);
  CHECK(passed.stop_token().stop_requested());
  CHECK(passed.done_channel().closed());
  const rn::scoped_context unseen = rn::with_timeout(rn::context(), 1us);  // it has passed, and nobody has looked at it
  rn::sleep_for(2us);
  CHECK(unseen.stop_token().stop_requested());
  CHECK(unseen.done_channel().closed());
}

TEST_CASE("X33 scoped_after_func waits for a function that is about to be started") {
  for (int round = 0; round < 300; ++round) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    std::vector<rn::after_func_handle> before;  // the end starts these first
    for (int i = 0; i < 5; ++i) before.push_back(rn::after_func(ctx, [] {}));
    auto local = std::make_unique<int>(0);
    crew ending;
    {
      std::optional<rn::scoped_after_func> bound(std::in_place, ctx, [p = local.get()] { ++*p; });
      ending.go([&] { ctx.cancel(); });
      wait_until([&] { return ctx.done(); });
    }
    REQUIRE(*local == 1);
    local.reset();
    ending.join();
  }
}

TEST_CASE("a function of after_func is destroyed before scoped_after_func's destructor returns") {
  for (int round = 0; round < 200; ++round) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    const auto held = std::make_shared<int>(0);
    crew ending;
    {
      const rn::scoped_after_func bound(ctx, [held] { ++*held; });
      ending.go([&] { ctx.cancel(); });
      if (round % 2 == 0) wait_until([&] { return ctx.done(); });
    }
    REQUIRE(held.use_count() == 1);
    ending.join();
  }
}

TEST_CASE("a value whose last handle goes while its context times out is not destroyed in the timer thread") {
  counter destroyed{0};
  counter on_timer{0};
  for (int round = 0; round < 500; ++round) {
    const auto last = [&](void*) {
      if (on_timer_thread()) support::add(on_timer);
      support::add(destroyed);
    };
    auto valued = std::make_optional(rn::with_value(rn::context(), guard_key, std::shared_ptr<void>(&destroyed, last)));
    const rn::time_point due = rn::clock::now() + 50us;
    {
      std::optional<rn::scoped_context> timed(rn::with_deadline(*valued, due));
      valued.reset();
      static_cast<void>(timed->done());
      const rn::context handle = *timed;
      static_cast<void>(handle);
      while (rn::clock::now() < due) {
      }
    }
    wait_for(destroyed, static_cast<std::uint32_t>(round) + 1);
  }
  CHECK(read(on_timer) == 0);
}

TEST_CASE("a stop callback that blocks holds up no other context of the same signal") {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  struct sigaction original{};
  REQUIRE(::sigaction(SIGUSR1, &ignore, &original) == 0);
  {
    const rn::scoped_context one = rn::with_signals(rn::context(), {SIGUSR1});
    const rn::scoped_context two = rn::with_signals(rn::context(), {SIGUSR1});
    counter called{0};
    const auto waits_for_both = [&] {
      support::add(called);
      wait_for(called, 2);
    };
    const std::stop_callback at_one(one.stop_token(), waits_for_both);
    const std::stop_callback at_two(two.stop_token(), waits_for_both);
    REQUIRE(::raise(SIGUSR1) == 0);
    wait_for(called, 2);
    CHECK(one.done());
    CHECK(two.done());
  }
  ::sigaction(SIGUSR1, &original, nullptr);
}

TEST_CASE("a sleep that is over wins over a context that is done") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  ctx.cancel();
  CHECK(rn::sleep_until(ctx, rn::clock::now() - 1h));
  CHECK(rn::sleep_until(ctx, rn::clock::now()));
  CHECK(rn::sleep_until(ctx, std::chrono::system_clock::now() - 1h));
  CHECK(rn::sleep_for(ctx, 0s));
  CHECK(rn::sleep_for(ctx, 1h).status() == rn::status::canceled);
}

}  // namespace context_end_test
