#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>
#include <runnel/timer.hpp>

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"

namespace guarded_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

using flag = rn::detail::atomic<std::uint32_t>;

struct immovable {
  immovable(int a, std::unique_ptr<int> b) : sum(a + *b) {}
  immovable(const immovable&) = delete;
  immovable& operator=(const immovable&) = delete;
  int sum;
};

template <class G, class R>
concept lets_with = requires(G& g) {
  {
    g.with([](const int& v) { return v; })
  } -> std::same_as<R>;
};
static_assert(lets_with<rn::guarded<int>, int> && lets_with<const rn::guarded<int>, int>);
static_assert(!std::copy_constructible<rn::guarded<int>> && !std::movable<rn::guarded<int>>);
static_assert(std::movable<rn::guarded_ptr<int>> && !std::copy_constructible<rn::guarded_ptr<int>>);

}  // namespace

TEST_CASE("a guarded value is a member of an aggregate that is made of nothing") {
  struct stats {
    rn::guarded<std::vector<int>> seen;
    int hits = 0;
  };
  stats s{};
  s.seen.with([&](auto& seen) { seen.push_back(++s.hits); });
  CHECK(s.seen.lock()->size() == 1);
  std::array<rn::guarded<int>, 2> both{};
  CHECK(*both[1].lock() == 0);
}

TEST_CASE("a coroutine's predicate that throws when it is queued ends its wait") {
  rn::guarded<int> g(0);
  const auto end_of = [&](const auto& limit) -> rn::task<std::string> {
    int looks = 0;  // by others or by itself, before it waits
    const auto fails = [&](int /*value*/) -> bool { return looks++ == 0 ? false : throw std::runtime_error("predicate"); };
    try {
      const auto held = co_await limit(fails);
      co_return "held";
    } catch (const std::runtime_error& error) {
      co_return error.what();
    }
  };
  const rn::context background;
  CHECK(rn::sync_wait(end_of([&](const auto& fails) { return g.async_wait(fails); })) == "predicate");
  CHECK(rn::sync_wait(end_of([&](const auto& fails) { return g.async_wait(background, fails); })) == "predicate");
  CHECK(*g.lock() == 0);  // it is free
}

TEST_CASE("a coroutine that holds the lock while it waits keeps the others of its thread waiting, and refuses none") {
  rn::guarded<int> g(0);
  const rn::channel<void> tries;
  rn::runtime one(1);
  rn::errgroup group({}, {.on = &one});
  group.go([&]() -> rn::task<> {
    const auto held = co_await g.async_lock();
    co_await tries.async_recv();
    *held = 1;
  });
  group.go([&]() -> rn::task<> {
    co_await tries.async_send();
    const rn::context background;
    const auto held = co_await g.async_lock(background);
    *held *= 2;
  });
  group.wait();
  CHECK(*g.lock() == 2);
}

TEST_CASE("W15 with and lock let one thread in at a time") {
  rn::guarded<long> sum(0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        if (i % 2 == 0)
          sum.with([](long& v) { ++v; });
        else
          ++*sum.lock();
      }
    });
  for (auto& t : threads) t.join();
  CHECK(sum.with([](long v) { return v; }) == 8000);
}

TEST_CASE("a guarded value is made in place, and read through const") {
  rn::guarded<immovable> value(2, std::make_unique<int>(3));
  const auto& readable = value;
  CHECK(readable.with([](const immovable& v) { return v.sum; }) == 5);
  CHECK(readable.lock()->sum == 5);
  value.with([](immovable& v) { v.sum = 6; });
  CHECK((*value.lock()).sum == 6);
  rn::guarded deduced(std::string("abc"));
  const std::string& text = *deduced.lock();
  CHECK(text == "abc");
  const rn::guarded<std::vector<int>> empty;
  CHECK(empty.lock()->empty());
  CHECK(value.with([](immovable&) { return std::make_unique<int>(1); }) != nullptr);
}

TEST_CASE("W15 misuse: taking it twice, and unlocking what is not locked") {
  rn::guarded<int> value(0);
  CHECK_THROWS_AS(value.with([&](int&) { value.with([](int&) {}); }), std::logic_error);
  {
    auto held = value.lock();
    CHECK_THROWS_AS(value.lock(), std::logic_error);
    CHECK_THROWS_AS(value.wait([](int) { return true; }), std::logic_error);
    CHECK_THROWS_AS(value.try_wait([](int) { return true; }), std::logic_error);
    auto moved = std::move(held);
    CHECK_FALSE(held);
    CHECK_THROWS_AS(held.unlock(), std::logic_error);
    moved.unlock();
    CHECK_FALSE(moved);
    CHECK_THROWS_AS(moved.unlock(), std::logic_error);
  }
  CHECK_THROWS_AS(value.with([](int&) { throw std::runtime_error("f"); }), std::runtime_error);
  CHECK(value.lock());
}

TEST_CASE("W15 a waiter gets the lock while another hogs it in a loop") {
  rn::guarded<int> value(0);
  flag stop{0};
  std::thread hog([&] {
    while (stop.load(rn::detail::acquire) == 0)
      value.with([](int&) {
        const auto until = rn::clock::now() + 100us;
        while (rn::clock::now() < until) {
        }
      });
  });
  for (int i = 0; i < 10; ++i) value.with([](int& v) { ++v; });
  stop.store(1, rn::detail::release);
  hog.join();
  CHECK(*value.lock() == 10);
}

TEST_CASE("wait takes the lock once its predicate is true") {
  rn::guarded<std::deque<int>> queue;
  long sum = 0;
  std::thread consumer([&] {
    for (int i = 0; i < 500; ++i) {
      auto q = queue.wait([](const std::deque<int>& d) { return !d.empty(); });
      sum += q->front();
      q->pop_front();
    }
  });
  for (int i = 1; i <= 500; ++i) {
    queue.wait([](auto& d) { return d.size() < 3; })->push_back(i);
  }
  consumer.join();
  CHECK(sum == 500 * 501 / 2);
}

TEST_CASE("the lock goes to the first waiter whose predicate is true, with it still true") {
  rn::guarded<int> value(0);
  rn::guarded<std::vector<int>> order;
  flag queued{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      auto held = value.wait([&, first = true, i](int& v) mutable {
        if (std::exchange(first, false)) queued.store(static_cast<std::uint32_t>(i) + 1, rn::detail::release);
        return v > 0;
      });
      order.with([i](auto& o) { o.push_back(i); });
      --*held;
    });
    while (queued.load(rn::detail::acquire) != static_cast<std::uint32_t>(i) + 1) rn::detail::yield();
    static_cast<void>(value.lock());  // it has let go of the lock, so it is queued
  }
  value.with([](int& v) { v = 3; });
  for (auto& t : threads) t.join();
  CHECK(*order.lock() == std::vector<int>{0, 1, 2});
  CHECK(*value.lock() == 0);
}

TEST_CASE("waits that do not come true answer an empty pointer") {
  rn::guarded<int> value(0);
  const auto one = [](int v) { return v == 1; };
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  CHECK_FALSE(value.try_wait(one));
  const auto before = rn::clock::now();
  CHECK_FALSE(value.try_wait_for(3ms, one));
  CHECK(rn::clock::now() - before >= 3ms);
  CHECK_FALSE(value.try_wait_for(0ms, one));
  CHECK_FALSE(value.try_wait_until(rn::clock::now() + 2ms, one));
  CHECK_FALSE(value.wait(rn::with_timeout(ctx, 2ms), one));
  std::thread canceler([&] { ctx.cancel(); });
  CHECK_FALSE(value.wait(ctx, one));
  canceler.join();
  CHECK_FALSE(value.wait(ctx, one));
  value.with([](int& v) { v = 1; });
  CHECK(*value.wait(ctx, one) == 1);  // ready wins over done
  CHECK(value.try_wait(one));
  CHECK(value.try_wait_for(-1h, one));
  const auto held_elsewhere = [&] {
    auto held = value.lock();
    bool got = true;
    std::thread([&] { got = static_cast<bool>(value.try_wait(one)) || static_cast<bool>(value.try_wait_for(1ms, one)); }).join();
    return got;
  };
  CHECK_FALSE(held_elsewhere());
}

TEST_CASE("a predicate that throws ends its own wait, whoever calls it") {
  rn::guarded<int> value(0);
  const auto fails = [](int v) -> bool { return v == 0 ? false : throw std::runtime_error("predicate"); };
  flag queued{0};
  std::string what;
  std::thread waiter([&] {
    try {
      static_cast<void>(value.wait([&](int v) {
        queued.store(1, rn::detail::release);
        return fails(v);
      }));
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
  });
  while (queued.load(rn::detail::acquire) == 0) rn::detail::yield();
  value.with([](int& v) { v = 1; });
  waiter.join();
  CHECK(what == "predicate");
  CHECK_THROWS_AS(value.wait(fails), std::runtime_error);
  CHECK(*value.lock() == 1);
}

TEST_CASE("a predicate that uses its own guarded fails instead of waiting for ever") {
  rn::guarded<int> value(0);
  CHECK_THROWS_AS(value.wait([&](int) { return value.with([](int v) { return v == 0; }); }), std::logic_error);
  CHECK(value.lock());
}

TEST_CASE("timeouts and cancellations race with hand-overs, and no token is lost") {
  rn::guarded<int> tokens(0);
  constexpr int makers = 2;
  constexpr int each = 300;
  flag taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      while (taken.load(rn::detail::acquire) < makers * each) {
        const auto there = [](int v) { return v > 0; };
        auto held = t == 0 ? tokens.wait(rn::with_timeout(rn::context(), 20us), there) : tokens.try_wait_for(10us, there);
        if (!held) continue;
        --*held;
        taken.fetch_add(1, rn::detail::acq_rel);
      }
    });
  for (int t = 0; t < makers; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < each; ++i) tokens.with([](int& v) { ++v; });
    });
  for (auto& t : threads) t.join();
  CHECK(taken.load(rn::detail::acquire) == makers * each);
  CHECK(*tokens.lock() == 0);
}

TEST_CASE("lockers, waiters and hand-overs mixed, and the guarded ends with its last user") {
  for (int round = 0; round < 100; ++round) {
    auto value = std::make_unique<rn::guarded<int>>(0);
    std::thread a([&v = *value] {
      for (int i = 0; i < 20; ++i) v.with([](int& n) { ++n; });
    });
    std::thread b([&v = *value] {
      for (int i = 0; i < 20; ++i) ++*v.wait([](int n) { return n % 2 == 0 || n > 19; });
    });
    {
      auto last = value->wait([](int n) { return n == 40; });
    }
    a.join();
    b.join();
    value.reset();
  }
}

TEST_CASE("a guarded may end after a wait that gave up, with nobody having used it since") {
  const auto one = [](int v) { return v == 1; };
  {
    rn::guarded<int> timed(0);
    CHECK_FALSE(timed.try_wait_for(1ms, one));
  }
  {
    rn::guarded<int> canceled(0);
    CHECK_FALSE(canceled.wait(rn::with_timeout(rn::context(), 1ms), one));
  }
}

TEST_CASE("what a predicate throws for a wait that has ended meanwhile is destroyed by that waiter, under no lock") {
  rn::guarded<int> value(0);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  std::thread::id waiter_id;
  std::thread::id destroyed_by;
  const auto note = [&destroyed_by](void*) { destroyed_by = std::this_thread::get_id(); };
  bool got = true;
  std::thread waiter([&] {
    waiter_id = std::this_thread::get_id();
    got = static_cast<bool>(value.wait(ctx, [&](int v) -> bool {
      if (v == 0) return false;
      ctx.cancel();  // ends the wait while its predicate is asked
      throw std::shared_ptr<void>(&value, note);
    }));
  });
  // It has queued for the context's end, and so before that for the value.
  for (rn::detail::backoff pause; rn::detail::context_access::scope(ctx)->linked().second == 0;) pause.pause();
  value.with([](int& v) { v = 1; });
  waiter.join();
  CHECK_FALSE(got);
  CHECK(destroyed_by == waiter_id);
  CHECK(*value.lock() == 1);
}

}  // namespace guarded_test
