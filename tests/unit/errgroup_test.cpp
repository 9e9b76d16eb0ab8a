#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"

namespace errgroup_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

using counter = rn::detail::atomic<std::uint32_t>;

class gate {
 public:
  void open() {
    open_.store(1, rn::detail::release);
    rn::detail::unpark(&open_, 1000000);
  }
  void wait() {
    const rn::detail::blocking_scope blocking;
    while (open_.load(rn::detail::acquire) == 0) rn::detail::park(open_, 0);
  }

 private:
  counter open_{0};
};

std::string what_of(const std::exception_ptr& error) {
  if (error == nullptr) return "";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (const std::string& s) {
    return "string " + s;
  } catch (...) {
    return "?";
  }
}

void until_done(const rn::context& ctx) {
  const rn::detail::blocking_scope blocking;
  rn::detail::backoff pause;
  while (!ctx.done()) pause.pause();
}

/// Like std::expected<int, E>.
template <class E>
struct outcome {
  std::optional<E> failure;
  [[nodiscard]] bool has_value() const { return !failure; }
  E& error() & { return *failure; }
  E&& error() && { return std::move(*failure); }
};

}  // namespace

TEST_CASE("E01 wait rethrows the first failure and ends the round") {
  using failures = std::vector<std::string>;
  rn::errgroup group;
  for (const failures& list : {failures{}, {""}, {"e1"}, {"e1", ""}, {"e1", "", "e2"}}) {
    rn::context before = group.ctx();
    std::string first;
    for (const std::string& failure : list) {
      group.go([failure] {
        if (!failure.empty()) throw std::runtime_error(failure);
      });
      if (!failure.empty() && first.empty()) {
        first = failure;
        until_done(group.ctx());
      } else if (first.empty()) {
        CHECK_FALSE(group.ctx().done());
      }
    }
    const auto error = group.wait_result();
    CHECK(what_of(error) == first);
    CHECK(group.errors().size() == (first.empty() ? 0U : 1U));
    CHECK(group.ctx().done());
    CHECK(group.wait_result() == nullptr);
  }
  group.go([] {});
  CHECK_FALSE(group.ctx().done());
  CHECK_NOTHROW(group.wait());
}

TEST_CASE("E02 the context is done after wait even without a failure") {
  rn::errgroup group;
  const rn::context ctx = group.ctx();
  CHECK_FALSE(ctx.done());
  group.go([](const rn::context& c) { c.throw_if_done(); });
  group.wait();
  CHECK(ctx.done());
  CHECK(ctx.err() == rn::status::canceled);
}

TEST_CASE("E03 try_go takes as many as the limit allows") {
  rn::errgroup group({}, {.limit = 42});
  gate go_on;
  for (int i = 0; i < 42; ++i) REQUIRE(group.try_go([&] { go_on.wait(); }));
  auto untouched = std::make_unique<int>(1);
  CHECK_FALSE(group.try_go([] {}));
  CHECK_THROWS_AS(group.set_limit(1), std::logic_error);
  go_on.open();
  group.wait();
  CHECK(group.try_go([] {}));
  group.wait();
  group.set_limit(1);
  gate again;
  REQUIRE(group.try_go([&] { again.wait(); }));
  CHECK_FALSE(group.try_go([] {}));
  again.open();
  group.wait();
  group.set_limit(0);
  gate third;
  for (int i = 0; i < 50; ++i) REQUIRE(group.try_go([&] { third.wait(); }));
  third.open();
  group.wait();
}

TEST_CASE("E03 go waits for room, and no more than the limit run at once") {
  rn::errgroup group({}, {.limit = 3});
  counter running{0};
  counter ran{0};
  counter most{0};
  for (int i = 0; i < 200; ++i)
    group.go([&] {
      const auto now = running.fetch_add(1, rn::detail::acq_rel) + 1;
      if (now > 3) most.store(now, rn::detail::relaxed);
      ran.fetch_add(1, rn::detail::relaxed);
      running.fetch_sub(1, rn::detail::acq_rel);
    });
  group.wait();
  CHECK(most.load(rn::detail::relaxed) == 0);
  CHECK(ran.load(rn::detail::relaxed) == 200);
}

TEST_CASE("E05 the context's cause is the first failure") {
  rn::errgroup group;
  group.go([] { throw std::runtime_error("the cause"); });
  const rn::context ctx = group.ctx();
  until_done(ctx);
  CHECK(what_of(ctx.cause()) == "the cause");
  CHECK_THROWS_WITH(group.wait(), "the cause");
  CHECK(what_of(ctx.cause()) == "the cause");
  group.go([] {});
  const rn::context second = group.ctx();
  CHECK(second.cause() == nullptr);
  group.wait();
  REQUIRE(second.cause() != nullptr);
  CHECK(second.err() == rn::status::canceled);
  CHECK_THROWS_AS(std::rethrow_exception(second.cause()), rn::context_error);
}

TEST_CASE("E07 a failure cancels the others, which run to their end, even if started later") {
  rn::errgroup group;
  counter ended{0};
  for (int i = 0; i < 5; ++i)
    group.go([&](const rn::context& ctx) {
      until_done(ctx);
      ended.fetch_add(1, rn::detail::relaxed);
      ctx.throw_if_done();
    });
  group.go([] { throw std::runtime_error("first"); });
  const rn::context ctx = group.ctx();
  until_done(ctx);
  CHECK(what_of(ctx.cause()) == "first");
  group.go([&] { ended.fetch_add(1, rn::detail::relaxed); });
  CHECK_THROWS_WITH(group.wait(), "first");
  CHECK(ended.load(rn::detail::relaxed) == 6);
}

TEST_CASE("a failure may be a code, an error value or an exception_ptr") {
  rn::errgroup group;
  group.go([] { return std::make_error_code(std::errc::io_error); });
  CHECK_THROWS_AS(group.wait(), std::system_error);
  group.go([] { return std::error_code(); });
  CHECK_NOTHROW(group.wait());
  group.go([] { return outcome<std::string>{"bad"}; });
  CHECK(what_of(group.wait_result()) == "string bad");
  group.go([] { return outcome<std::string>{}; });
  CHECK_NOTHROW(group.wait());
  group.go([] { return outcome<std::exception_ptr>{std::make_exception_ptr(std::runtime_error("inner"))}; });
  CHECK_THROWS_WITH(group.wait(), "inner");
  group.go([] { return outcome<std::exception_ptr>{std::exception_ptr()}; });
  CHECK_THROWS_AS(group.wait(), std::logic_error);
}

TEST_CASE("the root cause wins over what canceled tasks report") {
  SECTION("the parent is done first: a real failure wins") {
    rn::scoped_context parent = rn::with_cancel(rn::context());
    rn::errgroup group(parent);
    gate reported;
    group.go([&](const rn::context& ctx) {
      until_done(ctx);
      reported.open();
      ctx.throw_if_done();
    });
    group.go([&](const rn::context& ctx) {
      until_done(ctx);
      reported.wait();
      throw std::runtime_error("real");
    });
    parent.cancel();
    CHECK_THROWS_WITH(group.wait(), "real");
  }
  SECTION("cancellations as codes") {
    rn::errgroup group;
    group.go([](const rn::context& ctx) {
      until_done(ctx);
      return ctx.err();
    });
    group.go([] { throw std::runtime_error("real"); });
    CHECK_THROWS_WITH(group.wait(), "real");
  }
  SECTION("a deadline of one task's own is a failure like any other") {
    rn::errgroup group;
    group.go([] { throw rn::context_error(rn::status::timed_out, "own deadline"); });
    CHECK_THROWS_AS(group.wait(), rn::context_error);
  }
}

TEST_CASE("a parent that was done before the last task ended is reported, with its cause") {
  rn::scoped_context parent = rn::with_cancel(rn::context());
  rn::errgroup group(parent);
  group.go([](const rn::context& ctx) { until_done(ctx); });
  parent.cancel(std::make_exception_ptr(std::runtime_error("why")));
  try {
    group.wait();
    FAIL("wait returned");
  } catch (const rn::context_error& e) {
    CHECK(e.code() == rn::status::canceled);
    CHECK(what_of(e.cause()) == "why");
  }
  rn::scoped_context late = rn::with_cancel(rn::context());
  rn::errgroup in_time(late);
  gate go_on;
  in_time.go([&] { go_on.wait(); });
  go_on.open();
  while (!in_time.try_wait()) rn::detail::yield();
  late.cancel();
  CHECK_NOTHROW(in_time.wait());
}

TEST_CASE("cancel on purpose is not reported, other failures are") {
  rn::scoped_context parent = rn::with_cancel(rn::context());
  rn::errgroup group(parent);
  const auto canceled_task = [](const rn::context& ctx) {
    until_done(ctx);
    ctx.throw_if_done();
  };
  group.go(canceled_task);
  group.cancel();
  CHECK(group.ctx().done());
  CHECK_NOTHROW(group.wait());
  group.go(canceled_task);
  CHECK_FALSE(group.ctx().done());
  group.go([](const rn::context& ctx) {
    until_done(ctx);
    throw std::runtime_error("clean-up failed");
  });
  group.cancel();
  CHECK_THROWS_WITH(group.wait(), "clean-up failed");
  group.go(canceled_task);
  group.cancel();
  parent.cancel();
  CHECK_NOTHROW(group.wait());  // the first answer wins
  group.go([] {});
  CHECK_THROWS_AS(group.wait(), rn::context_error);
}

TEST_CASE("collect_all keeps every failure and cancels nothing") {
  rn::errgroup group({}, {.collect_all = true});
  for (int i = 0; i < 20; ++i)
    group.go([i] {
      if (i % 2 == 0) throw std::runtime_error(std::to_string(i));
    });
  CHECK_FALSE(group.ctx().done());
  const auto error = group.wait_result();
  REQUIRE(group.errors().size() == 10);
  CHECK(what_of(error) == what_of(group.errors().front()));
  group.go([] {});
  CHECK(group.errors().empty());
  group.wait();
}

TEST_CASE("E10 a group's destructor cancels and waits") {
  for (int round = 0; round < 20; ++round) {
    counter ended{0};
    const auto token = std::make_shared<int>(0);
    {
      rn::errgroup group;
      for (int i = 0; i < 4; ++i)
        group.go([&ended, token](const rn::context& ctx) {
          until_done(ctx);
          ended.fetch_add(1, rn::detail::relaxed);
          throw std::runtime_error("nobody asks");
        });
    }
    REQUIRE(ended.load(rn::detail::relaxed) == 4);
    REQUIRE(token.use_count() == 1);
  }
}

TEST_CASE("tasks start tasks while wait is waiting") {
  rn::errgroup group;
  counter ran{0};
  for (int i = 0; i < 5; ++i)
    group.go([&] {
      for (int k = 0; k < 5; ++k) group.go([&] { ran.fetch_add(1, rn::detail::relaxed); });
    });
  group.wait();
  CHECK(ran.load(rn::detail::relaxed) == 25);
}

TEST_CASE("wait in a task of the group is refused") {
  rn::errgroup group;
  group.go([&] { group.wait(); });
  CHECK_THROWS_AS(group.wait(), std::logic_error);
  rn::errgroup outer;
  outer.go([] { rn::errgroup().wait(); });
  CHECK_NOTHROW(outer.wait());
}

TEST_CASE("the other forms of wait end the round only if they answer ok") {
  rn::errgroup group;
  gate go_on;
  group.go([&] { go_on.wait(); });
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  CHECK(group.wait(rn::with_timeout(ctx, 2ms)).status() == rn::status::timed_out);
  ctx.cancel();
  CHECK(group.wait(ctx).status() == rn::status::canceled);
  CHECK(group.try_wait().status() == rn::status::would_block);
  CHECK(group.try_wait_for(2ms).status() == rn::status::timed_out);
  CHECK(group.try_wait_until(rn::clock::now()).status() == rn::status::timed_out);
  CHECK_FALSE(group.ctx().done());
  go_on.open();
  CHECK(group.try_wait_for(1h).status() == rn::status::ok);
  CHECK(group.ctx().done());
  group.go([] { throw std::runtime_error("late"); });
  CHECK_THROWS_WITH(group.try_wait_until(rn::time_point::max()), "late");
  CHECK(group.wait(ctx).status() == rn::status::ok);
}

TEST_CASE("a function that cannot be copied is not started") {
  struct copy_throws {
    copy_throws() = default;
    copy_throws(const copy_throws&) { throw std::runtime_error("copy"); }
    void operator()() const {}
  };
  rn::errgroup group({}, {.limit = 1});
  const copy_throws f;
  for (int i = 0; i < 3; ++i) CHECK_THROWS_WITH(group.go(f), "copy");
  CHECK(group.try_go([] {}));
  CHECK_NOTHROW(group.wait());
}

TEST_CASE("W11 of 100 racing failures exactly one comes out, and it is the cause") {
  for (int round = 0; round < 10; ++round) {
    rn::errgroup group;
    const auto racing = [&group](int i) { group.go([i] { throw std::runtime_error(std::to_string(i)); }); };
    for (int i = 0; i < 100; ++i) racing(i);
    const rn::context ctx = group.ctx();
    const auto error = group.wait_result();
    REQUIRE(error != nullptr);
    CHECK(what_of(error) == what_of(ctx.cause()));
    CHECK(group.errors().size() == 1);
  }
}

static_assert(std::constructible_from<rn::errgroup, rn::scoped_context&>);
static_assert(!std::constructible_from<rn::errgroup, rn::scoped_context>);  // it would be canceled at the semicolon
static_assert(!std::constructible_from<rn::errgroup, const rn::scoped_context>);

template <class F>
concept starts = requires(rn::errgroup& group, F f) { group.go(f); } && requires(rn::errgroup& group, F f) { group.try_go(f); };
static_assert(starts<void (*)()> && starts<void (*)(const rn::context&)> && starts<void (*)(rn::context)>);
static_assert(starts<std::error_code (*)()> && starts<outcome<int> (*)(const rn::context&)>);
static_assert(!starts<int (*)()> && !starts<int (*)(const rn::context&)> && !starts<void (*)(int)>);

TEST_CASE("a failure that does not count is destroyed before wait returns") {
  counter destroyed{0};
  const auto slowly = [&destroyed](void*) {
    for (int i = 0; i < 100; ++i) rn::detail::yield();
    destroyed.fetch_add(1, rn::detail::acq_rel);
  };
  for (int round = 0; round < 20; ++round) {
    destroyed.store(0, rn::detail::relaxed);
    rn::errgroup group;
    for (int i = 0; i < 3; ++i) group.go([&] { throw std::shared_ptr<void>(&group, slowly); });
    const std::exception_ptr first = group.wait_result();
    REQUIRE(first != nullptr);
    REQUIRE(destroyed.load(rn::detail::acquire) == 2);
  }
}

TEST_CASE("a limit may be taken away as soon as no task runs, whoever waits for room") {
  for (int round = 0; round < 300; ++round) {
    counter ran{0};
    const auto task = [&ran] { ran.fetch_add(1, rn::detail::relaxed); };
    rn::errgroup group({}, {.limit = 1});
    group.go(task);
    std::thread starter([&] { group.go(task); });
    for (bool changed = false; !changed;) {
      try {
        group.set_limit(0);
        changed = true;
      } catch (const std::logic_error&) {
        rn::detail::yield();
      }
    }
    starter.join();
    group.wait();
    REQUIRE(ran.load(rn::detail::acquire) == 2);
  }
}

TEST_CASE("E07 a failure counts before its task's function is destroyed: what others make of that does not hide it") {
  rn::errgroup group;
  bool was_canceled = false;
  std::shared_ptr<void> told(nullptr, [&was_canceled, ctx = group.ctx()](void*) { was_canceled = ctx.done(); });
  auto ends = rn::make_channel<int>();
  group.go([to = std::move(ends.send)] { to.send(1); });  // throws when nobody can receive any more
  group.go([from = std::move(ends.recv), last = std::move(told)] { throw std::runtime_error("the root of it"); });
  CHECK(what_of(group.wait_result()) == "the root of it");
  CHECK(was_canceled);
}

}  // namespace errgroup_test
