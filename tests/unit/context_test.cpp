#include <runnel/context.hpp>

#include <csignal>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "catch.hpp"

namespace context_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

using counter = rn::detail::atomic<std::uint32_t>;

inline constexpr rn::context_key<std::string> name_key;
inline constexpr rn::context_key<std::string> other_name_key;
inline constexpr rn::context_key<int> number_key;

std::size_t armed_timers() { return rn::detail::timer_queue::instance().armed(); }

std::pair<std::size_t, std::size_t> linked(const rn::context& ctx) { return rn::detail::context_access::scope(ctx)->linked(); }

void wait_for(const counter& word, std::uint32_t value) {
  const rn::detail::blocking_scope blocking;
  rn::detail::backoff wait;
  while (word.load(rn::detail::acquire) != value) wait.pause();
}

std::string what_of(const std::exception_ptr& error) {
  if (error == nullptr) return "none";
  try {
    std::rethrow_exception(error);
  } catch (const rn::context_error& e) {
    return e.code() == rn::status::canceled ? "canceled" : "timed_out";
  } catch (const std::exception& e) {
    return e.what();
  }
}
std::exception_ptr failure(const char* what) { return std::make_exception_ptr(std::runtime_error(what)); }

int signal_of(const rn::context& ctx) {
  try {
    std::rethrow_exception(ctx.cause());
  } catch (const rn::signal_error& e) {
    return e.number();
  } catch (...) {
    return -1;
  }
}

template <class Parent>
concept can_be_kept = requires(Parent&& p) { rn::context(std::forward<Parent>(p)); } ||
                      requires(Parent&& p, rn::context c) { c = std::forward<Parent>(p); } ||
                      requires(Parent&& p) { rn::with_cancel(std::forward<Parent>(p)); } ||
                      requires(Parent&& p) { rn::with_timeout(std::forward<Parent>(p), 1s); } ||
                      requires(Parent&& p) { rn::with_deadline(std::forward<Parent>(p), rn::time_point(), nullptr); } ||
                      requires(Parent&& p) { rn::with_signals(std::forward<Parent>(p), {SIGINT}); } ||
                      requires(Parent&& p) { rn::with_value(std::forward<Parent>(p), number_key, 1); } ||
                      requires(Parent&& p) { rn::without_cancel(std::forward<Parent>(p)); } ||
                      requires(Parent&& p, rn::context c) { rn::merge(std::forward<Parent>(p), c); } ||
                      requires(Parent&& p, rn::context c) { rn::merge(c, std::forward<Parent>(p)); } ||
                      requires(Parent&& p) { rn::after_func(std::forward<Parent>(p), [] {}); } ||
                      requires(Parent&& p) { rn::scoped_after_func(std::forward<Parent>(p), [] {}); };
static_assert(!can_be_kept<rn::scoped_context>);
static_assert(can_be_kept<rn::scoped_context&> && can_be_kept<const rn::scoped_context&> && can_be_kept<rn::context>);

template <class Key, class Value>
concept is_a_key = requires(const Key& key, Value value) { rn::with_value(rn::context(), key, value); };
static_assert(is_a_key<rn::context_key<int>, int>);
static_assert(!is_a_key<rn::context_key<int>, std::string> && !is_a_key<int, int> && !is_a_key<std::nullptr_t, int>);
static_assert(!std::copyable<rn::scoped_context> && std::is_nothrow_move_constructible_v<rn::scoped_context>);

}  // namespace

TEST_CASE("X01 X17 the background is never done; a default-made or moved-from context is the background") {
  const rn::context made;
  CHECK(made == rn::context::background());
  CHECK_FALSE(made.done());
  CHECK_FALSE(made.err());
  CHECK(made.cause() == nullptr);
  CHECK_FALSE(made.deadline());
  CHECK(made.value(name_key) == nullptr);
  CHECK_FALSE(made.stop_token().stop_possible());
  CHECK(made.done_channel() == rn::recv_channel<void>());
  CHECK_NOTHROW(made.throw_if_done());

  rn::scoped_context from = rn::with_cancel(made);
  const rn::scoped_context to = std::move(from);
  CHECK(from == rn::context::background());  // NOLINT(bugprone-use-after-move): what the test is about
  CHECK_FALSE(from.done());
  from.cancel();
  CHECK_FALSE(to.done());
}

TEST_CASE("what is moved out of a scoped context ends with its scope") {
  const rn::scoped_context root = rn::with_cancel(rn::context());
  std::vector<rn::context> many;
  many.push_back(rn::with_cancel(root));  // moves the handle out of a temporary
  CHECK(many[0].err() == rn::status::canceled);
  CHECK_FALSE(root.done());
  {
    rn::scoped_context named = rn::with_timeout(root, 1h);
    many.push_back(std::move(named));
    CHECK_FALSE(many[1].done());
    CHECK(named == rn::context::background());  // NOLINT(bugprone-use-after-move): what the test is about
    static_cast<rn::context&>(named) = root;
    CHECK(named == root);
  }
  CHECK(many[1].err() == rn::status::canceled);
  CHECK(many[1].done_channel().recv().status() == rn::status::closed);
  CHECK_FALSE(root.done());
  {
    rn::scoped_context first = rn::with_cancel(root);
    many.push_back(std::move(first));
    rn::scoped_context second = rn::with_cancel(root);
    second = std::move(first);
    CHECK_FALSE(many.back().done());
    second.cancel();
    CHECK(many.back().done());
  }
}

TEST_CASE("X02 X12 cancel ends the context and all below it before it returns") {
  rn::scoped_context root = rn::with_cancel(rn::context());
  const rn::scoped_context child = rn::with_cancel(root);
  const rn::context valued = rn::with_value(child, number_key, 1);
  const rn::scoped_context timed = rn::with_timeout(valued, 1h);
  std::vector<rn::scoped_context> many;
  for (int i = 0; i < 100; ++i) many.push_back(rn::with_cancel(timed));
  const rn::scoped_context foreign = rn::from_stop_token(child.stop_token());  // by way of something that is not ours
  many.push_back(rn::with_cancel(foreign));
  many.push_back(rn::merge(rn::without_cancel(root), foreign));
  CHECK_FALSE(root.done());
  CHECK_FALSE(many.back().done());

  root.cancel();
  for (const rn::context* ctx : {static_cast<const rn::context*>(&root), static_cast<const rn::context*>(&child), &valued,
                                 static_cast<const rn::context*>(&timed)}) {
    CHECK(ctx->done());
    CHECK(ctx->err() == rn::status::canceled);
    CHECK(ctx->cause() == root.cause());
  }
  bool all = true;
  for (const rn::scoped_context& ctx : many) all = all && ctx.done();
  CHECK(all);
  CHECK_THROWS_AS(timed.throw_if_done(), rn::context_error);
}

TEST_CASE("X02 every one of several concurrent cancels returns when the whole subtree is done") {
  for (int round = 0; round < 50; ++round) {
    rn::scoped_context root = rn::with_cancel(rn::context());
    rn::scoped_context middle = rn::with_cancel(root);
    std::vector<rn::scoped_context> leaves;
    for (int i = 0; i < 200; ++i) leaves.push_back(rn::with_cancel(middle));
    counter live{0};
    const auto look = [&] {
      for (const rn::scoped_context& leaf : leaves)
        if (!leaf.done()) live.fetch_add(1, rn::detail::relaxed);
    };
    std::thread a([&] { root.cancel(), look(); });
    std::thread b([&] { middle.cancel(), look(); });
    root.cancel();
    look();
    a.join();
    b.join();
    CHECK(live.load(rn::detail::acquire) == 0);
  }
}

TEST_CASE("X03 X15 a canceled parent has no children left; a child made then is born done, with the same cause") {
  rn::scoped_context root = rn::with_cancel(rn::context());
  const rn::scoped_context canceled = rn::with_cancel(root);
  const rn::scoped_context timed = rn::with_timeout(rn::with_value(root, number_key, 1), 1h);
  const rn::scoped_context below = rn::with_cancel(rn::with_value(timed, number_key, 2));
  CHECK(linked(root).first == 2);
  CHECK(linked(timed).first == 1);
  const auto cause = failure("stop");
  root.cancel(cause);
  CHECK(below.cause() == cause);
  CHECK(linked(root).first == 0);
  CHECK(linked(timed).first == 0);

  const rn::scoped_context late = rn::with_cancel(root);
  const rn::scoped_context late_timed = rn::with_timeout(rn::with_value(late, number_key, 1), 1h);
  const rn::context late_value = rn::with_value(root, number_key, 2);
  for (const rn::context& ctx : std::vector<rn::context>{late, late_timed, late_value}) {
    CHECK(ctx.done());
    CHECK(ctx.err() == rn::status::canceled);
    CHECK(ctx.cause() == cause);
  }
  CHECK(linked(root).first == 0);
}

TEST_CASE("X04 X14 a child that ends or is dropped leaves the parent as it was") {
  rn::scoped_context root = rn::with_cancel(rn::context());
  const std::size_t armed = armed_timers();
  for (int i = 0; i < 100'000; ++i) {
    rn::scoped_context child = rn::with_cancel(root);
    if (i % 2 == 0) child.cancel();
  }
  for (int i = 0; i < 1000; ++i) {
    rn::scoped_context child = rn::with_timeout(root, 1h);
    CHECK_FALSE(child.done());
    if (i % 2 == 0) child.cancel();
  }
  CHECK_FALSE(root.done());
  CHECK(linked(root).first == 0);
  CHECK(armed_timers() == armed);
  CHECK_FALSE(rn::with_cancel(root).done());
}

TEST_CASE("X05 X06 a deadline ends the context, not early, and what is below it") {
  const auto begin = rn::clock::now();
  const rn::scoped_context timed = rn::with_timeout(rn::context(), 20ms);
  const rn::scoped_context later = rn::with_timeout(timed, 1h, failure("not this one"));
  const rn::scoped_context below = rn::with_cancel(rn::with_value(later, number_key, 1));
  REQUIRE(timed.deadline());
  CHECK(*timed.deadline() >= begin + 20ms);
  CHECK(below.deadline() == timed.deadline());
  CHECK_FALSE(below.done());  // arms the timer
  CHECK_FALSE(rn::sleep_for(below, 1h));
  CHECK(rn::clock::now() >= begin + 20ms);
  for (const rn::context& ctx : std::vector<rn::context>{timed, later, below}) {
    CHECK(ctx.done());
    CHECK(ctx.err() == rn::status::timed_out);
    CHECK(what_of(ctx.cause()) == "timed_out");
  }
}

TEST_CASE("X05 the timer thread ends a context that nobody looks at again") {
  const rn::scoped_context timed = rn::with_deadline(rn::context(), std::chrono::system_clock::now() + 10ms);
  const rn::recv_channel<void> done = timed.done_channel();
  CHECK(done.recv().status() == rn::status::closed);
  CHECK(timed.err() == rn::status::timed_out);
}

TEST_CASE("X05 B09 past deadlines end it at once, and the greatest never") {
  for (const auto d : {rn::duration(0), rn::duration(-1), rn::duration::min()}) {
    const rn::scoped_context past = rn::with_timeout(rn::context(), d);
    CHECK(past.done());
    CHECK(past.err() == rn::status::timed_out);
  }
  CHECK(rn::with_deadline(rn::context(), rn::time_point::min()).done());
  CHECK(rn::with_deadline(rn::context(), rn::clock::now()).done());
  for (const auto* ctx : {new rn::scoped_context(rn::with_timeout(rn::context(), rn::duration::max())),
                          new rn::scoped_context(rn::with_timeout(rn::context(), std::chrono::hours::max())),
                          new rn::scoped_context(rn::with_deadline(rn::context(), std::chrono::system_clock::time_point::max()))}) {
    const std::unique_ptr<const rn::scoped_context> owner(ctx);
    CHECK_FALSE(ctx->done());
    CHECK_FALSE(ctx->deadline());
  }
}

TEST_CASE("a deadline arms its timer when somebody looks, and once") {
  const std::size_t before = armed_timers();
  {
    const rn::scoped_context timed = rn::with_timeout(rn::context(), 1h);
    const rn::scoped_context child = rn::with_cancel(timed);
    CHECK(armed_timers() == before);
    CHECK_FALSE(child.done());
    CHECK(armed_timers() == before + 1);
    CHECK_FALSE(timed.done());
    CHECK_FALSE(rn::with_cancel(child).done());
    CHECK(armed_timers() == before + 1);
  }
  CHECK(armed_timers() == before);
}

TEST_CASE("X07 a cancel before the deadline says canceled, and takes the timer back") {
  const std::size_t before = armed_timers();
  rn::scoped_context timed = rn::with_timeout(rn::context(), 1h, failure("late"));
  CHECK_FALSE(timed.done());
  timed.cancel();
  CHECK(armed_timers() == before);
  CHECK(timed.err() == rn::status::canceled);
  CHECK(what_of(timed.cause()) == "canceled");
}

TEST_CASE("X08 X16 values: keys are addresses with types, the nearest wins") {
  const rn::context a = rn::with_value(rn::context(), name_key, "a");
  const rn::scoped_context scope = rn::with_timeout(a, 1h);
  const rn::context b = rn::with_value(rn::with_value(scope, number_key, 7), name_key, "b");
  CHECK(*a.value(name_key) == "a");
  CHECK(a.value(other_name_key) == nullptr);
  CHECK(*scope.value(name_key) == "a");
  CHECK(*b.value(name_key) == "b");
  CHECK(*b.value(number_key) == 7);
  CHECK(b.value(other_name_key) == nullptr);
  CHECK(b != a);
  CHECK(rn::context(b) == b);
}

TEST_CASE("X08 keys are told apart by type and by name, and a null hides what is above") {
  static constexpr rn::context_key<int> same_type;
  static constexpr rn::context_key<const char*> pointer;
  const rn::context above = rn::with_value(rn::with_value(rn::context(), number_key, 1), pointer, "above");
  const rn::context null = rn::with_value(above, pointer, nullptr);
  CHECK(above.value(same_type) == nullptr);
  CHECK(*null.value(number_key) == 1);
  CHECK(*above.value(pointer) == std::string("above"));
  REQUIRE(null.value(pointer) != nullptr);
  CHECK(*null.value(pointer) == nullptr);
}

TEST_CASE("X08 a value is found through whatever stands between") {
  const rn::context valued = rn::with_value(rn::context(), name_key, "far");
  const rn::scoped_context canceled = rn::with_cancel(valued);
  const rn::scoped_context timed = rn::with_timeout(canceled, 1h);
  const rn::context apart = rn::without_cancel(timed);
  const rn::scoped_context signaled = rn::with_signals(apart, {});
  const rn::scoped_context first = rn::merge(rn::context(), signaled);
  const rn::scoped_context second = rn::merge(first, rn::with_value(rn::context(), number_key, 2));
  for (const rn::context& ctx : std::vector<rn::context>{canceled, timed, apart, signaled, first, second}) {
    REQUIRE(ctx.value(name_key) != nullptr);
    CHECK(*ctx.value(name_key) == "far");
    CHECK(ctx.value(other_name_key) == nullptr);
  }
  CHECK(*second.value(number_key) == 2);
}

TEST_CASE("X12 layers of every kind in every order: values stay, and an end goes down and not up") {
  static constexpr rn::context_key<int> keys[8];
  std::uint32_t state = 1;
  const auto below = [&state](std::uint32_t n) { return (state = state * 1664525U + 1013904223U) / 65536U % n; };
  for (int round = 0; round < 50; ++round) {
    std::vector<rn::context> layers{rn::context()};
    std::vector<rn::scoped_context> scopes;
    std::vector<std::size_t> layer_of_scope;
    int expected[8] = {};
    for (int depth = 1; depth <= 30; ++depth) {
      const rn::context top = layers.back();
      switch (below(4)) {
        case 0: {
          const std::uint32_t key = below(8);
          expected[key] = depth;
          layers.push_back(rn::with_value(top, keys[key], depth));
          continue;
        }
        case 1: scopes.push_back(rn::with_cancel(top)); break;
        case 2: scopes.push_back(rn::with_timeout(top, 1h)); break;
        default: scopes.push_back(rn::merge(rn::context(), top)); break;
      }
      layer_of_scope.push_back(layers.size());
      layers.push_back(scopes.back());
    }
    const auto values_are_there = [&] {
      for (int k = 0; k < 8; ++k) {
        const int* const found = layers.back().value(keys[k]);
        if ((found == nullptr ? 0 : *found) != expected[k]) return false;
      }
      return true;
    };
    CHECK(values_are_there());
    if (scopes.empty()) continue;
    const std::uint32_t chosen = below(static_cast<std::uint32_t>(scopes.size()));
    scopes[chosen].cancel(failure("chosen"));
    bool right = true;
    for (std::size_t i = 0; i < layers.size(); ++i) right = right && layers[i].done() == (i >= layer_of_scope[chosen]);
    CHECK(right);
    CHECK(what_of(layers.back().cause()) == "chosen");
    CHECK(values_are_there());
  }
}

TEST_CASE("X18 the errors of a context are classified as those of the standard library") {
  const rn::scoped_context late = rn::with_timeout(rn::context(), 0s);
  CHECK(late.err() == std::errc::timed_out);
  rn::scoped_context canceled = rn::with_cancel(rn::context());
  canceled.cancel(failure("stop"));
  CHECK(canceled.err() == std::errc::operation_canceled);
  try {
    canceled.throw_if_done();
    FAIL("it is done");
  } catch (const rn::context_error& e) {
    CHECK(e.code() == rn::status::canceled);
    CHECK(e.cause() == canceled.cause());
  }
}

TEST_CASE("X20 the cause is that of the first end") {
  const auto parent_cause = failure("parent");
  const auto child_cause = failure("child");
  SECTION("none") {
    const rn::scoped_context parent = rn::with_cancel(rn::context());
    const rn::scoped_context child = rn::with_cancel(parent);
    CHECK(parent.cause() == nullptr);
    CHECK(child.cause() == nullptr);
  }
  SECTION("parent before child") {
    rn::scoped_context parent = rn::with_cancel(rn::context());
    rn::scoped_context child = rn::with_cancel(parent);
    parent.cancel(parent_cause);
    child.cancel(child_cause);
    CHECK(parent.cause() == parent_cause);
    CHECK(child.cause() == parent_cause);
  }
  SECTION("child before parent") {
    rn::scoped_context parent = rn::with_cancel(rn::context());
    rn::scoped_context child = rn::with_cancel(parent);
    child.cancel(child_cause);
    parent.cancel(parent_cause);
    CHECK(parent.cause() == parent_cause);
    CHECK(child.cause() == child_cause);
  }
  SECTION("a null cause is canceled, always the same, and stays") {
    rn::scoped_context parent = rn::with_cancel(rn::context());
    const rn::scoped_context child = rn::with_cancel(parent);
    parent.cancel();
    parent.cancel(parent_cause);
    CHECK(what_of(parent.cause()) == "canceled");
    CHECK(parent.cause() == parent.cause());
    CHECK(child.cause() == parent.cause());
  }
  SECTION("deadlines, with and without a cause") {
    CHECK(what_of(rn::with_timeout(rn::context(), 0s).cause()) == "timed_out");
    const auto late = failure("late");
    const rn::scoped_context timed = rn::with_timeout(rn::context(), 0s, late);
    CHECK(timed.err() == rn::status::timed_out);
    CHECK(timed.cause() == late);
    const rn::scoped_context child = rn::with_cancel(timed);
    CHECK(child.err() == rn::status::timed_out);
    CHECK(child.cause() == late);
  }
  SECTION("a timeout above a cancel, both orders") {
    rn::scoped_context outer = rn::with_timeout(rn::context(), 1ms, failure("late"));
    rn::scoped_context inner = rn::with_cancel(outer);
    inner.cancel(child_cause);
    CHECK_FALSE(rn::sleep_for(outer, 1h));
    CHECK(inner.cause() == child_cause);
    CHECK(what_of(outer.cause()) == "late");

    rn::scoped_context first = rn::with_timeout(rn::context(), 0s, failure("late"));
    rn::scoped_context second = rn::with_cancel(first);
    second.cancel(child_cause);
    CHECK(what_of(second.cause()) == "late");
  }
  SECTION("a cancel above a timeout, both orders") {
    rn::scoped_context outer = rn::with_cancel(rn::context());
    const rn::scoped_context inner = rn::with_timeout(outer, 0s, failure("late"));
    outer.cancel(parent_cause);
    CHECK(what_of(inner.cause()) == "late");
    CHECK(outer.cause() == parent_cause);
    const rn::scoped_context later = rn::with_timeout(outer, 0s, failure("late"));
    CHECK(later.cause() == parent_cause);
    CHECK(later.err() == rn::status::canceled);
  }
  SECTION("a timeout in a timeout: the cause of the one that came first") {
    const rn::scoped_context outer = rn::with_timeout(rn::context(), 1h, failure("outer"));
    const rn::scoped_context inner = rn::with_timeout(outer, 1ms, failure("inner"));
    CHECK_FALSE(rn::sleep_for(inner, 1h));
    CHECK(what_of(inner.cause()) == "inner");
    CHECK(outer.cause() == nullptr);
    const rn::scoped_context early = rn::with_timeout(rn::context(), 1ms, failure("outer"));
    const rn::scoped_context within = rn::with_timeout(early, 1h, failure("inner"));
    CHECK_FALSE(rn::sleep_for(within, 1h));
    CHECK(what_of(within.cause()) == "outer");
    const rn::scoped_context bare = rn::with_timeout(early, 0s);
    CHECK(what_of(bare.cause()) == "outer");  // its parent's end came first
  }
  SECTION("a timeout that is canceled: its own cause is not used") {
    rn::scoped_context timed = rn::with_timeout(rn::context(), 1h, failure("late"));
    timed.cancel(child_cause);
    CHECK(timed.cause() == child_cause);
    CHECK(timed.err() == rn::status::canceled);
    rn::scoped_context bare = rn::with_timeout(rn::context(), 1h);
    bare.cancel();
    CHECK(what_of(bare.cause()) == "canceled");
  }
  SECTION("a null cause: the child's, then the parent's") {
    rn::scoped_context parent = rn::with_cancel(rn::context());
    rn::scoped_context child = rn::with_cancel(parent);
    child.cancel(nullptr);
    parent.cancel(parent_cause);
    CHECK(what_of(child.cause()) == "canceled");
    CHECK(parent.cause() == parent_cause);
  }
  SECTION("without_cancel of what is done, and a timeout below it") {
    rn::scoped_context parent = rn::with_cancel(rn::context());
    parent.cancel(parent_cause);
    const rn::context apart = rn::without_cancel(parent);
    CHECK(apart.cause() == nullptr);
    CHECK_FALSE(apart.done());
    CHECK(what_of(rn::with_timeout(apart, 0s).cause()) == "timed_out");
    CHECK(what_of(rn::with_timeout(apart, 0s, failure("late")).cause()) == "late");
  }
  SECTION("without_cancel") {
    rn::scoped_context parent = rn::with_cancel(rn::context());
    const rn::context apart = rn::without_cancel(parent);
    rn::scoped_context child = rn::with_cancel(apart);
    parent.cancel(parent_cause);
    CHECK(apart.cause() == nullptr);
    CHECK(child.cause() == nullptr);
    child.cancel(child_cause);
    CHECK(child.cause() == child_cause);
    CHECK(apart.cause() == nullptr);
  }
}

TEST_CASE("X22 the cause is null and then exactly the cause, while it is canceled") {
  for (int round = 0; round < 100; ++round) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    const rn::scoped_context child = rn::with_cancel(ctx);
    const auto cause = failure("stop");
    counter wrong{0};
    std::thread poll([&] {
      for (;;) {
        const std::exception_ptr seen = child.cause();
        if (seen != nullptr && seen != cause) wrong.fetch_add(1, rn::detail::relaxed);
        if (seen != nullptr) return;
      }
    });
    ctx.cancel(cause);
    poll.join();
    CHECK(wrong.load(rn::detail::acquire) == 0);
  }
}

TEST_CASE("X23 without_cancel has the values and nothing else") {
  rn::scoped_context timed = rn::with_timeout(rn::with_value(rn::context(), name_key, "a"), 1h);
  const rn::context apart = rn::without_cancel(timed);
  timed.cancel();
  CHECK_FALSE(apart.done());
  CHECK_FALSE(apart.deadline());
  CHECK_FALSE(apart.err());
  CHECK(*apart.value(name_key) == "a");
  CHECK(apart.done_channel() == rn::recv_channel<void>());
  CHECK(rn::without_cancel(rn::context()) == rn::context());
}

TEST_CASE("X25 merge: done when either is, as that one is") {
  const auto cause = failure("stop");
  for (const bool first : {true, false}) {
    rn::scoped_context a = rn::with_cancel(rn::with_value(rn::context(), name_key, "a"));
    rn::scoped_context b = rn::with_timeout(rn::with_value(rn::with_value(rn::context(), name_key, "b"), number_key, 2), 1h);
    rn::scoped_context both = rn::merge(a, b);
    const rn::scoped_context below = rn::with_cancel(both);
    CHECK(*both.value(name_key) == "a");
    CHECK(*below.value(number_key) == 2);
    CHECK(both.value(other_name_key) == nullptr);
    CHECK(both.deadline() == b.deadline());
    CHECK_FALSE(below.done());
    (first ? a : b).cancel(cause);
    CHECK(below.cause() == cause);
    (first ? b : a).cancel();
    CHECK(both.cause() == cause);
    CHECK(linked(a).first == 0);
    CHECK(linked(b).first == 0);
  }
  rn::scoped_context a = rn::with_cancel(rn::context());
  const rn::scoped_context b = rn::with_timeout(rn::context(), 0s);
  CHECK(rn::merge(a, b).err() == rn::status::timed_out);
  CHECK(rn::merge(b, a).err() == rn::status::timed_out);
  rn::scoped_context same = rn::merge(a, a);
  const rn::scoped_context diamond = rn::merge(rn::context(a), same);
  same.cancel();
  CHECK_FALSE(a.done());
  CHECK(diamond.done());
  const rn::scoped_context none = rn::merge(rn::context(), rn::context());
  CHECK_FALSE(none.done());
  const rn::scoped_context twice = rn::merge(rn::merge(a, rn::context()).value(name_key) == nullptr ? rn::context(a) : a, a);
  a.cancel();
  CHECK(twice.done());
}

TEST_CASE("X25 both parents of a merged context ending at once") {
  for (int round = 0; round < 200; ++round) {
    rn::scoped_context root = rn::with_cancel(rn::context());
    rn::scoped_context a = rn::with_cancel(root);
    rn::scoped_context b = rn::with_cancel(root);
    const rn::scoped_context both = rn::merge(a, b);
    const rn::scoped_context below = rn::with_cancel(both);
    counter live{0};
    std::thread one([&] {
      a.cancel(failure("a"));
      if (!below.done()) live.fetch_add(1, rn::detail::relaxed);
    });
    std::thread two([&] {
      b.cancel(failure("b"));
      if (!below.done()) live.fetch_add(1, rn::detail::relaxed);
    });
    if (round % 2 == 0) root.cancel();
    one.join();
    two.join();
    CHECK(live.load(rn::detail::acquire) == 0);
    CHECK(below.cause() == both.cause());
  }
}

TEST_CASE("X26 X33 from_stop_token follows the token, leaves it alone, and unregisters") {
  std::stop_source source;
  {
    rn::scoped_context ctx = rn::from_stop_token(source.get_token());
    const rn::scoped_context child = rn::with_cancel(ctx);
    CHECK_FALSE(ctx.done());
    source.request_stop();
    CHECK(child.err() == rn::status::canceled);
    CHECK(what_of(ctx.cause()) == "canceled");
  }
  CHECK(rn::from_stop_token(source.get_token()).done());
  CHECK_FALSE(rn::from_stop_token(std::stop_token()).done());

  std::stop_source fresh;
  rn::scoped_context ended = rn::from_stop_token(fresh.get_token());
  ended.cancel();
  CHECK_FALSE(fresh.stop_requested());
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(rn::from_stop_token(fresh.get_token()).done());
  fresh.request_stop();

  for (int round = 0; round < 200; ++round) {
    std::stop_source racing;
    std::thread stop([&] { racing.request_stop(); });
    {
      rn::scoped_context ctx = rn::from_stop_token(racing.get_token());
      if (round % 2 == 0) ctx.cancel();
    }
    stop.join();
  }
}

TEST_CASE("X36 stop_token stops on cancel and on deadline, and may cancel in a callback") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  const std::stop_token token = rn::with_value(ctx, number_key, 1).stop_token();
  CHECK(token == ctx.stop_token());
  CHECK_FALSE(token.stop_requested());
  int calls = 0;
  const std::stop_callback again(token, [&] {
    ++calls;
    ctx.cancel();
  });
  ctx.cancel();
  CHECK(token.stop_requested());
  CHECK(calls == 1);
  CHECK(ctx.stop_token().stop_requested());

  const rn::scoped_context timed = rn::with_timeout(rn::context(), 5ms);
  counter stopped{0};
  const std::stop_callback on_stop(timed.stop_token(), [&] { stopped.store(1, rn::detail::release); });
  wait_for(stopped, 1);
  CHECK(timed.err() == rn::status::timed_out);

  std::stop_source source;
  const rn::scoped_context bridge = rn::from_stop_token(source.get_token());
  int nested = 0;
  const std::stop_callback back(bridge.stop_token(), [&] { nested += source.request_stop() ? 100 : 1; });
  source.request_stop();
  CHECK(nested == 1);
}

TEST_CASE("done_channel is one channel that closes at the end, whoever asked for it") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  const rn::recv_channel<void> done = rn::with_value(ctx, number_key, 1).done_channel();
  CHECK(done == ctx.done_channel());
  CHECK(done.try_recv().status() == rn::status::would_block);
  ctx.cancel();
  CHECK(done.try_recv().status() == rn::status::closed);
  CHECK(ctx.done_channel() == done);
  rn::scoped_context ended = rn::with_cancel(ctx);
  CHECK(ended.done_channel().closed());
}

TEST_CASE("X27 H21 after_func runs once, elsewhere, after the end; stop says whether it never will") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  int before = 1;
  counter ran{0};
  const std::thread::id here = std::this_thread::get_id();
  rn::after_func_handle handle = rn::after_func(ctx, [&] {
    if (std::this_thread::get_id() != here) ran.fetch_add(static_cast<std::uint32_t>(before), rn::detail::acq_rel);
  });
  before = 2;
  ctx.cancel();
  wait_for(ran, 2);
  CHECK_FALSE(handle.stop());

  rn::scoped_context other = rn::with_cancel(rn::context());
  auto held = std::make_shared<int>(0);
  rn::after_func_handle stopped = rn::after_func(other, [held] { ++*held; });
  CHECK(held.use_count() == 2);
  CHECK(stopped.stop());
  CHECK(held.use_count() == 1);
  CHECK_FALSE(stopped.stop());
  other.cancel();
  CHECK(*held == 0);

  rn::after_func_handle never = rn::after_func(rn::context(), [held] { ++*held; });
  CHECK(never.stop());
  CHECK_FALSE(never.stop());
  CHECK(held.use_count() == 1);
}

TEST_CASE("X29 after_func of a context that is done runs at once") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  ctx.cancel();
  counter ran{0};
  rn::after_func_handle handle = rn::after_func(ctx, [&] { ran.store(1, rn::detail::release); });
  CHECK_FALSE(handle.stop());
  wait_for(ran, 1);
  counter late{0};
  const rn::scoped_context timed = rn::with_timeout(rn::context(), 2ms);
  rn::after_func(timed, [&] { late.store(1, rn::detail::release); });
  wait_for(late, 1);
  CHECK(timed.err() == rn::status::timed_out);
}

TEST_CASE("X31 cancel does not wait for the functions of after_func") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  counter canceled{0};
  counter ran{0};
  rn::after_func(ctx, [&] {
    wait_for(canceled, 1);
    ran.store(1, rn::detail::release);
  });
  ctx.cancel();
  canceled.store(1, rn::detail::release);
  wait_for(ran, 1);
}

TEST_CASE("X33 scoped_after_func is gone at the end of its scope, and waits for a function that runs") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  for (int i = 0; i < 100; ++i) {
    int local = 0;
    const rn::scoped_after_func bound(ctx, [&] { ++local; });
  }
  CHECK(linked(ctx).second == 0);

  for (int round = 0; round < 100; ++round) {
    rn::scoped_context racing = rn::with_cancel(rn::context());
    int local = 0;
    std::thread cancel;
    {
      const rn::scoped_after_func bound(racing, [&] { ++local; });
      cancel = std::thread([&] { racing.cancel(); });
    }
    const int after = local;
    cancel.join();
    CHECK(local == after);
  }

  rn::scoped_context own = rn::with_cancel(rn::context());
  counter ended{0};
  std::unique_ptr<rn::scoped_after_func> self;
  self = std::make_unique<rn::scoped_after_func>(own, [&] {
    self.reset();
    ended.store(1, rn::detail::release);
  });
  own.cancel();
  wait_for(ended, 1);
  CHECK(self == nullptr);
}

TEST_CASE("X34 a parked receive ends with its context; what raced with the end is received once") {
  const rn::channel_ends<int> ends = rn::make_channel<int>(1);
  {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    std::thread cancel([&] {
      rn::detail::backoff wait;
      while (linked(ctx).second == 0) wait.pause();
      ctx.cancel();
    });
    CHECK(ends.recv.recv(ctx).status() == rn::status::canceled);
    cancel.join();
    CHECK(ends.recv.recv(ctx).status() == rn::status::canceled);
  }
  CHECK(ends.recv.recv(rn::with_timeout(rn::context(), 2ms)).status() == rn::status::timed_out);

  int received = 0;
  constexpr int rounds = 300;
  for (int round = 0; round < rounds; ++round) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    std::thread send([&] { static_cast<void>(ends.send.try_send(round)); });
    std::thread cancel([&] { ctx.cancel(); });
    received += ends.recv.recv(ctx) ? 1 : 0;
    send.join();
    cancel.join();
    received += ends.recv.try_recv() ? 1 : 0;
  }
  CHECK(received == rounds);
}

TEST_CASE("X34 a parked send ends with its context and keeps its value; what raced with the end is sent once or not at all") {
  const rn::channel<std::unique_ptr<int>> ch;
  {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    std::thread cancel([&] {
      rn::detail::backoff wait;
      while (linked(ctx).second == 0) wait.pause();
      ctx.cancel();
    });
    auto value = std::make_unique<int>(7);
    CHECK(ch.send(ctx, std::move(value)).status() == rn::status::canceled);
    CHECK(value != nullptr);  // NOLINT(bugprone-use-after-move): what the test is about
    cancel.join();
    CHECK(ch.send(ctx, std::move(value)).status() == rn::status::canceled);
    CHECK(value != nullptr);  // NOLINT(bugprone-use-after-move): as above
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
  for (int round = 0; round < 300; ++round) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    bool received = false;
    std::thread receive([&] {
      const auto got = ch.recv(ctx);
      received = got && **got == round;
    });
    std::thread cancel([&] { ctx.cancel(); });
    auto value = std::make_unique<int>(round);
    const bool sent = static_cast<bool>(ch.send(ctx, std::move(value)));
    receive.join();
    cancel.join();
    REQUIRE(sent == received);
    REQUIRE((value == nullptr) == sent);  // NOLINT(bugprone-use-after-move): as above
  }
}

TEST_CASE("a chain of 100 000 contexts ends, and is destroyed, without recursion") {
  rn::scoped_context root = rn::with_cancel(rn::context());
  {
    std::vector<rn::scoped_context> chain;
    chain.reserve(100'000);
    for (int i = 0; i < 100'000; ++i) chain.push_back(rn::with_cancel(chain.empty() ? root : chain.back()));
    CHECK_FALSE(chain.back().done());
    root.cancel();
    CHECK(chain.back().done());
    rn::context last = rn::with_value(chain.back(), number_key, 1);
    chain.clear();  // the last one holds them all
    CHECK(last.done());
    last = rn::context();
  }
  rn::context values;
  for (int i = 0; i < 100'000; ++i) values = rn::with_value(values, number_key, i);
  CHECK(*values.value(number_key) == 99'999);
}

TEST_CASE("children are made, canceled and dropped by several threads while the parent ends") {
  for (int round = 0; round < 20; ++round) {
    rn::scoped_context root = rn::with_cancel(rn::context());
    counter wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          rn::scoped_context child = rn::with_timeout(root, (t + i) % 3 == 0 ? 1h : 1us);
          rn::scoped_context grandchild = rn::merge(child, root);
          static_cast<void>(grandchild.done());
          if (i % 5 == 0) {
            child.cancel();
            if (!grandchild.done()) wrong.fetch_add(1, rn::detail::relaxed);
          } else if (child.done()) {
            grandchild.done_channel().recv();  // where another call ends the child, the grandchild may be done a moment later
          }
        }
      });
    root.cancel();
    for (std::thread& t : threads) t.join();
    CHECK(wrong.load(rn::detail::acquire) == 0);
    CHECK(linked(root).first == 0);
  }
}

TEST_CASE("T01 T09 T11 sleep_for is never early, and ends with its context") {
  for (const auto d : {rn::duration(0), rn::duration(-5), rn::duration::min()}) {
    rn::sleep_for(d);
    CHECK(rn::sleep_for(rn::context(), d));
  }
  const auto begin = rn::clock::now();
  rn::sleep_for(3ms);
  CHECK(rn::clock::now() >= begin + 3ms);
  CHECK(rn::sleep_for(rn::context(), 3ms));
  CHECK(rn::clock::now() >= begin + 6ms);
  const rn::scoped_context ctx = rn::with_timeout(rn::context(), 1h);
  CHECK(rn::sleep_until(ctx, rn::clock::now() + 1ms));
  CHECK(rn::sleep_for(rn::with_timeout(ctx, 1ms), rn::duration::max()).status() == rn::status::timed_out);
  rn::scoped_context stop = rn::with_cancel(rn::context());
  std::thread cancel([&] { stop.cancel(); });
  CHECK(rn::sleep_for(stop, std::chrono::hours::max()).status() == rn::status::canceled);
  cancel.join();
  CHECK(rn::sleep_for(stop, 0s));
  CHECK(rn::sleep_for(stop, 1s).status() == rn::status::canceled);
}

TEST_CASE("a signal ends every context that names it; then the disposition from before is back") {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  struct sigaction original{};
  REQUIRE(::sigaction(SIGUSR1, &ignore, &original) == 0);
  const auto handler_of = [](int number) {
    struct sigaction current{};
    ::sigaction(number, nullptr, &current);
    return current.sa_handler;
  };
  {
    const rn::scoped_context one = rn::with_signals(rn::context(), {SIGUSR1, SIGUSR2});
    const rn::scoped_context two = rn::with_signals(rn::context(), {SIGUSR1});
    const rn::scoped_context apart = rn::with_signals(rn::context(), {SIGUSR2});
    const rn::scoped_context below = rn::with_cancel(one);
    CHECK(handler_of(SIGUSR1) != SIG_IGN);
    REQUIRE(::raise(SIGUSR1) == 0);
    CHECK_FALSE(rn::sleep_for(below, 1h));
    CHECK(handler_of(SIGUSR1) == SIG_IGN);
    CHECK_FALSE(rn::sleep_for(two, 1h));
    CHECK(below.err() == std::errc::operation_canceled);
    CHECK(signal_of(below) == SIGUSR1);
    CHECK(signal_of(two) == SIGUSR1);
    CHECK_FALSE(apart.done());
    CHECK(handler_of(SIGUSR2) != SIG_DFL);
    REQUIRE(::raise(SIGUSR2) == 0);
    CHECK_FALSE(rn::sleep_for(apart, 1h));
    CHECK(signal_of(apart) == SIGUSR2);
    CHECK(handler_of(SIGUSR2) == SIG_DFL);
    CHECK(signal_of(one) == SIGUSR1);
  }
  {
    rn::scoped_context one = rn::with_signals(rn::context(), {SIGUSR1});
    {
      const rn::scoped_context two = rn::with_signals(one, {SIGUSR1});
    }
    CHECK(handler_of(SIGUSR1) != SIG_IGN);
    one.cancel();
    CHECK(handler_of(SIGUSR1) == SIG_IGN);
    const rn::scoped_context late = rn::with_signals(one, {SIGUSR1});
    CHECK(late.done());
    CHECK(handler_of(SIGUSR1) == SIG_IGN);
  }
  for (const int number : {0, -1, std::numeric_limits<int>::max(), SIGKILL})
    CHECK_THROWS_AS(rn::with_signals(rn::context(), {SIGUSR1, number}), std::invalid_argument);
  CHECK(handler_of(SIGUSR1) == SIG_IGN);
  ::sigaction(SIGUSR1, &original, nullptr);
}

TEST_CASE("killed by the second signal", "[.]") {
  const rn::scoped_context ctx = rn::with_signals(rn::context(), {SIGTERM});
  ::kill(::getpid(), SIGTERM);
  static_cast<void>(rn::sleep_for(ctx, 1h));
  ::kill(::getpid(), SIGTERM);
  rn::sleep_for(1h);
}

TEST_CASE("a second signal kills a program that is stuck") {
  const pid_t child = ::fork();
  if (child == 0) {
    // The test framework's own handlers are for its parent's run.
    if (std::freopen("/dev/null", "w", stdout) == nullptr || std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(3);
    ::execl("/proc/self/exe", "test", "killed by the second signal", static_cast<char*>(nullptr));
    ::_exit(2);
  }
  int how = 0;
  ::waitpid(child, &how, 0);
  CHECK(WIFSIGNALED(how));
  CHECK((WIFSIGNALED(how) ? WTERMSIG(how) : 0) == SIGTERM);
}

}  // namespace context_test
