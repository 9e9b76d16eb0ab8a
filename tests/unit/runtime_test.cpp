#include <runnel/runnel.hpp>
#include <runnel/runtime.hpp>
#include <runnel/task.hpp>

#include <coroutine>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace runtime_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::scaled;

namespace {

/// Whether this thread runs a task of this runtime.
bool runs_on(const rn::runtime& r) { return rn::detail::scheduler::here_or_null() == &rn::detail::runtime_access::scheduler_of(r); }

/// Computes until the condition is true, and does not give its place up. False: that has taken too long.
template <class Condition>
bool spin_until(Condition condition) {
  const auto limit = rn::clock::now() + 5s;
  while (!condition()) {
    if (rn::clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

rn::task<int> answer(int value) { co_return value; }
rn::task<> add_one(support::counter& count) {
  support::add(count);
  co_return;
}
rn::task<std::int64_t> sum_of(int n) {
  std::int64_t total = 0;
  for (int i = 0; i < n; ++i) total += co_await answer(1);
  co_return total;
}
/// Sends and receives that need not wait.
rn::task<int> passes_on(int times) {
  const rn::channel<int> ch(1);
  int passed = 0;
  for (int i = 0; i < times; ++i) {
    co_await ch.async_send(i);
    const auto value = co_await ch.async_recv();
    if (value && *value == i) ++passed;
  }
  co_return passed;
}
rn::task<> receive_and_count(rn::channel<int> from, support::counter& count) {
  static_cast<void>(co_await from.async_recv());
  support::add(count);
}
rn::task<int> receive(rn::channel<int> from) {
  const auto value = co_await from.async_recv();
  co_return value ? *value : -1;
}

/// A local of a coroutine that says when it is destroyed.
struct tells {
  explicit tells(support::counter& c) noexcept : count(&c) {}
  tells(const tells&) = delete;
  tells& operator=(const tells&) = delete;
  ~tells() { support::add(*count); }
  support::counter* count;
};
rn::task<> waits_for_ever(rn::channel<int> on, support::counter& began, support::counter& destroyed) {
  const tells local(destroyed);
  support::add(began);
  co_await on.async_recv();
  std::terminate();
}

struct refuses {
  explicit refuses(std::unique_ptr<int>&& /*argument*/) { throw std::runtime_error("refused"); }
  void operator()() const noexcept {}
};
struct copy_throws {
  copy_throws() = default;
  copy_throws(const copy_throws&) { throw std::runtime_error("copy"); }
  void operator()() const {}
};

template <class Exception, class F>
bool throws(F f) {
  try {
    f();
  } catch (const Exception&) {
    return true;
  }
  return false;
}

}  // namespace

// Starting

TEST_CASE("what cannot be started is as it was, also a coroutine function") {
  rn::runtime ended(1);
  ended.shutdown(rn::drain);
  const auto stays = [&](const auto& start) {
    int whole = 0;
    auto function = [p = std::make_unique<int>(1), &whole] { whole += p != nullptr ? 1 : 0; };
    auto coroutine = [p = std::make_unique<int>(1), &whole]() -> rn::task<> {
      whole += p != nullptr ? 1 : 0;
      co_return;
    };
    CHECK_THROWS_AS(start(std::move(function)), std::logic_error);
    CHECK_THROWS_AS(start(std::move(coroutine)), std::logic_error);
    function();                  // NOLINT(bugprone-use-after-move): that is what is tested
    rn::sync_wait(coroutine());  // NOLINT(bugprone-use-after-move): likewise
    CHECK(whole == 2);
  };
  stays([&](auto&& f) { ended.go(std::forward<decltype(f)>(f)); });
  stays([&](auto&& f) { static_cast<void>(ended.async(std::forward<decltype(f)>(f))); });
  rn::errgroup group({}, {.on = &ended});
  stays([&](auto&& f) { group.go(std::forward<decltype(f)>(f)); });
  group.wait();
}

TEST_CASE("a runtime has the workers that it was asked for, and at least one") {
  rn::runtime three(3);
  CHECK(three.workers() == 3);
  CHECK(rn::runtime::global().workers() >= 1);
  CHECK(&rn::runtime::global() == &rn::runtime::global());
  const rn::runtime cores;
  CHECK(cores.workers() == rn::runtime::global().workers());
  CHECK_THROWS_AS(rn::runtime(0), std::invalid_argument);
}

TEST_CASE("a runtime runs functions and coroutines, and answers what they answer") {
  rn::runtime r(2);
  CHECK(r.async([](int a, int b) { return a + b; }, 2, 3).get() == 5);
  CHECK(*r.async([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(4)).get() == 4);
  CHECK(r.async(answer(6)).get() == 6);
  CHECK(r.async(answer, 7).get() == 7);
  CHECK(r.run(answer(8)) == 8);
  CHECK(r.run(sum_of(1000)) == 1000);
  CHECK_THROWS_AS(r.async([]() -> int { throw std::runtime_error("failed"); }).get(), std::runtime_error);
  auto fails = []() -> rn::task<int> {
    throw std::runtime_error("failed");
    co_return 0;
  };
  CHECK_THROWS_AS(r.async(fails()).get(), std::runtime_error);
  CHECK_THROWS_AS(r.run(fails()), std::runtime_error);
  support::counter ran{0};
  r.go([&] { support::add(ran); });
  r.go(add_one, std::ref(ran));
  r.go(add_one(ran));
  rn::go(add_one(ran));
  rn::go([&]() -> rn::task<> { return add_one(ran); });
  rn::go([&]() -> rn::task<std::error_code> {
    support::add(ran);
    co_return std::error_code();
  });
  support::wait_for(ran, 6);
}

TEST_CASE("what a coroutine lambda has captured lives until it has ended, and not longer than its future takes") {
  rn::runtime r(2);
  for (int i = 0; i < 50; ++i) {
    auto token = std::make_shared<int>(i);
    const std::weak_ptr<int> watch = token;
    const rn::channel<int> ch;
    auto f = r.async([token = std::move(token), ch]() -> rn::task<int> {
      const auto got = co_await ch.async_recv();
      co_return *got + *token;
    });
    ch.send(1);
    REQUIRE(f.get() == i + 1);
    REQUIRE(watch.expired());
  }
}

TEST_CASE("a task whose construction throws is not run, and its argument is as it was") {
  auto argument = std::make_unique<int>(1);
  CHECK_THROWS_AS(rn::detail::emplace_task<refuses>(rn::detail::scheduler::global(), std::move(argument)), std::runtime_error);
  REQUIRE(argument != nullptr);
  CHECK(*argument == 1);
  const copy_throws f;
  {
    rn::runtime r(1);
    CHECK_THROWS_AS(r.go(f), std::runtime_error);
    CHECK_THROWS_AS(r.async(f), std::runtime_error);
    CHECK(r.async([] { return 1; }).get() == 1);
  }
}

TEST_CASE("what a task starts runs on its runtime, elsewhere on the global one") {
  rn::runtime r(2);
  CHECK_FALSE(runs_on(r));
  CHECK(rn::async([] { return runs_on(rn::runtime::global()); }).get());
  auto check_all = [&r] {
    if (!runs_on(r)) return false;
    if (!rn::async([&r] { return runs_on(r); }).get()) return false;
    support::counter right{0};
    rn::wait_group group;
    group.go([&] { support::add(right, runs_on(r) ? 1 : 0); });
    group.go([&]() -> rn::task<> {
      support::add(right, runs_on(r) ? 1 : 0);
      co_return;
    });
    rn::errgroup tasks;
    tasks.go([&] { support::add(right, runs_on(r) ? 1 : 0); });
    tasks.go([&]() -> rn::task<> {
      support::add(right, runs_on(r) ? 1 : 0);
      co_return;
    });
    group.wait();
    tasks.wait();
    const rn::channel<bool> said;
    rn::go([&r, said] { said.send(runs_on(r)); });
    return said.recv().value() && support::read(right) == 4;
  };
  CHECK(r.async(check_all).get());
  auto waits_and_checks = [&]() -> rn::task<bool> {
    bool right = runs_on(r);
    co_await rn::async_sleep_for(1ms);
    right = right && runs_on(r);
    const rn::channel<int> ch;
    rn::go([ch] { ch.send(1); });
    co_await ch.async_recv();
    right = right && runs_on(r);
    auto f = rn::async([&r] { return runs_on(r); });
    const bool inner = co_await f.async_get();
    co_return right&& inner&& runs_on(r);
  };
  CHECK(r.run(waits_and_checks()));
}

TEST_CASE("a coroutine that a thread of another runtime lets go goes on on its own") {
  rn::runtime a(2);
  rn::runtime b(2);
  const rn::channel<int> ch;
  auto receives = [&]() -> rn::task<bool> {
    for (int i = 0; i < 50; ++i) {
      co_await ch.async_recv();
      if (!runs_on(a)) co_return false;
    }
    co_return true;
  };
  auto sends = [&]() -> rn::task<bool> {
    for (int i = 0; i < 50; ++i) {
      co_await ch.async_send(i);
      if (!runs_on(b)) co_return false;
    }
    co_return true;
  };
  auto first = a.async(receives);
  auto second = b.async(sends);
  CHECK(first.get());
  CHECK(second.get());
}

TEST_CASE("K04 a task that something foreign resumes elsewhere waits and goes on on its runtime again") {
  rn::runtime r(2);
  const rn::channel<int> ch;
  const rn::channel<std::coroutine_handle<>> handles(1);
  struct hop {
    const rn::channel<std::coroutine_handle<>>* to;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const { to->send(h); }
    void await_resume() const noexcept {}
  };
  auto f = r.async([&]() -> rn::task<bool> {
    co_await hop{&handles};
    const bool away = !runs_on(r);
    co_await ch.async_recv();
    co_return away&& runs_on(r);
  });
  support::crew crew;
  crew.go([h = *handles.recv()] { h.resume(); });
  support::wait_until_receiving(ch);
  ch.send(1);
  CHECK(f.get());
  crew.join();
}

TEST_CASE("errgroup_options.on says where a group's tasks run") {
  rn::runtime r(1);
  support::counter right{0};
  rn::errgroup group(rn::context(), {.limit = 0, .collect_all = false, .on = &r});
  group.go([&] { support::add(right, runs_on(r) ? 1 : 0); });
  group.go([&](const rn::context&) -> rn::task<> {
    co_await rn::async_sleep_for(1ms);
    support::add(right, runs_on(r) ? 1 : 0);
  });
  CHECK(group.try_go([&] { support::add(right, runs_on(r) ? 1 : 0); }));
  group.wait();
  CHECK(support::read(right) == 3);
}

// Waiting for one another

TEST_CASE("C17 a chain of functions, each waiting for the next, ends") {
  const int n = scaled(10000, 1000);
  const rn::channel<int> leftmost;
  rn::channel<int> left = leftmost;
  for (int i = 0; i < n; ++i) {
    const rn::channel<int> right;
    rn::go([left, right] { left.send(1 + right.recv().value()); });
    left = right;
  }
  rn::go([left] { left.send(0); });
  CHECK(leftmost.recv().value() == n);
}

TEST_CASE("C17 a chain of coroutines, each waiting for the next, ends") {
  const int n = scaled(10000, 3000);
  const rn::channel<int> leftmost;
  rn::channel<int> left = leftmost;
  for (int i = 0; i < n; ++i) {
    const rn::channel<int> right;
    rn::go([](rn::channel<int> to, rn::channel<int> from) -> rn::task<> {
      const auto value = co_await from.async_recv();
      co_await to.async_send(1 + *value);
    }(left, right));
    left = right;
  }
  rn::go([left] { left.send(0); });
  CHECK(leftmost.recv().value() == n);
}

TEST_CASE("functions that only compute never run on more threads than there are workers") {
  const unsigned workers = GENERATE(1U, 2U, 3U);
  support::counter running{0};
  support::counter most{0};
  support::counter ran{0};
  {
    rn::runtime r(workers);
    auto work = [&] {
      const std::uint32_t now = running.fetch_add(1, rn::detail::acq_rel) + 1;
      for (std::uint32_t seen = support::read(most); seen < now;)
        if (most.compare_exchange(seen, now, rn::detail::acq_rel, rn::detail::acquire)) break;
      for (int i = 0; i < 20; ++i) std::this_thread::yield();
      running.fetch_sub(1, rn::detail::acq_rel);
      support::add(ran);
    };
    const int n = scaled(50'000, 300);  // twice
    for (int i = 0; i < n; ++i) r.go(work);
    r.async([&] {
       for (int i = 0; i < n; ++i) rn::go(work);
     }).get();
    support::wait_for(ran, static_cast<std::uint32_t>(2 * n));
  }
  CHECK(support::read(most) <= workers);
}

TEST_CASE("B35 a function that waits lets others run in its place") {
  // On one worker: the first function waits for the second, which is started after it.
  rn::channel<int> ch;
  rn::channel<int> never;
  rn::wait_group group;
  group.add();
  rn::guarded<int> value(0);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  support::counter flag{0};
  rn::runtime r(1);
  const auto ends = [&](std::function<bool()> first, std::function<void()> second) {
    support::gate began;
    auto f = r.async([&, first = std::move(first)] { return began.open(), first(); });
    began.wait();
    auto s = r.async(std::move(second));
    const bool right = f.get();
    s.get();
    return right;
  };
  SECTION("recv") {
    CHECK(ends([&] { return ch.recv().value() == 1; }, [&] { ch.send(1); }));
  }
  SECTION("recv with a context, and until a time") {
    CHECK(ends([&] { return ch.recv(ctx).value() == 1; }, [&] { ch.send(1); }));
    CHECK(ends([&] { return ch.try_recv_for(1h).value() == 1; }, [&] { ch.send(1); }));
    CHECK(ends([&] { return ch.recv(ctx).status() == rn::status::canceled; }, [&] { ctx.cancel(); }));
  }
  SECTION("send") {
    CHECK(ends([&] { return ch.send(1), true; }, [&] { ch.recv(); }));
  }
  SECTION("a range over a channel") {
    CHECK(ends(
        [&] {
          int sum = 0;
          for (const int v : ch) sum += v;
          return sum == 3;
        },
        [&] { ch.send(1), ch.send(2), ch.close(); }));
  }
  SECTION("select") {
    CHECK(ends([&] { return rn::select(rn::on_recv(never), rn::on_recv(ch), rn::on_timeout(1h)) == 1; }, [&] { ch.send(1); }));
    CHECK(ends([&] { return rn::select(rn::on_recv(never), rn::on_done(ctx)) == 1; }, [&] { ctx.cancel(); }));
  }
  SECTION("selector") {
    rn::selector several;
    const std::size_t id = several.add(rn::on_recv(ch));
    CHECK(ends([&] { return several.wait() == id; }, [&] { ch.send(1); }));
  }
  SECTION("sleep_for") {
    CHECK(ends(
        [&] {
          while (support::read(flag) == 0) rn::sleep_for(1ms);
          return true;
        },
        [&] { support::add(flag); }));
    CHECK(ends([&] { return rn::sleep_for(ctx, 1h).status() == rn::status::canceled; }, [&] { ctx.cancel(); }));
  }
  SECTION("wait_group") {
    CHECK(ends([&] { return group.wait(), true; }, [&] { group.done(); }));
  }
  SECTION("future") {
    CHECK(ends([&] { return rn::async([&] { return ch.recv().value(); }).get() == 1; }, [&] { ch.send(1); }));
    CHECK(ends([&] { return rn::async(receive(ch)).get() == 1; }, [&] { ch.send(1); }));
  }
  SECTION("guarded: a predicate") {
    CHECK(ends([&] { return *value.wait([](int v) { return v == 1; }) == 1; }, [&] { value.with([](int& v) { v = 1; }); }));
  }
  SECTION("guarded: the lock") {
    support::gate let_go;
    support::crew crew;
    support::gate held_now;
    crew.go([&] {
      const auto held = value.lock();
      held_now.open();
      let_go.wait();
    });
    held_now.wait();
    CHECK(ends([&] { return *value.lock() == 0; }, [&] { let_go.open(); }));
  }
  SECTION("errgroup: wait") {
    CHECK(ends(
        [&] {
          rn::errgroup tasks;
          tasks.go([&] { ch.recv(); });
          tasks.wait();
          return true;
        },
        [&] { ch.send(1); }));
  }
  SECTION("errgroup: its limit") {
    CHECK(ends(
        [&] {
          rn::errgroup tasks(rn::context(), {.limit = 1, .collect_all = false, .on = nullptr});
          tasks.go([&] { ch.recv(); });
          tasks.go([] {});
          tasks.wait();
          return true;
        },
        [&] { ch.send(1); }));
  }
  SECTION("sync_wait") {
    CHECK(ends([&] { return rn::sync_wait(receive(ch)) == 1; }, [&] { ch.send(1); }));
  }
  SECTION("blocking_region") {
    CHECK(ends(
        [&] {
          const rn::blocking_region foreign;
          return spin_until([&] { return support::read(flag) != 0; });
        },
        [&] { support::add(flag); }));
  }
  if (support::read(flag) == 0) group.add();  // what the sections have left
}

TEST_CASE("K04 functions and coroutines wait for one another on one worker") {
  rn::runtime r(1);
  const rn::channel<int> there;
  const rn::channel<int> back;
  const int n = scaled(500, 100);
  auto pong = r.async([&]() -> rn::task<> {
    while (auto v = co_await there.async_recv()) co_await back.async_send(*v + 1);
    back.close();
  });
  auto ping = r.async([&] {
    std::int64_t sum = 0;
    for (int i = 0; i < n; ++i) {
      there.send(i);
      sum += back.recv().value();
    }
    there.close();
    return sum;
  });
  CHECK(ping.get() == static_cast<std::int64_t>(n) * (n + 1) / 2);
  pong.get();
}

TEST_CASE("a coroutine that waits takes no worker") {
  rn::runtime r(1);
  const int n = scaled(2000, 500);
  const rn::channel<int> ch;
  std::vector<rn::future<int>> waiting;
  for (int i = 0; i < n; ++i) waiting.push_back(r.async(receive(ch)));
  CHECK(r.async([] { return 1; }).get() == 1);
  for (int i = 0; i < n; ++i) ch.send(i);
  std::int64_t sum = 0;
  for (auto& f : waiting) sum += f.get();
  CHECK(sum == static_cast<std::int64_t>(n) * (n - 1) / 2);
}

/// Whether a task that is started behind others on one worker runs although they go on: each awaits one() again and again.
template <class One>
bool lets_others_run(int tasks, One one) {
  const auto limit = rn::clock::now() + 10s;
  bool stop = false;  // of one worker
  bool in_time = true;
  rn::runtime r(1);
  r.go([](rn::runtime& on, int count, One& op, bool& over, bool& before, rn::time_point until) -> rn::task<> {
    for (int i = 0; i < count; ++i)
      on.go([](One& o, bool& end, bool& early, rn::time_point last) -> rn::task<> {
        while (!end && early) {
          static_cast<void>(co_await o());
          early = rn::clock::now() < last;
        }
      }(op, over, before, until));
    on.go([](bool& end) -> rn::task<> {
      end = true;
      co_return;
    }(over));
    co_return;
  }(r, tasks, one, stop, in_time, limit));
  r.shutdown(rn::drain);
  return in_time;
}

TEST_CASE("coroutines whose operations need not wait let others run") {
  const int tasks = GENERATE(1, 3);
  const rn::channel<int> ch(64);
  const rn::channel<int> full(1);
  full.send(1);
  const auto ctx = rn::with_timeout(rn::context(), 1h);
  SECTION("a receive") {
    CHECK(lets_others_run(tasks, [&] {
      static_cast<void>(ch.try_send(1));
      return ch.async_recv();
    }));
  }
  SECTION("a send") {
    const int copied = 1;
    CHECK(lets_others_run(tasks, [&] {
      static_cast<void>(ch.try_recv());
      return ch.async_send(copied);
    }));
  }
  SECTION("with a context") {
    CHECK(lets_others_run(tasks, [&] {
      static_cast<void>(ch.try_send(1));
      return ch.async_recv(ctx);
    }));
  }
  SECTION("several at once") {
    std::vector<int> some;
    CHECK(lets_others_run(tasks, [&] {
      some.clear();
      static_cast<void>(ch.try_send(1));
      return ch.async_recv_many(some, 8);
    }));
  }
  SECTION("a select that finds something") {
    CHECK(lets_others_run(tasks, [&] {
      static_cast<void>(ch.try_send(1));
      return rn::async_select(rn::on_recv(ch, [](auto) {}), rn::on_done(ctx));
    }));
  }
  SECTION("a select that takes its default") {
    CHECK(lets_others_run(tasks, [&] { return rn::async_select(rn::on_send(full, 1), rn::otherwise()); }));
  }
  SECTION("a selector") {
    rn::selector cases;
    cases.add(rn::on_recv(ch, [](auto) {}));
    CHECK(lets_others_run(1, [&] {
      static_cast<void>(ch.try_send(1));
      return cases.async_wait();
    }));
  }
  SECTION("a lock") {
    rn::guarded<int> count;
    CHECK(lets_others_run(tasks, [&] { return count.async_lock(); }));
  }
  SECTION("permits") {
    rn::semaphore permits(std::int64_t{1} << 40);
    CHECK(lets_others_run(tasks, [&] { return permits.async_acquire(); }));
  }
  SECTION("tasks that do not wait") {
    CHECK(lets_others_run(tasks, [] { return answer(1); }));
  }
}

/// Whether a task waits for a lock that coroutines of its worker take again and again, and is not told that its thread has it.
template <class Take, class Use>
bool waits_for_what_others_hold(Take take, Use use) {
  support::counter stop{0};  // whoever waits gives its place up, and ends beside those that run there
  support::counter waited{0};
  rn::runtime r(1);
  r.go([](rn::runtime& on, Take& one, Use& other, support::counter& over, support::counter& had) -> rn::task<> {
    on.go([](Take& takes, support::counter& end) -> rn::task<> { co_await takes(end); }(one, over));
    on.go([](Use& uses, support::counter& end, support::counter& without_error) -> rn::task<> {
      if (!throws<std::logic_error>(uses)) support::add(without_error);
      support::add(end);
      co_return;
    }(other, over, had));
    co_return;
  }(r, take, use, stop, waited));
  r.shutdown(rn::drain);
  return support::read(waited) == 1;
}

TEST_CASE("a lock that a coroutine has been given before it lets others go first is not its thread's") {
  SECTION("guarded") {
    rn::guarded<int> value;
    CHECK(waits_for_what_others_hold(
        [&](const support::counter& end) -> rn::task<> {
          while (support::read(end) == 0) static_cast<void>(co_await value.async_lock());
        },
        [&] { value.with([](int& n) { ++n; }); }));
  }
  SECTION("rw_guarded") {
    rn::rw_guarded<int> value;
    CHECK(waits_for_what_others_hold(
        [&](const support::counter& end) -> rn::task<> {
          while (support::read(end) == 0) static_cast<void>(co_await value.async_write_lock());
        },
        [&] { value.write([](int& n) { ++n; }); }));
  }
}

TEST_CASE("a coroutine that let others go first is destroyed with its runtime") {
  support::counter started;
  support::counter gone;
  const rn::channel<int> ch(1);
  const auto ctx = rn::with_timeout(rn::context(), 1h);
  {
    rn::runtime r(1);
    const auto busy = [&](bool limited) -> rn::task<> {
      const tells here(gone);
      support::add(started);
      for (;;) {
        if (limited) {
          static_cast<void>(co_await ch.async_send(ctx, 1));
          static_cast<void>(co_await ch.async_recv(ctx));
        } else {
          co_await ch.async_send(1);
          static_cast<void>(co_await ch.async_recv());
        }
      }
    };
    r.go(busy(false));
    r.go(busy(true));
    support::wait_for(started, 2);
    r.shutdown(rn::abandon);
    CHECK(support::read(gone) == 2);
  }
}

TEST_CASE("a hand-over that is stuck behind a long step is taken over by a place that is idle") {
  rn::runtime r(2);
  for (int i = 0; i < 5; ++i) {
    const rn::channel<int> ch;
    support::counter flag{0};
    auto b = r.async(receive_and_count(ch, flag));
    support::wait_until_receiving(ch);
    auto a = r.async([&]() -> rn::task<bool> {
      co_await ch.async_send(1);
      co_return spin_until([&] { return support::read(flag) != 0; });
    });
    CHECK(a.get());
    b.get();
  }
}

/// Two coroutines that wait, each for a value of its own, and count what comes.
struct two_receivers {
  explicit two_receivers(rn::runtime& r)
      : one(r.async(receive_and_count(first, came))), two(r.async(receive_and_count(second, came))) {
    support::wait_until_receiving(first);
    support::wait_until_receiving(second);
  }
  [[nodiscard]] bool have_come(std::uint32_t n) const {
    return spin_until([&] { return support::read(came) == n; });
  }
  /// Before the counter goes.
  void end() {
    first.close();
    second.close();
    one.get();
    two.get();
  }

  rn::channel<int> first;
  rn::channel<int> second;
  support::counter came{0};
  rn::future<void> one;
  rn::future<void> two;
};

TEST_CASE("two hand-overs that are stuck behind a long step are taken over, the one in the next slot and the one in the queue") {
  rn::runtime r(2);
  for (int i = 0; i < 5; ++i) {
    two_receivers waiting(r);
    auto a = r.async([&]() -> rn::task<bool> {
      co_await waiting.first.async_send(1);
      co_await waiting.second.async_send(2);
      co_return waiting.have_come(2);
    });
    CHECK(a.get());
    waiting.end();
  }
}

TEST_CASE("a hand-over that is stuck behind a long step is taken over by a place that becomes idle later") {
  rn::runtime r(2);
  const rn::channel<int> ch;
  support::counter flag{0};
  support::counter handed_over{0};
  support::counter filling{0};
  auto b = r.async([&]() -> rn::task<> {
    co_await ch.async_recv();
    support::add(flag);
  });
  support::wait_until_receiving(ch);
  auto filler = r.async([&] {
    support::add(filling);
    return spin_until([&] { return support::read(handed_over) != 0; });
  });
  support::wait_for(filling, 1);
  auto a = r.async([&]() -> rn::task<bool> {
    co_await ch.async_send(1);
    support::add(handed_over);
    co_return spin_until([&] { return support::read(flag) != 0; });
  });
  CHECK(filler.get());
  CHECK(a.get());
  b.get();
}

TEST_CASE("a hand-over that is stuck behind a long step is taken over, whenever it is made") {
  rn::runtime r(2);
  int stuck = 0;
  for (int delay = 6000; delay <= 11000; delay += scaled(50, 100)) {
    two_receivers waiting(r);
    auto a = r.async([&]() -> rn::task<bool> {
      co_await waiting.first.async_send(1);
      if (!waiting.have_come(1)) co_return false;
      const auto until = rn::clock::now() + std::chrono::microseconds(delay);
      spin_until([&] { return rn::clock::now() >= until; });
      co_await waiting.second.async_send(1);
      co_return waiting.have_come(2);
    });
    if (!a.get()) ++stuck;
    waiting.end();
    if (stuck == 2) break;
  }
  CHECK(stuck == 0);
}

TEST_CASE("workers take tasks from one another, more of them than a queue holds too") {
  rn::runtime r(2);
  const std::uint32_t n = GENERATE(1U, 100U, 1000U);
  support::counter ran{0};
  auto all_ran = r.async([&] {
    for (std::uint32_t i = 0; i < n; ++i) rn::go([&] { support::add(ran); });
    return spin_until([&] { return support::read(ran) == n; });  // keeps its place
  });
  CHECK(all_ran.get());
}

TEST_CASE("tasks that start tasks, functions and coroutines, all run") {
  support::counter ran{0};
  const int depth = scaled(10, 8);
  {
    rn::runtime r(2);
    struct tree {
      support::counter& count;
      void operator()(int d) const {
        support::add(count);
        if (d == 0) return;
        rn::go(*this, d - 1);
        rn::go(coroutine(*this, d - 1));
      }
      static rn::task<> coroutine(tree t, int d) {
        support::add(t.count);
        if (d == 0) co_return;
        rn::go(t, d - 1);
        rn::go(coroutine(t, d - 1));
      }
    };
    r.go(tree{ran}, depth);
  }
  CHECK(support::read(ran) == (2U << static_cast<unsigned>(depth)) - 1);
}

TEST_CASE("B29 threads start tasks on a runtime at once, and all run") {
  support::counter ran{0};
  const int each = scaled(500, 200);
  {
    rn::runtime r(2);
    support::crew crew;
    for (int s = 0; s < 4; ++s)
      crew.go([&, s] {
        for (int i = 0; i < each; ++i)
          if (s % 2 == 0)
            r.go([&] { support::add(ran); });
          else
            r.go(add_one(ran));
      });
    crew.join();
  }
  CHECK(support::read(ran) == static_cast<std::uint32_t>(4 * each));
}

// The end

TEST_CASE("a runtime's destructor waits for all of its work") {
  support::counter ran{0};
  const int n = scaled(1000, 300);
  {
    rn::runtime r(2);
    for (int i = 0; i < n; ++i) r.go([&] { rn::go(add_one(ran)); });
  }
  CHECK(support::read(ran) == static_cast<std::uint32_t>(n));
  {
    const rn::runtime unused(2);
  }
}

TEST_CASE("drain waits for functions, and for coroutines that others let go") {
  const rn::channel<int> ch;
  support::gate go_on;
  support::counter ended{0};
  support::crew crew;
  rn::runtime r(2);
  r.go([&] {
    go_on.wait();
    support::add(ended);
  });
  r.go([&]() -> rn::task<> {
    co_await ch.async_recv();
    co_await rn::async_sleep_for(2ms);
    rn::go([&] { support::add(ended); });  // belongs to it
    support::add(ended);
  });
  support::wait_until_receiving(ch);
  crew.go([&] {
    go_on.open();
    ch.send(1);
  });
  r.shutdown(rn::drain);
  CHECK(support::read(ended) == 3);
  r.shutdown(rn::drain);
  r.shutdown(rn::abandon);
  crew.join();
}

TEST_CASE("nothing is started on a runtime that was shut down") {
  const bool drained = GENERATE(true, false);
  rn::runtime r(1);
  support::counter ran{0};
  r.go(add_one(ran));
  support::wait_for(ran, 1);
  if (drained)
    r.shutdown(rn::drain);
  else
    r.shutdown(rn::abandon);
  auto argument = std::make_unique<int>(1);
  auto take = [](std::unique_ptr<int> /*p*/) {};
  CHECK_THROWS_AS(r.go(take, std::move(argument)), std::logic_error);
  CHECK(argument != nullptr);
  CHECK_THROWS_AS(r.async(take, std::move(argument)), std::logic_error);
  CHECK(argument != nullptr);
  rn::task<> work = add_one(ran);
  CHECK_THROWS_AS(r.go(std::move(work)), std::logic_error);
  CHECK_THROWS_AS(r.async(answer(1)), std::logic_error);
  CHECK_THROWS_AS(r.run(answer(1)), std::logic_error);
  {
    rn::errgroup group(rn::context(), {.limit = 0, .collect_all = false, .on = &r});
    CHECK_THROWS_AS(group.go([] {}), std::logic_error);
    CHECK_THROWS_AS(group.go([]() -> rn::task<> { co_return; }), std::logic_error);
    group.wait();
  }
  CHECK(support::read(ran) == 1);
}

TEST_CASE("a runtime is not shut down by its own task, nor the global one by anybody") {
  rn::runtime r(2);
  auto shuts_down = [&] {
    return throws<std::logic_error>([&] { r.shutdown(rn::drain); }) && throws<std::logic_error>([&] { r.shutdown(rn::abandon); }) &&
           throws<std::logic_error>([&] { r.shutdown(rn::drain_for(1ms)); });
  };
  CHECK(r.async(shuts_down).get());
  CHECK(r.run([](auto& f) -> rn::task<bool> { co_return f(); }(shuts_down)));
  CHECK(r.async([] { return 1; }).get() == 1);
  CHECK_THROWS_AS(rn::runtime::global().shutdown(rn::drain), std::logic_error);
  CHECK_THROWS_AS(rn::runtime::global().shutdown(rn::abandon), std::logic_error);
  CHECK_THROWS_AS(rn::runtime::global().shutdown(rn::drain_for(1s)), std::logic_error);
  CHECK(rn::async([] { return 1; }).get() == 1);
  rn::runtime other(1);  // of another runtime it may
  CHECK(r.async([&] { return other.shutdown(rn::drain), true; }).get());
}

TEST_CASE("drain_for waits for its time, then abandons") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  {
    rn::runtime r(2);
    auto f = r.async(waits_for_ever(never, began, destroyed));
    support::wait_until_receiving(never);
    const auto begin = rn::clock::now();
    r.shutdown(rn::drain_for(5ms));
    CHECK(rn::clock::now() - begin >= 5ms);
    CHECK(support::read(destroyed) == 1);
    CHECK(support::receiving(never) == 0);
    CHECK_THROWS_AS(f.get(), rn::context_error);
  }
  {
    rn::runtime r(2);
    auto f = r.async([] { return 1; });
    r.shutdown(rn::drain_for(1h));
    CHECK(f.get() == 1);
  }
}

TEST_CASE("abandon destroys coroutines that wait, and their locals") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  const auto n = static_cast<std::uint32_t>(scaled(200, 50));
  std::vector<rn::future<void>> futures;
  rn::runtime r(2);
  auto outer = [&]() -> rn::task<> {
    const tells local(destroyed);
    co_await waits_for_ever(never, began, destroyed);
  };
  for (std::uint32_t i = 0; i < n; ++i) futures.push_back(r.async(outer));
  support::wait_until_receiving(never, n);
  r.shutdown(rn::abandon);
  CHECK(support::read(destroyed) == 2 * n);
  CHECK(support::receiving(never) == 0);
  for (auto& f : futures) {
    REQUIRE(f.ready());
    CHECK_THROWS_AS(f.get(), rn::context_error);
  }
}

TEST_CASE("abandon drops what has not begun, and its futures say so") {
  support::counter began{0};
  support::counter ran{0};
  support::counter go_on{0};
  auto token = std::make_shared<int>(0);
  rn::runtime r(1);
  auto first = r.async([&] {
    support::add(began);
    return spin_until([&] { return support::read(go_on) != 0; });  // keeps its place
  });
  support::wait_for(began, 1);
  std::vector<rn::future<void>> futures;
  for (int i = 0; i < 10; ++i) futures.push_back(r.async([&, token] { support::add(ran); }));
  for (int i = 0; i < 10; ++i) futures.push_back(r.async([&, token]() -> rn::task<> { return add_one(ran); }));
  r.go([&, token] { support::add(ran); });
  CHECK(token.use_count() > 1);
  r.shutdown(rn::abandon);
  CHECK(token.use_count() == 1);
  for (auto& f : futures) {
    REQUIRE(f.ready());
    CHECK_THROWS_AS(f.get(), rn::context_error);
  }
  CHECK(support::read(ran) == 0);
  CHECK_FALSE(first.ready());  // it was left alone
  support::add(go_on);
  CHECK(first.get());
}

TEST_CASE("abandon drops what a task that goes on has started and has not begun") {
  support::counter started{0};
  support::counter go_on{0};
  rn::future<int> inner;
  rn::runtime r(1);
  auto first = r.async([&] {
    inner = rn::async([] { return 1; });
    support::add(started);
    return spin_until([&] { return support::read(go_on) != 0; });  // keeps its place
  });
  support::wait_for(started, 1);
  r.shutdown(rn::abandon);
  const auto ended = inner.try_wait_for(1s);
  CHECK(ended.status() == rn::status::ok);
  support::add(go_on);
  first.get();
  CHECK_THROWS_AS(inner.get(), rn::context_error);
}

TEST_CASE("abandon waits for no function, also one that has let a coroutine go") {
  const rn::channel<int> ch;
  support::counter sent{0};
  support::counter abandoned{0};
  rn::runtime r(1);
  r.go([](rn::channel<int> from) -> rn::task<> { co_await from.async_recv(); }(ch));
  support::wait_until_receiving(ch);
  auto f = r.async([&] {
    ch.send(1);
    support::add(sent);
    return spin_until([&] { return support::read(abandoned) != 0; });  // keeps its place
  });
  support::wait_for(sent, 1);
  r.shutdown(rn::abandon);
  support::add(abandoned);
  CHECK(f.get());
}

TEST_CASE("abandon leaves functions that wait alone, and they may end later") {
  const rn::channel<int> ch;
  auto result = std::make_shared<support::counter>(0U);
  rn::future<int> f;
  {
    rn::runtime r(2);
    f = r.async([ch, result] {
      const int value = ch.recv().value();
      result->store(static_cast<std::uint32_t>(value), rn::detail::release);
      return value;
    });
    support::wait_until_receiving(ch);
    r.shutdown(rn::abandon);
  }
  CHECK_FALSE(f.ready());
  ch.send(7);
  CHECK(f.get() == 7);
  CHECK(support::read(*result) == 7);
}

TEST_CASE("a function that was left alone cannot start tasks any more") {
  const rn::channel<int> ch;
  rn::runtime r(1);
  auto f = r.async([&] {
    ch.recv();
    return throws<std::logic_error>([] { rn::go([] { std::terminate(); }); });
  });
  support::wait_until_receiving(ch);
  r.shutdown(rn::abandon);
  ch.send(1);
  CHECK(f.get());
}

TEST_CASE("waits for groups whose tasks were abandoned end") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  support::counter go_on{0};
  rn::wait_group group;
  rn::runtime r(1);
  rn::errgroup tasks(rn::context(), {.limit = 0, .collect_all = false, .on = &r});
  tasks.go([&] { return waits_for_ever(never, began, destroyed); });
  r.async([&] { group.go([&] { return waits_for_ever(never, began, destroyed); }); }).get();
  support::wait_until_receiving(never, 2);
  auto left_alone = r.async([&] {
    support::add(began);
    spin_until([&] { return support::read(go_on) != 0; });
  });
  support::wait_for(began, 3);
  tasks.go([] { std::terminate(); });  // these do not begin
  tasks.go([]() -> rn::task<> {
    std::terminate();
    co_return;
  });
  r.shutdown(rn::abandon);
  CHECK(support::read(destroyed) == 2);
  group.wait();
  CHECK_THROWS_AS(tasks.wait(), rn::context_error);
  support::add(go_on);
  left_alone.get();
}

TEST_CASE("abandon destroys coroutines whose frames have groups of tasks that wait at other places") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  rn::runtime r(2);
  auto own = [&]() -> rn::task<bool> {
    rn::errgroup group;
    group.go([&] { return waits_for_ever(never, began, destroyed); });
    const bool elsewhere = spin_until([&] { return support::read(began) != 0; });  // keeps its place
    co_await group.async_wait();
    co_return elsewhere;
  };
  auto owner = r.async(own);
  support::wait_until_receiving(never);
  r.shutdown(rn::abandon);
  CHECK(support::receiving(never) == 0);
  CHECK(support::read(destroyed) == 1);
  CHECK_THROWS_AS(owner.get(), rn::context_error);
}

TEST_CASE("B36 runtimes with groups at all places are abandoned") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  const auto owners = static_cast<std::uint32_t>(scaled(8, 4));
  for (int round = scaled(40, 10); round > 0; --round) {
    rn::runtime r(4);
    for (std::uint32_t i = 0; i < owners; ++i)
      r.go([&]() -> rn::task<> {
        rn::errgroup group;
        for (int task = 0; task < 4; ++task) group.go([&] { return waits_for_ever(never, began, destroyed); });
        co_await group.async_wait();
      });
    support::wait_until_receiving(never, std::size_t{4} * owners);
    r.shutdown(rn::abandon);
    REQUIRE(support::receiving(never) == 0);
  }
  CHECK(support::read(began) == support::read(destroyed));
}

TEST_CASE("abandon destroys a frame that waits for one that has begun before it, in whatever order") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  const std::uint32_t n = 20;
  rn::runtime outer(1);
  rn::runtime r(GENERATE(1U, 2U));
  auto wait_with = [&](std::unique_ptr<rn::errgroup> group) -> rn::task<> {
    const std::unique_ptr<rn::errgroup> kept = std::move(group);
    co_await waits_for_ever(never, began, destroyed);
  };
  // Each owns the group of the one before it: only the last one, which has begun first, waits for none.
  auto last = std::make_unique<rn::errgroup>(rn::context(), rn::errgroup_options{.on = &r});
  for (std::uint32_t i = 0; i < n; ++i) {
    auto next = std::make_unique<rn::errgroup>(rn::context(), rn::errgroup_options{.on = &r});
    next->go([&wait_with, held = std::make_shared<std::unique_ptr<rn::errgroup>>(std::move(last))] {
      return wait_with(std::move(*held));
    });
    support::wait_until_receiving(never, i + 1);
    last = std::move(next);
  }
  r.go(wait_with(std::move(last)));
  support::wait_until_receiving(never, n + 1);
  SECTION("by a thread of its own") { r.shutdown(rn::abandon); }
  SECTION("by a task of another runtime, which gives its place up meanwhile") {
    outer.async([&] { r.shutdown(rn::drain_for(1ms)); }).get();
  }
  CHECK(support::receiving(never) == 0);
  CHECK(support::read(destroyed) == n + 1);
}

TEST_CASE("a runtime that is abandoned by another's task lets that one's tasks run while a frame waits for them") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  rn::runtime outer(1);
  rn::runtime r(1);
  r.go([&]() -> rn::task<> {
    rn::errgroup group(rn::context(), {.limit = 0, .collect_all = false, .on = &outer});
    group.go([&](const rn::context& ctx) -> rn::task<> {
      co_await never.async_recv(ctx);
      support::add(destroyed);
    });
    co_await waits_for_ever(never, began, destroyed);
  });
  support::wait_until_receiving(never, 2);
  outer.async([&] { r.shutdown(rn::abandon); }).get();
  CHECK(support::read(destroyed) == 2);
}

TEST_CASE("a function that waits for a coroutine is told when its runtime is abandoned, and destroys it") {
  const rn::channel<int> never;
  support::counter began{0};
  support::counter destroyed{0};
  support::counter in_group{0};
  rn::runtime r(GENERATE(1U, 2U));
  auto waits = r.async([&] { rn::sync_wait(waits_for_ever(never, began, destroyed)); });
  auto nested = r.async([&] { rn::sync_wait([&]() -> rn::task<> { co_await waits_for_ever(never, began, destroyed); }()); });
  auto piped = r.async([&] { (rn::from(never) | rn::for_each([](int /*v*/) {})).run(); });
  r.go([&]() -> rn::task<> {
    rn::errgroup group;
    group.go([&] {
      const tells ends(in_group);
      rn::sync_wait(waits_for_ever(never, began, destroyed));
    });
    co_await group.async_wait();
  });
  support::wait_until_receiving(never, 4);
  r.shutdown(rn::abandon);
  CHECK_THROWS_AS(waits.get(), rn::context_error);
  CHECK_THROWS_AS(nested.get(), rn::context_error);
  CHECK_THROWS_AS(piped.get(), rn::context_error);
  CHECK(support::receiving(never) == 0);
  CHECK(support::read(destroyed) == 3);
  CHECK(support::read(in_group) == 1);  // abandon has waited for the frame with the group
}

TEST_CASE("a function that was left alone may wait for coroutines that do not wait themselves") {
  const rn::channel<int> never;
  const rn::channel<int> go_on;
  support::counter began{0};
  support::counter destroyed{0};
  rn::runtime r(1);
  auto f = r.async([&] {
    go_on.recv();
    if (rn::sync_wait(answer(7)) != 7) return false;
    if (rn::sync_wait(passes_on(1000)) != 1000) return false;
    return throws<rn::context_error>([&] { rn::sync_wait(waits_for_ever(never, began, destroyed)); });
  });
  support::wait_until_receiving(go_on);
  r.shutdown(rn::abandon);
  go_on.send(1);
  CHECK(f.get());
  CHECK(support::read(destroyed) == 1);
  CHECK(support::receiving(never) == 0);
}

TEST_CASE("B36 runtimes are abandoned while others let the coroutines go that functions wait for") {
  const int rounds = scaled(200, 100);
  int told = 0;
  int received = 0;
  for (int i = 0; i < rounds; ++i) {
    const rn::channel<int> ch;
    rn::runtime r(static_cast<unsigned>(1 + i % 2));
    auto waits = [&] { return rn::sync_wait(receive(ch)); };
    auto a = r.async(waits);
    auto b = r.async(waits);
    if (i % 3 != 0) support::wait_until([&] { return support::receiving(ch) == 2; });
    support::crew crew;
    crew.go([&] {
      static_cast<void>(ch.try_send(1));
      static_cast<void>(ch.try_send(1));
    });
    r.shutdown(rn::abandon);
    crew.join();
    for (auto* f : {&a, &b}) {
      if (throws<rn::context_error>([&] { received += f->get(); })) ++told;
    }
    REQUIRE(support::receiving(ch) == 0);
  }
  CHECK(told + received == 2 * rounds);
}

TEST_CASE("B36 runtimes come and go while others let their coroutines go") {
  const int rounds = scaled(200, 100);
  const rn::channel<rn::channel<int>> channels;
  support::counter got{0};
  support::crew crew;
  for (int i = 0; i < 2; ++i)
    crew.go([&] {
      for (auto& ch : channels) {
        for (int v = 0; v < 10; ++v) ch.send(v);
        ch.close();
      }
    });
  for (int i = 0; i < rounds; ++i) {
    rn::runtime r(static_cast<unsigned>(1 + i % 2));
    const rn::channel<int> ch;
    r.go([](rn::channel<int> from, support::counter& count) -> rn::task<> {
      while (co_await from.async_recv()) support::add(count);
    }(ch, got));
    channels.send(ch);
  }
  channels.close();
  crew.join();
  CHECK(support::read(got) == static_cast<std::uint32_t>(10 * rounds));
}

TEST_CASE("B36 runtimes are abandoned while others let their coroutines go") {
  const int rounds = scaled(200, 100);
  support::counter destroyed{0};
  for (int i = 0; i < rounds; ++i) {
    const rn::channel<int> ch;
    rn::runtime r(static_cast<unsigned>(1 + i % 2));
    auto waits = [&]() -> rn::task<> {
      const tells local(destroyed);
      while (co_await ch.async_recv()) {
      }
      co_await ch.async_recv();
    };
    r.go(waits);
    r.go(waits);
    support::crew crew;
    crew.go([&] {
      for (int v = 0; v < 20; ++v) static_cast<void>(ch.try_send(v));
    });
    if (i % 3 == 0) support::wait_until([&] { return support::receiving(ch) > 0; });
    r.shutdown(rn::abandon);
    crew.join();
  }
  CHECK(support::read(destroyed) <= static_cast<std::uint32_t>(2 * rounds));
}

TEST_CASE("the end of main abandons what waits on the global runtime") {  // and the sanitizers are silent about it
  const rn::channel<int> nil(nullptr);
  support::gate began;
  rn::go([](rn::channel<int> from, std::shared_ptr<int> /*held*/) -> rn::task<> { co_await from.async_recv(); }(
                                                                      nil, std::make_shared<int>(1)));
  rn::go([nil, held = std::make_shared<int>(1), &began] {
    began.open();
    nil.recv();
  });
  began.wait();
  CHECK(nil.try_recv().status() == rn::status::would_block);
}

}  // namespace runtime_test
