#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/go.hpp>

#include <coroutine>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "catch.hpp"

namespace go_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

/// A gate that tasks wait at until it is opened.
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
  rn::detail::atomic<std::uint32_t> open_{0};
};

template <class F>
void eventually(F f) {
  const rn::detail::blocking_scope blocking;
  rn::detail::backoff pause;
  while (!f()) pause.pause();
}

bool dies_by_abort(const char* hidden_test) {
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr || std::freopen("/dev/null", "w", stderr) == nullptr) _exit(3);
    execl("/proc/self/exe", "test", hidden_test, static_cast<char*>(nullptr));
    _exit(2);
  }
  int how = 0;
  waitpid(child, &how, 0);
  return WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT;
}

template <class F, class... Args>
concept starts = requires(F f, Args... args) { rn::go(f, args...); };
static_assert(starts<void (*)()> && starts<void (*)(int), int> && starts<std::error_code (*)()>);
static_assert(!starts<int (*)()> && !starts<rn::future<void> (*)()> && !starts<void (*)(int)>);  // nothing is dropped silently

/// A user's namespace with functions of the library's names, and with types for which a comma is an error.
namespace foreign {
template <class A>
void awaiter_of(A&&);
template <class A>
void throw_failure(A&&);
template <class... A>
void call_task(A&&...);
template <class H>
void asked_place(H);
template <class Task, class... A>
void emplace_task(A&&...);
template <class A, class B>
void operator,(A&&, B&&) = delete;

struct value {
  int number = 0;
};
struct answer {
  [[nodiscard]] bool has_value() const { return true; }
  [[nodiscard]] value error() const { return {}; }
};
struct awaited {
  [[nodiscard]] bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<> /*who*/) const {}
  [[nodiscard]] value await_resume() const { return {2}; }
};
/// A coroutine of its own kind, which is destroyed when it has ended.
struct detached {
  struct promise_type {
    detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};
rn::task<value> coroutine() { co_return value{4}; }
detached receive(rn::channel<value> from, rn::channel<value> to) {
  const auto got = co_await from.async_recv();
  co_await to.async_send(*got);
  const value last = co_await coroutine();
  co_await to.async_send(last);
}
}  // namespace foreign

struct copy_throws {
  copy_throws() = default;
  copy_throws(const copy_throws&) { throw std::runtime_error("copy"); }
  void operator()() const {}
};

}  // namespace

TEST_CASE("go runs copies of its arguments on another thread") {
  auto here = std::make_unique<int>(7);
  int sum = 0;
  gate done;
  std::thread::id other;
  rn::go(
      [&](std::unique_ptr<int> p, const std::string& s, int& by_reference) {
        by_reference = *p + static_cast<int>(s.size());
        other = std::this_thread::get_id();
        done.open();
      },
      std::move(here), std::string("abc"), std::ref(sum));
  done.wait();
  CHECK(sum == 10);
  CHECK(other != std::this_thread::get_id());
}

TEST_CASE("B35 tasks that wait for one another are not starved") {
  constexpr int count = 60;
  rn::detail::atomic<std::uint32_t> arrived{0};
  gate all;
  std::vector<rn::future<void>> tasks;
  for (int i = 0; i < count; ++i)
    tasks.push_back(rn::async([&] {
      if (arrived.fetch_add(1, rn::detail::acq_rel) + 1 == count) all.open();
      all.wait();
    }));
  for (auto& task : tasks) task.get();
  CHECK(arrived.load(rn::detail::acquire) == count);
}

TEST_CASE("B29 tasks started from many threads at once all run") {
  rn::detail::atomic<std::uint32_t> ran{0};
  std::vector<std::thread> starters;
  for (int s = 0; s < 4; ++s)
    starters.emplace_back([&] {
      std::vector<rn::future<void>> mine;
      for (int i = 0; i < 200; ++i) mine.push_back(rn::async([&] { ran.fetch_add(1, rn::detail::relaxed); }));
      for (auto& f : mine) f.get();
    });
  for (auto& s : starters) s.join();
  CHECK(ran.load(rn::detail::relaxed) == 800);
}

TEST_CASE("names of the library in a user's namespace change nothing") {
  CHECK(rn::async([] { return foreign::value{1}; }).get().number == 1);
  CHECK(rn::async([](foreign::value v) { return v; }, foreign::value{3}).get().number == 3);
  CHECK(rn::async([] { return foreign::awaited(); }).get().number == 2);
  CHECK(rn::async(foreign::coroutine).get().number == 4);
  gate done;
  rn::go([] { return foreign::answer(); });
  rn::go([](foreign::value /*v*/) -> rn::task<foreign::answer> { co_return foreign::answer(); }, foreign::value());
  rn::go([&done](foreign::value /*v*/) { done.open(); }, foreign::value());
  done.wait();
  const rn::channel<foreign::value> from;
  const rn::channel<foreign::value> to;
  foreign::receive(from, to);
  from.send(foreign::value{5});
  CHECK(to.recv()->number == 5);
  CHECK(to.recv()->number == 4);
}

TEST_CASE("a task whose copy throws is not started, and the threads go on") {
  const copy_throws f;
  CHECK_THROWS_AS(rn::go(f), std::runtime_error);
  CHECK_THROWS_AS(rn::async(f), std::runtime_error);
  CHECK(rn::async([] { return 1; }).get() == 1);
}

TEST_CASE("a task's function is destroyed before its future is ready") {
  for (int i = 0; i < 50; ++i) {
    auto token = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = token;
    auto f = rn::async([token = std::move(token)] { return *token; });
    f.wait();
    REQUIRE(watch.expired());
    CHECK(f.get() == 1);
  }
}

TEST_CASE("a future hands its answer out once") {
  auto f = rn::async([](int a, int b) { return std::make_unique<int>(a + b); }, 2, 3);
  CHECK(f.valid());
  CHECK(*f.get() == 5);
  CHECK_FALSE(f.valid());
  CHECK_THROWS_AS(f.get(), std::logic_error);
  CHECK_THROWS_AS(f.ready(), std::logic_error);
  rn::future<int> empty;
  CHECK_THROWS_AS(empty.get(), std::logic_error);
  CHECK_THROWS_AS(empty.wait(), std::logic_error);
  CHECK_THROWS_AS(empty.try_get(), std::logic_error);
  auto nothing = rn::async([] {});
  auto moved = std::move(nothing);
  moved.get();
  CHECK_FALSE(moved.valid());
}

TEST_CASE("B47 an exception comes out of get, in every form, and is handed over for good") {
  for (int i = 0; i < 200; ++i) {
    auto f = rn::async([i]() -> int { throw std::runtime_error("failed " + std::to_string(i)); });
    std::string what;
    try {
      if (i % 2 == 0)
        f.get();
      else
        static_cast<void>(f.try_get_for(1h));
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    REQUIRE(what == "failed " + std::to_string(i));
    REQUIRE_FALSE(f.valid());
  }
}

TEST_CASE("a get or a wait that answers no value does not use the future up") {
  gate go_on;
  auto f = rn::async([&] { return go_on.wait(), 42; });
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  ctx.cancel();
  CHECK(f.get(ctx).status() == rn::status::canceled);
  CHECK(f.wait(ctx).status() == rn::status::canceled);
  CHECK(f.try_get().status() == rn::status::would_block);
  CHECK(f.try_wait().status() == rn::status::would_block);
  const auto before = rn::clock::now();
  CHECK(f.try_get_for(3ms).status() == rn::status::timed_out);
  CHECK(rn::clock::now() - before >= 3ms);
  CHECK(f.try_wait_until(rn::clock::now()).status() == rn::status::timed_out);
  CHECK(f.try_wait_for(-1h).status() == rn::status::timed_out);
  CHECK(f.get(rn::with_timeout(rn::context(), 2ms)).status() == rn::status::timed_out);
  CHECK_FALSE(f.ready());
  go_on.open();
  f.wait();
  CHECK(f.ready());
  CHECK(f.wait(ctx).status() == rn::status::ok);  // ready wins over done
  CHECK(f.get(ctx).value() == 42);
}

TEST_CASE("B31 several threads wait for one future while its task ends") {
  for (int round = 0; round < 50; ++round) {
    auto f = rn::async([] { return 1; });
    std::vector<std::thread> threads;
    rn::detail::atomic<std::uint32_t> woken{0};
    for (int i = 0; i < 3; ++i)
      threads.emplace_back([&] {
        f.wait();
        woken.fetch_add(1, rn::detail::relaxed);
      });
    for (auto& t : threads) t.join();
    REQUIRE(woken.load(rn::detail::relaxed) == 3);
    REQUIRE(f.get() == 1);
  }
}

TEST_CASE("a context that is canceled while a future is waited for ends the wait, or the value came first") {
  for (int round = 0; round < 100; ++round) {
    auto f = rn::async([] { return 5; });
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    std::thread canceler([&] { ctx.cancel(); });
    const auto answer = f.get(ctx);
    canceler.join();
    if (answer)
      CHECK(*answer == 5);
    else
      CHECK(f.get() == 5);
  }
}

TEST_CASE("dropping a future waits for nothing, and what nobody takes is destroyed") {
  auto token = std::make_shared<int>(0);
  gate go_on;
  {
    auto dropped = rn::async([&go_on, token] { return go_on.wait(), token; });
  }
  CHECK(token.use_count() == 2);
  go_on.open();
  eventually([&] { return token.use_count() == 1; });
}

TEST_CASE("the future of work that will never run is ready with a context_error") {
  auto* state = new rn::detail::future_state<int>;
  auto f = rn::detail::future_access::make(*state);
  {
    const rn::detail::promise<int> dropped(*state);
  }
  REQUIRE(f.ready());
  CHECK_THROWS_AS(f.get(), rn::context_error);
}

TEST_CASE("C57 a thread_local's destructor may start tasks and wait for them") {
  struct at_exit {
    int* answer = nullptr;
    ~at_exit() {
      *answer = rn::async([] { return 9; }).get();
    }
  };
  int answer = 0;
  std::thread([&] {
    static thread_local at_exit last;
    last.answer = &answer;
  }).join();
  CHECK(answer == 9);
}

TEST_CASE("hidden: an exception escapes from go", "[.]") {
  std::signal(SIGABRT, SIG_DFL);
  rn::go([] { throw std::runtime_error("nobody catches this"); });
  gate().wait();
}
TEST_CASE("hidden: a task of go answers an error", "[.]") {
  std::signal(SIGABRT, SIG_DFL);
  rn::go([] { return std::make_error_code(std::errc::io_error); });
  gate().wait();
}
TEST_CASE("a failure that escapes from go ends the process") {
  CHECK(dies_by_abort("hidden: an exception escapes from go"));
  CHECK(dies_by_abort("hidden: a task of go answers an error"));
}

}  // namespace go_test
