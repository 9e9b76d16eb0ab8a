// What contexts, groups and tasks allocate, what is left of them, and what happens when there is no memory: nothing.
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>
#include <runnel/timer.hpp>
#include <runnel/wait_group.hpp>

#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "catch.hpp"
#include "failing_new.hpp"
#include "support.hpp"

namespace context_allocation_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

inline constexpr rn::context_key<int> number_key;

/// How far the count of what is live may be off: tasks that have ended, and threads that have begun, still give something back.
constexpr std::int64_t noise = 50;

/// How many allocations of this thread f takes.
template <class F>
std::uint64_t cost(F f) {
  const std::uint64_t before = allocations::made();
  f();
  return allocations::made() - before;
}

/// Calls f with no memory after none, one, two, ... allocations, until it succeeds. Each failure must have left nothing allocated.
/// Returns: how often it failed.
template <class F>
int sweep(F f) {
  for (int failures = 0;; ++failures) {
    const std::int64_t live = allocations::live();
    try {
      const allocations::failing no_memory(static_cast<std::uint64_t>(failures));
      f();
      return failures;
    } catch (const std::bad_alloc&) {
      support::wait_until([&] { return allocations::live() <= live; });
    }
  }
}

/// Starts what is started once in the life of a program, so that it does not count.
void warm_up() {
  rn::async([] {}).get();
  const rn::scoped_context timed = rn::with_timeout(rn::context(), 1us);
  timed.done_channel().recv();
  static_cast<void>(timed.stop_token());
  static_cast<void>(rn::with_signals(rn::context(), {SIGUSR1}));
}

}  // namespace

TEST_CASE("X14 a context costs one allocation, and its cancellation, its looks and its waits none") {
  warm_up();
  const rn::scoped_context root = rn::with_cancel(rn::context());
  std::optional<rn::scoped_context> made;
  CHECK(cost([] { static_cast<void>(rn::context::background()); }) == 0);
  CHECK(cost([&] { made.emplace(rn::with_cancel(root)); }) == 1);
  CHECK(cost([&] { made.emplace(rn::with_timeout(root, 1h)); }) == 1);
  CHECK(cost([&] { made.emplace(rn::merge(*made, root)); }) == 1);
  CHECK(cost([&] { static_cast<void>(rn::with_value(root, number_key, 1)); }) == 1);
  CHECK(cost([&] { static_cast<void>(rn::without_cancel(root)); }) == 1);
  CHECK(cost([&] { static_cast<void>(rn::from_stop_token(std::stop_token())); }) == 1);
  made.emplace(rn::with_timeout(root, 1ms));
  const rn::channel<int> none;
  CHECK(cost([&] {
          static_cast<void>(made->done());  // arms its timer
          static_cast<void>(none.recv(*made).status());
          static_cast<void>(made->err());
        }) == 0);
  CHECK(cost([&] { made->cancel(); }) == 0);
}

TEST_CASE("X14 children that were canceled or dropped are gone, memory and all") {
  warm_up();
  const rn::scoped_context root = rn::with_cancel(rn::context());
  const std::int64_t before = allocations::live();
  for (int i = 0; i < 100'000; ++i) {
    rn::scoped_context child = i % 2 == 0 ? rn::with_cancel(root) : rn::with_timeout(root, 1h);
    if (i % 4 == 1) static_cast<void>(child.done());
    if (i % 3 == 0) child.cancel();
  }
  CHECK(allocations::live() <= before + noise);
  CHECK(rn::detail::context_access::scope(root)->linked().first == 0);
}

TEST_CASE("X33 a bridge from a stop token registers once, and unregisters when its context ends") {
  warm_up();
  constexpr int count = 1000;
  const std::int64_t before = allocations::live();
  std::vector<rn::scoped_context> ended;
  ended.reserve(count);
  for (int i = 0; i < count; ++i) {
    const std::stop_source source;  // its state lives as long as a source, a token or a callback
    ended.push_back(rn::from_stop_token(source.get_token()));
    const rn::scoped_context dropped = rn::from_stop_token(source.get_token());
    if (i % 2 == 0) {
      ended.back().cancel();
    } else {
      const rn::scoped_context child = rn::with_cancel(ended.back());
      ended.back().cancel();  // the same with something below it
    }
  }
  CHECK(allocations::live() <= before + count + noise);  // the contexts that are held; no callback keeps a state
  const std::int64_t without_states = allocations::live();
  for (int i = 0; i < count; ++i) {
    const std::stop_source source;
    ended[static_cast<std::size_t>(i)] = rn::from_stop_token(source.get_token());
  }
  CHECK(allocations::live() >= without_states + count - noise);  // these are live, and each keeps its state
  ended.clear();
  CHECK(allocations::live() <= before + noise);
}

TEST_CASE("waiting for contexts, groups, futures and guarded values allocates nothing") {
  warm_up();
  rn::scoped_context live = rn::with_cancel(rn::context());
  rn::scoped_context done = rn::with_cancel(rn::context());
  done.cancel();
  rn::wait_group group;
  group.add();
  rn::guarded<int> value(0);
  support::gate go_on;
  rn::future<void> answer = rn::async([&] { go_on.wait(); });
  const rn::scoped_context timed = rn::with_timeout(rn::context(), 1us);
  CHECK(cost([&] {
          static_cast<void>(group.wait(done));
          static_cast<void>(group.try_wait_for(1us));
          static_cast<void>(answer.wait(done));
          static_cast<void>(answer.try_get_for(1us));
          static_cast<void>(value.try_wait_for(1us, [](int v) { return v == 1; }));
          static_cast<void>(value.wait(timed, [](int v) { return v == 1; }));
          static_cast<void>(rn::sleep_for(live, 1us));
        }) == 0);
  go_on.open();
  CHECK(cost([&] { answer.get(); }) == 0);
  group.done();
  CHECK(cost([&] { group.wait(); }) == 0);
}

TEST_CASE("a task costs one allocation, an answer one more") {
  warm_up();
  rn::errgroup group;
  rn::wait_group counted;
  std::uint64_t least[3] = {10, 10, 10};
  for (int i = 0; i < 50; ++i) {  // where no thread is idle, a new one costs more
    least[0] = std::min(least[0], cost([&] { group.go([] {}); }));
    group.wait();
    group.go([] {});  // the first task of a round makes the round's context
    least[1] = std::min(least[1], cost([&] { counted.go([] {}); }));
    counted.wait();
    std::optional<rn::future<int>> answer;
    least[2] = std::min(least[2], cost([&] { answer.emplace(rn::async([] { return 1; })); }));
    answer->get();
  }
  group.wait();
  CHECK(least[0] == 1);
  CHECK(least[1] == 1);
  CHECK(least[2] == 2);
}

TEST_CASE("without memory nothing is made, nothing has changed, and nothing is left") {
  warm_up();
  rn::scoped_context root = rn::with_cancel(rn::context());
  const rn::scoped_context timed = rn::with_timeout(rn::context(), 1h);
  static_cast<void>(timed.done());
  const std::stop_source source;
  CHECK(sweep([&] { static_cast<void>(rn::with_cancel(root)); }) == 1);
  CHECK(sweep([&] { static_cast<void>(rn::with_timeout(root, 1h)); }) == 1);
  CHECK(sweep([&] { static_cast<void>(rn::merge(root, timed)); }) == 1);
  CHECK(sweep([&] { static_cast<void>(rn::with_value(root, number_key, 1)); }) == 1);
  CHECK(sweep([&] { static_cast<void>(rn::from_stop_token(source.get_token())); }) == 1);
  CHECK(sweep([&] { static_cast<void>(rn::with_signals(root, {SIGUSR1})); }) == 1);
  CHECK(sweep([&] { static_cast<void>(rn::with_timeout(root, 1h).stop_token()); }) == 3);
  CHECK(sweep([&] { static_cast<void>(rn::with_timeout(root, 1h).done_channel()); }) == 3);
  CHECK(sweep([&] { rn::after_func(root, [] {}).stop(); }) == 1);
  CHECK(sweep([&] { static_cast<void>(rn::after(1h)); }) >= 2);
  CHECK(sweep([&] { const rn::timer made(1h); }) >= 1);
  CHECK(sweep([&] { const rn::timer made(1h, [] {}); }) == 1);
  CHECK(sweep([&] { const rn::ticker made(1h); }) >= 1);
  CHECK(rn::detail::context_access::scope(root)->linked().first == 0);
  CHECK_FALSE(root.done());
}

TEST_CASE("without memory no task is started, and its group is as it was") {
  warm_up();
  support::counter ran{0};
  const auto run = [&] { support::add(ran); };
  rn::errgroup group({}, {.limit = 2, .collect_all = true});
  rn::wait_group counted;
  CHECK(sweep([&] { group.go(run); }) >= 1);
  CHECK(sweep([&] { group.go(run); }) >= 1);
  group.wait();
  CHECK(sweep([&] { group.go(run); }) >= 2);  // and a round
  group.wait();
  CHECK(sweep([&] { counted.go(run); }) >= 1);
  counted.wait();
  CHECK(sweep([&] { rn::async(run).get(); }) >= 2);
  CHECK(sweep([&] { const rn::errgroup made; }) >= 1);
  CHECK(support::read(ran) == 5);
}

TEST_CASE("without memory for its cause a context ends all the same") {
  warm_up();
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::scoped_context child = rn::with_cancel(ctx);
  std::exception_ptr cause;
  {
    const allocations::failing no_memory(0);
    ctx.cancel();
    cause = child.cause();
  }
  CHECK(child.err() == rn::status::canceled);
  REQUIRE(cause != nullptr);
  CHECK(cause == ctx.cause());  // the same at each call, whatever it is
}

}  // namespace context_allocation_test
