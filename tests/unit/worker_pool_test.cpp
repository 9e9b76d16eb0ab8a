// worker_pool: its bounds are exact, what was accepted runs once, and nobody waits for ever, whoever waits for what.
#include <runnel/worker_pool.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace worker_pool_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::gate;
using support::party;
using support::read;

namespace {

// Jobs of few types, so that the pool's templates are compiled once.
using job = std::function<int()>;
using coroutine_job = std::function<rn::task<int>()>;
using answer = rn::future<int>;

/// Both are to live until this was awaited.
auto submit(party me, rn::worker_pool& pool, const job& f) {
  return me.either([&] { return pool.submit(f); }, [&] { return pool.async_submit(f).operator co_await(); });
}
auto submit(party me, const rn::context& ctx, rn::worker_pool& pool, const job& f) {
  return me.either([&] { return pool.submit(ctx, f); }, [&] { return pool.async_submit(ctx, f).operator co_await(); });
}
auto wait(party me, rn::worker_pool& pool) {
  return me.either([&] { pool.wait(); }, [&] { return pool.async_wait().operator co_await(); });
}
auto wait(party me, const rn::context& ctx, rn::worker_pool& pool) {
  return me.either([&] { return pool.wait(ctx); }, [&] { return pool.async_wait(ctx).operator co_await(); });
}
auto get(party me, answer& f) {
  return me.either([&] { return f.get(); }, [&] { return f.async_get(); });
}

void wait_for_callers(const rn::worker_pool& pool, std::size_t n) {
  support::wait_until([&] { return rn::detail::worker_pool_access::callers(pool) == n; });
}
/// A job that ends when the gate is opened.
job held_by(const gate& g, int value = 0) {
  return [&g, value] {
    g.wait();
    return value;
  };
}
/// The same as a coroutine: until the channel is closed.
coroutine_job held_by(const rn::channel<void>& ch, int value = 0) {
  return [&ch, value]() -> rn::task<int> {
    co_await ch.async_recv();
    co_return value;
  };
}
struct failure {
  int number;
};
/// The number of the failure that a future has.
template <class R>
int failure_of(rn::future<R> f) {
  try {
    f.get();
  } catch (const failure& e) {
    return e.number;
  }
  return 0;
}
/// How a call ended: ok if it threw nothing.
template <class F>
rn::status end_of(F f) {
  try {
    f();
  } catch (const rn::channel_closed&) {
    return rn::status::closed;
  } catch (const rn::context_error& e) {
    return e.code() == rn::status::timed_out ? rn::status::timed_out : rn::status::canceled;
  }
  return rn::status::ok;
}
/// The same for a submit by a party.
rn::task<> note_end(party me, rn::worker_pool& pool, const rn::context* ctx, const job& f, rn::status& end) {
  try {
    if (ctx == nullptr) {
      const answer submitted = co_await submit(me, pool, f);
    } else {
      const answer submitted = co_await submit(me, *ctx, pool, f);
    }
    end = rn::status::ok;
  } catch (const rn::channel_closed&) {
    end = rn::status::closed;
  } catch (const rn::context_error& e) {
    end = e.code() == rn::status::timed_out ? rn::status::timed_out : rn::status::canceled;
  }
}

rn::task<int> add(int a, int b) { co_return a + b; }
int twice(int a) { return 2 * a; }

struct without_default {
  explicit without_default(int v) : value(v) {}
  int value;
};

template <class F, class... Args>
concept submittable = requires(rn::worker_pool& pool, F f, Args... args) {
  pool.submit(f, args...);
  pool.try_submit(f, args...);
  pool.async_submit(f, args...);
};
static_assert(submittable<int (*)(int), int>);
static_assert(submittable<rn::task<int> (*)(int, int), int, int>);
static_assert(submittable<void (*)(const rn::context&)>);
static_assert(!submittable<int>);
static_assert(!submittable<int (*)(int)>);
static_assert(!submittable<int (*)(int), const char*>);
static_assert(!submittable<int& (*)()>);
static_assert(!std::is_constructible_v<rn::worker_pool, rn::scoped_context>);

}  // namespace

TEST_CASE("P01 M11 a pool runs functions and coroutines, and their futures have what they answer") {
  rn::worker_pool pool({.workers = 2, .queue = 20});
  CHECK(pool.submit(twice, 4).get() == 8);
  CHECK(pool.submit(add, 2, 3).get() == 5);
  CHECK(pool.submit([](std::unique_ptr<int> p) { return *p; }, std::make_unique<int>(6)).get() == 6);
  CHECK(pool.submit([] { return without_default(7); }).get().value == 7);
  CHECK(*pool.submit([] { return std::make_unique<int>(8); }).get() == 8);
  int called = 0;
  pool.submit([](int& n) { ++n; }, std::ref(called)).get();
  pool.submit([&](const rn::context& ctx) { called += ctx.done() ? 100 : 1; }).get();
  pool.submit(
          [&](const rn::context& ctx, int n) -> rn::task<> {
            called += ctx.done() ? 100 : n;
            co_return;
          },
          3)
      .get();
  CHECK(called == 5);
  auto tried = pool.try_submit(twice, 9);
  REQUIRE(tried);
  CHECK(tried->get() == 18);
  auto timed = pool.try_submit_for(1s, twice, 10);
  REQUIRE(timed);
  CHECK((*timed).get() == 20);
  CHECK((*pool.try_submit_until(rn::clock::now(), add, 1, 1)).get() == 2);
  CHECK(pool.submit(rn::context(), twice, 11).get() == 22);
}

TEST_CASE("P01 no more jobs run at once than there are workers, and as many as that do") {
  const auto how = GENERATE(values(support::mixes));
  const std::size_t workers = GENERATE(1U, 2U, 10U);
  const bool coroutines = GENERATE(false, true);
  INFO(support::name_of(how) << ", " << workers << " workers, " << (coroutines ? "coroutines" : "functions"));
  const int jobs = support::scaled(200, 60);
  counter now{0};
  counter most{0};
  counter wrong{0};
  counter ran{0};
  {
    const auto enter = [&] {
      const std::uint32_t n = now.fetch_add(1, rn::detail::acq_rel) + 1;
      if (n > workers) support::add(wrong);
      if (n == workers) most.store(1, rn::detail::release);
      support::add(ran);
    };
    const auto leave = [&] { now.fetch_sub(1, rn::detail::acq_rel); };
    // The first ones stay until all workers have one.
    const job function = [&] {
      enter();
      support::wait_until([&] { return read(most) == 1; });
      leave();
      return 0;
    };
    const coroutine_job coroutine = [&]() -> rn::task<int> {
      enter();
      while (read(most) == 0) co_await rn::async_sleep_for(20us);
      leave();
      co_return 0;
    };
    rn::worker_pool pool({.workers = workers, .queue = 3});
    support::parties parties(how);
    for (int p = 0; p < 2; ++p)
      parties.go([&](party me) -> rn::task<> {
        for (int i = 0; i < jobs / 2; ++i) {
          if (coroutines)
            co_await me.either([&] { return pool.submit(coroutine); },
                               [&] { return pool.async_submit(coroutine).operator co_await(); });
          else
            co_await submit(me, pool, function);
        }
      });
    parties.join();
  }
  CHECK(read(ran) == static_cast<std::uint32_t>(jobs));
  CHECK(read(wrong) == 0);
  CHECK(read(most) == 1);
}

TEST_CASE("P01 room is a number: as many as run and wait are accepted, and each that ends makes room for one") {
  const bool coroutines = GENERATE(false, true);
  constexpr std::size_t workers = 2;
  constexpr std::size_t queue = 3;
  gate open;
  const rn::channel<void> closed_later;
  rn::worker_pool pool({.workers = workers, .queue = queue});
  const auto try_held = [&] { return coroutines ? pool.try_submit(held_by(closed_later)) : pool.try_submit(held_by(open)); };
  for (std::size_t i = 0; i < workers + queue; ++i) CHECK(try_held());
  CHECK_FALSE(try_held());
  CHECK(pool.try_submit_for(200us, twice, 1).status() == rn::status::timed_out);
  CHECK(pool.try_submit_for(-1s, twice, 1).status() == rn::status::timed_out);
  auto kept = std::make_unique<int>(3);
  CHECK_FALSE(pool.try_submit([](std::unique_ptr<int>) {}, std::move(kept)));
  CHECK(kept != nullptr);  // what is refused has moved nothing
  open.open();
  closed_later.close();
  pool.wait();
  for (std::size_t i = 0; i < 100; ++i) CHECK(pool.submit(twice, 1).get() == 2);
  // A future that is ready means that there is room again.
  rn::worker_pool one({.workers = 1});
  for (int i = 0; i < support::scaled(2000, 300); ++i) {
    auto f = one.try_submit(twice, i);
    REQUIRE(f);
    REQUIRE(f->get() == 2 * i);
  }
  // None is held for more than can be.
  rn::worker_pool unbounded({.workers = 1, .queue = static_cast<std::size_t>(-1)});
  CHECK(unbounded.submit(twice, 2).get() == 4);
}

TEST_CASE("submitters wait for room, first come, first served, and none is lost") {
  const auto how = GENERATE(values(support::mixes));
  const std::size_t queue = GENERATE(0U, 2U);
  INFO(support::name_of(how));
  const int each = support::shared(how, support::scaled(400, 80));
  counter sum{0};
  rn::worker_pool pool({.workers = 2, .queue = queue});
  support::parties parties(how);
  for (int p = 0; p < 3; ++p)
    parties.go([&](party me) -> rn::task<> {
      const job f = [&] {
        support::add(sum);
        return 1;
      };
      for (int i = 0; i < each; ++i) {
        answer submitted = co_await submit(me, pool, f);
        if (i % 7 == 0) co_await get(me, submitted);
      }
    });
  parties.join();
  pool.wait();
  CHECK(read(sum) == static_cast<std::uint32_t>(3 * each));
}

TEST_CASE("P02 what a job throws is its future's, and the pool goes on") {
  rn::worker_pool pool({.workers = 2, .queue = 100});
  std::vector<answer> answers;
  for (int i = 1; i <= 20; ++i) {
    answers.push_back(pool.submit([i]() -> int { throw failure{i}; }));
    answers.push_back(pool.submit([i]() -> rn::task<int> {
      co_await rn::async_sleep_for(0s);
      throw failure{i};
      co_return 0;
    }));
  }
  pool.wait();  // which does not throw them
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CHECK(answers[i].ready());
    CHECK(failure_of(std::move(answers[i])) == static_cast<int>(i / 2) + 1);
  }
  CHECK(pool.submit(twice, 1).get() == 2);
}

TEST_CASE("P02 what nobody can be told by a future goes to the pool's handler") {
  counter sum{0};
  gate open;
  {
    rn::worker_pool pool({.workers = 1, .queue = 9, .on_unhandled = [&](std::exception_ptr error) {
                            try {
                              std::rethrow_exception(std::move(error));
                            } catch (const failure& e) {
                              support::add(sum, static_cast<std::uint32_t>(e.number));
                            }
                          }});
    {
      const answer dropped = pool.submit(held_by(open));
    }
    {
      const auto dropped = pool.submit([] { throw failure{1}; });
    }
    {
      const answer dropped = pool.submit([]() -> rn::task<int> {
        throw failure{10};
        co_return 0;
      });
    }
    auto kept = pool.submit([] { throw failure{100}; });
    open.open();
    CHECK(failure_of(std::move(kept)) == 100);
  }
  CHECK(read(sum) == 11);
}

TEST_CASE("P02 what has not begun when the context ends has thrown nothing, and the handler does not hear of it") {
  counter calls{0};
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  {
    gate open;
    rn::worker_pool pool(ctx,
                         {.workers = 1, .queue = 9, .on_unhandled = [&](const std::exception_ptr&) { support::add(calls, 1); }});
    const answer running = pool.submit(held_by(open));
    {
      const auto function = pool.submit([] {});
      const answer coroutine = pool.submit(add, 1, 2);
    }
    ctx.cancel();
    open.open();
    pool.wait();
  }
  CHECK(read(calls) == 0);
}

TEST_CASE("a function that takes any arguments gets those that were given, and the pool's context only where it needs that") {
  rn::worker_pool pool({.workers = 1, .queue = 4});
  CHECK(pool.submit([](auto... xs) { return (xs + ...); }, 1, 2).get() == 3);
  CHECK(pool.submit([](auto&&... xs) { return sizeof...(xs); }, 1, 2).get() == 2);
  CHECK(pool.submit([](const auto& ctx, int x) { return ctx.done() ? 0 : x; }, 3).get() == 3);
}

TEST_CASE("a copy that throws gives its place back") {
  struct fragile {
    fragile() = default;
    fragile(const fragile&) { throw failure{1}; }
    fragile(fragile&&) = default;
    int operator()() const { return 1; }
  };
  rn::worker_pool pool({.workers = 1});
  const fragile f;
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(pool.submit(f), failure);
  CHECK_THROWS_AS(pool.try_submit(f), failure);
  CHECK(pool.submit(fragile()).get() == 1);
  pool.wait();
}

TEST_CASE("P04 the pool's context is done: nothing more begins, and what has not begun fails with the cause") {
  const auto how = GENERATE(values(support::mixes));
  const bool with_cause = GENERATE(false, true);
  INFO(support::name_of(how));
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  gate open;
  rn::status waiting = rn::status::would_block;
  rn::worker_pool pool(ctx, {.workers = 1, .queue = 2});
  gate begun;
  answer running = pool.submit([&] {
    begun.open();
    open.wait();
    return 5;
  });
  begun.wait();
  auto function = pool.submit([] {});
  answer coroutine = pool.submit(add, 1, 2);
  support::parties parties(how);
  const job never_run = [] { return 1; };
  parties.go([&](party me) { return note_end(me, pool, nullptr, never_run, waiting); });
  wait_for_callers(pool, 1);
  if (with_cause)
    ctx.cancel(std::make_exception_ptr(failure{4}));
  else
    ctx.cancel();
  parties.join();  // although the worker is busy
  CHECK(waiting == rn::status::canceled);
  if (with_cause) {
    CHECK(failure_of(std::move(function)) == 4);
    CHECK(failure_of(std::move(coroutine)) == 4);
  } else {
    CHECK_THROWS_AS(function.get(), rn::context_error);
    CHECK_THROWS_AS(coroutine.get(), rn::context_error);
  }
  CHECK(end_of([&] { pool.submit([] {}); }) == rn::status::canceled);
  CHECK_FALSE(pool.try_submit([] {}));
  CHECK(pool.try_submit_for(1s, [] {}).status() == rn::status::canceled);
  CHECK_FALSE(running.ready());
  open.open();
  CHECK(running.get() == 5);  // what runs is not interrupted
  pool.wait();
  CHECK(pool.shutdown(rn::abandon).empty());
}

TEST_CASE("P04 a pool under a deadline, and jobs that look at the context") {
  const rn::scoped_context ctx = rn::with_timeout(rn::context(), 2ms);
  rn::worker_pool pool(ctx, {.workers = 1, .queue = 4});
  const rn::channel<int> never_sent;
  rn::status waited = rn::status::timed_out;
  CHECK(end_of([&] {  // however late it is
          auto waits = pool.submit([&](const rn::context& c) { return never_sent.recv(c).status(); });
          auto queued = pool.submit([] {});
          waited = waits.get();
          queued.get();
        }) == rn::status::timed_out);
  CHECK(waited == rn::status::timed_out);
  CHECK(end_of([&] { pool.submit([] {}); }) == rn::status::timed_out);
  CHECK(pool.try_submit_for(1s, [] {}).status() == rn::status::timed_out);
  rn::worker_pool dead(ctx);
  CHECK_FALSE(dead.try_submit([] {}));
  dead.wait();
}

TEST_CASE("P04 a wait for room ends with its context, and nothing is submitted then") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  gate open;
  rn::worker_pool pool({.workers = 1});
  answer running = pool.submit(held_by(open));
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::status first = rn::status::would_block;
  rn::status second = rn::status::would_block;
  counter ran{0};
  const job f = [&] {
    support::add(ran);
    return 1;
  };
  support::parties parties(how);
  parties.go([&](party me) { return note_end(me, pool, &ctx, f, first); });
  wait_for_callers(pool, 1);
  parties.go([&](party me) { return note_end(me, pool, nullptr, f, second); });
  wait_for_callers(pool, 2);
  ctx.cancel();
  wait_for_callers(pool, 1);
  open.open();
  parties.join();
  pool.wait();
  CHECK(first == rn::status::canceled);
  CHECK(second == rn::status::ok);
  CHECK(read(ran) == 1);
  CHECK(end_of([&] { pool.submit(ctx, f); }) == rn::status::canceled);  // also where there is room
  CHECK(end_of([&] { rn::sync_wait(pool.async_submit(ctx, f)); }) == rn::status::canceled);
  CHECK(end_of([&] { pool.submit(rn::with_timeout(rn::context(), 0s), f); }) == rn::status::timed_out);
}

TEST_CASE("a closed pool takes no more, also from those that wait, and runs what it has") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  gate open;
  rn::status waiting = rn::status::would_block;
  const job f = [] { return 3; };
  rn::worker_pool pool({.workers = 1, .queue = 1});
  answer running = pool.submit(held_by(open, 2));
  answer queued = pool.submit(f);
  support::parties parties(how);
  parties.go([&](party me) { return note_end(me, pool, nullptr, f, waiting); });
  wait_for_callers(pool, 1);
  pool.close();
  parties.join();
  CHECK(waiting == rn::status::closed);
  CHECK_THROWS_AS(pool.submit(f), rn::channel_closed);
  CHECK_THROWS_AS(rn::sync_wait(pool.async_submit(f)), rn::channel_closed);
  CHECK_FALSE(pool.try_submit(f));
  CHECK(pool.try_submit_for(1s, f).status() == rn::status::closed);
  pool.close();
  open.open();
  pool.wait();
  CHECK(running.get() == 2);
  CHECK(queued.get() == 3);
}

TEST_CASE("P15 wait() for an empty pool returns at once, again and again, and in all forms") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  rn::worker_pool pool({.workers = 1, .queue = 1});
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  gate open;
  rn::status idle = rn::status::would_block;
  rn::status busy = rn::status::would_block;
  support::parties parties(how);
  parties.run([&](party me) -> rn::task<> {
    co_await wait(me, pool);
    const auto at_once = co_await wait(me, over, pool);
    idle = at_once.status();
  });
  CHECK(idle == rn::status::ok);
  CHECK(pool.try_wait());
  answer running = pool.submit(held_by(open));
  CHECK(pool.try_wait().status() == rn::status::would_block);
  CHECK(pool.try_wait_for(100us).status() == rn::status::timed_out);
  CHECK(pool.try_wait_until(rn::clock::now()).status() == rn::status::timed_out);
  parties.run([&](party me) -> rn::task<> {
    const auto not_yet = co_await wait(me, over, pool);
    busy = not_yet.status();
  });
  CHECK(busy == rn::status::canceled);
  support::parties waiting(how);
  waiting.go([&](party me) -> rn::task<> { co_await wait(me, pool); });
  open.open();
  waiting.join();
  CHECK(running.ready());
  CHECK(pool.try_wait_for(1s));
}

TEST_CASE("P11 a job that would wait for its own pool is told so at once") {
  rn::worker_pool pool({.workers = 1, .queue = 1});
  const auto refused = [](auto f) {
    try {
      f();
    } catch (const std::logic_error&) {
      return true;
    }
    return false;
  };
  CHECK(pool.submit([&] { return refused([&] { pool.wait(); }); }).get());
  CHECK(pool.submit([&] { return refused([&] { static_cast<void>(pool.wait(rn::context())); }); }).get());
  CHECK(pool.submit([&] { return refused([&] { static_cast<void>(pool.try_wait()); }); }).get());
  CHECK(pool.submit([&] { return refused([&] { pool.shutdown(rn::drain); }); }).get());
  CHECK(pool.submit([&] { return refused([&] { pool.shutdown(rn::abandon); }); }).get());
  auto coroutine = pool.submit([&]() -> rn::task<> {
    co_await rn::async_sleep_for(0s);
    co_await pool.async_wait();
  });
  CHECK_THROWS_AS(coroutine.get(), std::logic_error);
  rn::worker_pool other({.workers = 1});
  CHECK_FALSE(pool.submit([&] { return refused([&] { other.wait(); }); }).get());
  CHECK(pool.submit(twice, 1).get() == 2);  // none of this has closed it
}

TEST_CASE("shutdown(drain): all that was accepted has run") {
  counter ran{0};
  rn::worker_pool pool({.workers = 2, .queue = 100});
  for (int i = 0; i < 50; ++i) pool.submit([&] { support::add(ran); });
  CHECK(pool.shutdown(rn::drain).empty());
  CHECK(read(ran) == 50);
  CHECK_THROWS_AS(pool.submit([] {}), rn::channel_closed);
  CHECK(pool.shutdown(rn::drain).empty());
  CHECK(pool.shutdown(rn::abandon).empty());
}

TEST_CASE("shutdown(abandon): what runs is waited for, what has not begun comes back and may be called later") {
  const bool timed = GENERATE(false, true);
  gate open;
  std::vector<rn::unstarted> left;
  std::vector<answer> answers;
  const auto context_seen = std::make_shared<counter>(0);
  {
    rn::worker_pool pool({.workers = 1, .queue = 4});
    answers.push_back(pool.submit(held_by(open, 100)));
    answers.push_back(pool.submit(twice, 1));
    answers.push_back(pool.submit(add, 1, 2));
    answers.push_back(pool.submit(twice, 3));
    answers.push_back(pool.submit([context_seen](const rn::context& ctx) -> rn::task<int> {
      co_await rn::async_sleep_for(10us);
      if (!ctx.done()) support::add(*context_seen);
      co_return 4;
    }));
    support::crew helper;
    helper.go([&] {
      if (end_of([&] { pool.submit(twice, 1); }) == rn::status::closed) open.open();
    });
    left = timed ? pool.shutdown(rn::drain_for(0s)) : pool.shutdown(rn::abandon);
    helper.join();
    CHECK(answers[0].get() == 100);
    CHECK(pool.try_wait());
  }
  REQUIRE(left.size() == 4);
  for (std::size_t i = 1; i < answers.size(); ++i) CHECK_FALSE(answers[i].ready());
  left[0]();
  CHECK(answers[1].get() == 2);
  CHECK_THROWS_AS(left[0](), std::logic_error);
  rn::unstarted moved = std::move(left[1]);
  CHECK_THROWS_AS(left[1](), std::logic_error);
  std::thread elsewhere([&] { moved(); });
  CHECK(answers[2].get() == 3);
  elsewhere.join();
  left[3]();
  CHECK(answers[4].get() == 4);
  CHECK(read(*context_seen) == 1);
  left.clear();
  CHECK(end_of([&] { answers[3].get(); }) == rn::status::canceled);
  for (answer& f : answers)
    if (f.valid()) CHECK(f.ready());
}

TEST_CASE("shutdown(drain_for): a limit that is enough, and one that is not") {
  counter ran{0};
  rn::worker_pool enough({.workers = 1, .queue = 10});
  for (int i = 0; i < 10; ++i) enough.submit([&] { support::add(ran); });
  CHECK(enough.shutdown(rn::drain_for(1h)).empty());
  CHECK(read(ran) == 10);
  rn::worker_pool not_enough({.workers = 1, .queue = 10});
  counter started{0};
  for (int i = 0; i < 5; ++i)
    not_enough.submit([&] {
      support::add(started);
      rn::sleep_for(3ms);
    });
  const std::size_t left = not_enough.shutdown(rn::drain_for(1ms)).size();
  CHECK(read(started) + left == 5);
}

TEST_CASE("a job may wait for a job that has not begun, in every form, with one worker") {
  rn::worker_pool pool({.workers = 1, .queue = 8});
  const auto inner = [&] { return pool.submit(twice, 3); };
  CHECK(pool.submit([&] { return inner().get(); }).get() == 6);
  CHECK(pool.submit([&] { return inner().get(rn::context()).value(); }).get() == 6);
  CHECK(pool.submit([&] { return inner().try_get_for(1h).value(); }).get() == 6);
  CHECK(pool.submit([&] {
              auto f = inner();
              rn::select(rn::on_ready(f));
              return f.get();
            })
            .get() == 6);
  CHECK(pool.submit([&] { return pool.submit(add, 2, 3).get(); }).get() == 5);
  CHECK(pool.submit([&]() -> rn::task<int> {
              co_await rn::async_sleep_for(0s);
              answer f = co_await pool.async_submit(twice, 4);
              co_return co_await f.async_get();
            })
            .get() == 8);
  CHECK(pool.submit([&]() -> rn::task<int> {
              answer f = co_await pool.async_submit(add, 4, 5);
              const auto got = co_await f.async_get(rn::context());
              co_return *got;
            })
            .get() == 9);
  CHECK(pool.submit([&]() -> rn::task<int> {
              answer f = co_await pool.async_submit(add, 5, 5);
              const std::size_t chosen = co_await rn::async_select(rn::on_ready(f));
              co_return chosen == 0 ? co_await f.async_get() : 0;
            })
            .get() == 10);
  // The last of many is awaited: it does not have to wait for those before it.
  const job last_of_eight = [&] {
    std::vector<answer> all;
    for (int i = 0; i < 8; ++i) all.push_back(pool.submit(twice, i));
    const int last = all.back().get();
    const bool first_waits = !all.front().ready();
    return first_waits ? last : 0;
  };
  CHECK(pool.submit(last_of_eight).get() == 14);
  // Elsewhere a wait begins nothing.
  gate open;
  answer running = pool.submit(held_by(open, 1));
  answer queued = pool.submit(twice, 1);
  CHECK(queued.try_get_for(300us).status() == rn::status::timed_out);
  open.open();
  CHECK(queued.get() == 2);
}

TEST_CASE("a job may submit where there is no room: what it submits runs at once") {
  rn::worker_pool pool({.workers = 1});
  CHECK(pool.submit([&] {
              answer f = pool.submit(twice, 3);
              const bool over = f.ready();
              const bool none = !pool.try_submit(twice, 3) && !pool.try_submit_for(0s, twice, 3);
              answer coroutine = pool.submit(rn::context(), add, 1, 3);
              auto timed = pool.try_submit_for(1h, twice, 5);
              return over && none && coroutine.ready() ? f.get() + coroutine.get() + (*timed).get() : 0;
            })
            .get() == 20);
  CHECK(pool.submit([&]() -> rn::task<int> {
              co_await rn::async_sleep_for(0s);
              answer f = co_await pool.async_submit(add, 4, 5);
              answer function = co_await pool.async_submit(rn::context(), twice, 1);
              const bool over = f.ready() && function.ready();
              co_return over ? f.get() + function.get() : 0;
            })
            .get() == 11);
  // To any depth.
  std::function<int(int)> nested = [&](int depth) { return depth == 0 ? 0 : pool.submit(nested, depth - 1).get() + 1; };
  CHECK(pool.submit(nested, 50).get() == 50);
}

namespace {

int leaves_of(rn::worker_pool& pool, int depth) {
  if (depth == 0) return 1;
  answer half = pool.submit([&pool, depth] { return leaves_of(pool, depth - 1); });
  const int other = leaves_of(pool, depth - 1);
  return other + half.get();
}
rn::task<int> leaves_of_later(rn::worker_pool& pool, int depth) {
  if (depth == 0) co_return 1;
  const coroutine_job half_of = [&pool, depth] { return leaves_of_later(pool, depth - 1); };
  answer half = co_await pool.async_submit(half_of);
  const int other = co_await leaves_of_later(pool, depth - 1);
  const int mine = co_await half.async_get();
  co_return other + mine;
}

}  // namespace

TEST_CASE("P14 work that is divided down to small jobs, each waiting for its parts") {
  const std::size_t workers = GENERATE(1U, 2U, 5U);
  const std::size_t queue = GENERATE(0U, 4U, 1U << 20U);
  INFO(workers << " workers, queue " << queue);
  rn::worker_pool pool({.workers = workers, .queue = queue});
  const int depth = support::scaled(11, 7);
  CHECK(pool.submit([&] { return leaves_of(pool, depth); }).get() == 1 << depth);
  CHECK(pool.submit([&] { return leaves_of_later(pool, depth - 2); }).get() == 1 << (depth - 2));
  pool.wait();
}

TEST_CASE("P14 millions of jobs that wait for one another") {
  const int depth = support::scaled(22, 12);
  rn::worker_pool pool({.workers = 2, .queue = 1U << 20U});
  CHECK(pool.submit([&] { return leaves_of(pool, depth); }).get() == 1 << depth);
}

TEST_CASE("P14 many small jobs") {
  const int jobs = support::scaled(200'000, 5000);
  counter sum{0};
  rn::worker_pool pool({.workers = 0, .queue = 1U << 20U});
  for (int i = 0; i < jobs; ++i) pool.submit([&] { support::add(sum); });
  pool.wait();
  CHECK(read(sum) == static_cast<std::uint32_t>(jobs));
}

TEST_CASE("a pool that is destroyed while others wait for room: they are turned away, what was accepted runs") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int rounds = support::shared(how, support::scaled(100, 30));
  for (int round = 0; round < rounds; ++round) {
    counter accepted{0};
    counter ran{0};
    counter in_time{0};
    const job counted = [&] {
      support::add(ran);
      return 1;
    };
    support::parties parties(how);
    {
      gate open;
      rn::worker_pool pool({.workers = 1, .queue = 1});
      const answer running = pool.submit(held_by(open));
      for (int p = 0; p < 2; ++p)
        parties.go([&](party me) -> rn::task<> {
          rn::status end = rn::status::would_block;
          co_await note_end(me, pool, nullptr, counted, end);
          if (end == rn::status::ok) support::add(accepted);
          support::add(in_time);
        });
      support::wait_until([&] { return rn::detail::worker_pool_access::callers(pool) + read(in_time) == 2; });
      open.open();
    }
    parties.join();
    REQUIRE(read(accepted) == read(ran));
    REQUIRE(read(accepted) >= 1);
  }
}

TEST_CASE("jobs that submit while their pool is closed or destroyed: accepted and run, or turned away") {
  for (int round = 0; round < support::scaled(300, 60); ++round) {
    counter accepted{0};
    counter ran{0};
    gate begun;
    {
      rn::worker_pool pool({.workers = 2, .queue = 4});
      pool.submit([&] {
        begun.open();
        for (int i = 0; i < 10; ++i) {
          const bool in = end_of([&] { pool.submit([&] { support::add(ran); }); }) == rn::status::ok;
          if (!in) return;
          support::add(accepted);
        }
      });
      begun.wait();
    }
    REQUIRE(read(accepted) == read(ran));
  }
}

TEST_CASE("a coroutine that is destroyed while it waits for room has submitted nothing, and takes none") {
  gate open;
  counter ran{0};
  rn::worker_pool pool({.workers = 1});
  answer running = pool.submit(held_by(open));
  const job f = [&] {
    support::add(ran);
    return 1;
  };
  const rn::scoped_context limit = rn::with_cancel(rn::context());
  for (const bool limited : {false, true}) {
    rn::runtime ends(1);
    ends.go([&]() -> rn::task<> {
      if (limited)
        co_await pool.async_submit(limit, f);
      else
        co_await pool.async_submit(f);
    });
    wait_for_callers(pool, 1);
    ends.shutdown(rn::abandon);
    wait_for_callers(pool, 0);
  }
  open.open();
  pool.wait();
  CHECK(pool.submit(f).get() == 1);
  CHECK(read(ran) == 1);
}

TEST_CASE("a pool on a runtime of its own, which is abandoned under it: no future waits for ever") {
  std::vector<answer> answers;
  const rn::channel<void> never_closed;
  rn::runtime places(2);
  {
    rn::worker_pool pool({.workers = 2, .queue = 10, .on = &places});
    for (int i = 0; i < 6; ++i) answers.push_back(pool.submit(held_by(never_closed)));
    answers.push_back(pool.submit(twice, 1));
    places.shutdown(rn::abandon);
    CHECK(pool.try_wait());
    CHECK_THROWS_AS(pool.submit(twice, 1), std::logic_error);
    CHECK(pool.try_wait());
  }
  for (answer& f : answers) CHECK(end_of([&] { f.get(); }) == rn::status::canceled);
}

TEST_CASE("workers that are more than their runtime has: each may block in what the library does not know") {
  constexpr std::uint32_t workers = 5;
  rn::runtime places(2);
  rn::worker_pool pool({.workers = workers, .queue = 20, .on = &places});
  counter here{0};
  for (std::uint32_t i = 0; i < workers; ++i)
    pool.submit([&] {
      support::add(here);
      while (read(here) < workers) std::this_thread::yield();
    });
  pool.wait();
  CHECK(read(here) == workers);
}

TEST_CASE("futures may outlive the pool, and be dropped at any time") {
  std::vector<answer> answers;
  {
    rn::worker_pool pool({.workers = 2, .queue = 50});
    for (int i = 0; i < 50; ++i) {
      answer f = pool.submit(twice, i);
      if (i % 2 == 0) answers.push_back(std::move(f));
    }
  }
  for (std::size_t i = 0; i < answers.size(); ++i) CHECK(answers[i].get() == 4 * static_cast<int>(i));
}

TEST_CASE("what a job holds is destroyed before its future is ready, and where it never runs") {
  const std::int64_t before = support::counted::live();
  {
    rn::worker_pool pool({.workers = 1, .queue = 4});
    gate open;
    answer running = pool.submit(held_by(open));
    auto function = pool.submit([](const support::counted& v) { return v.value(); }, support::counted(1));
    auto coroutine = pool.submit([](support::counted v) -> rn::task<int> { co_return v.value(); }, support::counted(2));
    open.open();
    CHECK(function.get() + coroutine.get() == 3);
    CHECK(support::counted::live() == before);
    gate again;
    running = pool.submit(held_by(again));
    pool.submit([](const support::counted&) {}, support::counted(1));
    pool.submit([](support::counted) -> rn::task<> { co_return; }, support::counted(1));
    support::crew helper;
    helper.go([&] { again.open(); });
    const auto left = pool.shutdown(rn::abandon);
    helper.join();
  }
  CHECK(support::counted::live() == before);
}

}  // namespace worker_pool_test
