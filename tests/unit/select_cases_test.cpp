// The cases of select that are not channels: contexts, futures, times, otherwise; when and biased; and copies that throw.
#include <runnel/context.hpp>
#include <runnel/go.hpp>
#include <runnel/select.hpp>
#include <runnel/semaphore.hpp>
#include <runnel/timer.hpp>

#include <array>
#include <chrono>
#include <coroutine>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <string>
#include <utility>

#include "catch.hpp"
#include "support.hpp"

namespace select_cases_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t unset = 1000;

rn::channel<int> holding(int value) {
  const rn::channel<int> ch(1);
  ch.send(value);
  return ch;
}

/// Counts its copies, and throws in place of one if it is told to.
struct copied {
  explicit copied(int& count) : copies(&count) {}
  copied(const copied& other) : copies(other.copies), armed(other.armed) {
    if (armed) throw std::runtime_error("copy");
    ++*copies;
  }
  copied(copied&&) noexcept = default;
  copied& operator=(const copied&) = delete;
  copied& operator=(copied&&) = delete;
  ~copied() = default;

  int* copies;
  bool armed = false;
};

template <class Case>
concept can_be_switched = requires(Case&& c) { rn::when(true, std::forward<Case>(c)); };

/// A place that runs nothing.
class held_place final : public rn::resume_place {
 public:
  void post(rn::work_item& item) noexcept override { item_ = &item; }
  bool retract(rn::work_item& item) noexcept override { return std::exchange(item_, nullptr) == &item; }

 private:
  rn::work_item* item_ = nullptr;
};

/// A coroutine that begins at once, goes on nowhere, and is destroyed where it stands.
class [[nodiscard]] held {
 public:
  struct promise_type {
    held_place place;
    held get_return_object() noexcept { return held(std::coroutine_handle<promise_type>::from_promise(*this)); }
    [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
    [[nodiscard]] rn::resume_place* resume_place() noexcept { return &place; }
  };
  held(held&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  held& operator=(held&&) = delete;
  ~held() {
    if (frame_ != nullptr) frame_.destroy();
  }

 private:
  explicit held(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

}  // namespace

TEST_CASE("on_done: ready once the context is done, a case like any other") {
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  const rn::channel<int> idle;
  bool stopped = false;
  CHECK(rn::try_select(rn::on_recv(idle), rn::on_done(ctx, [&] { stopped = true; })) == rn::select_none);

  std::size_t chosen = unset;
  support::crew threads;
  threads.go([&] { chosen = rn::select(rn::on_recv(idle), rn::on_done(ctx, [&] { stopped = true; })); });
  support::wait_until_receiving(idle);
  ctx.cancel();
  threads.join();
  CHECK(chosen == 1);
  CHECK(stopped);
  CHECK(support::receiving(idle) == 0);

  CHECK(rn::select(rn::on_done(ctx)) == 0);
  CHECK(rn::select(rn::biased, rn::on_done(ctx), rn::on_recv(holding(1))) == 0);
  CHECK(rn::select(rn::biased, rn::on_recv(holding(1)), rn::on_done(ctx)) == 0);
}

TEST_CASE("on_done: a deadline is waited for, and a context that can never be done is no case") {
  const rn::channel<int> idle;
  const auto before = rn::clock::now();
  CHECK(rn::select(rn::on_recv(idle), rn::on_done(rn::with_timeout(rn::context::background(), 5ms))) == 1);
  CHECK(rn::clock::now() - before >= 5ms);
  CHECK(rn::select(rn::on_done(rn::context::background())) == rn::select_none);
  CHECK(rn::select(rn::on_done(rn::context()), rn::on_recv(rn::channel<int>(nullptr))) == rn::select_none);
  CHECK(rn::select(rn::on_done(rn::context()), rn::on_recv(holding(1))) == 1);
}

TEST_CASE("on_ready: ready once the future is, and the answer stays in it") {
  const rn::channel<int> idle;
  support::gate go_on;
  rn::future<int> answer = rn::async([&] {
    go_on.wait();
    return 42;
  });
  CHECK(rn::try_select(rn::on_recv(idle), rn::on_ready(answer)) == rn::select_none);
  std::size_t chosen = unset;
  int handled = 0;
  support::crew threads;
  threads.go([&] { chosen = rn::select(rn::on_recv(idle), rn::on_ready(answer, [&] { ++handled; })); });
  support::wait_until_receiving(idle);
  go_on.open();
  threads.join();
  CHECK(chosen == 1);
  CHECK(handled == 1);
  CHECK(rn::select(rn::on_ready(answer)) == 0);
  CHECK(answer.get() == 42);

  rn::future<void> failing = rn::async([] { throw std::runtime_error("mine"); });
  CHECK(rn::select(rn::on_ready(failing)) == 0);
  CHECK_THROWS_WITH(failing.get(), "mine");
}

TEST_CASE("on_ready: an empty future is an error before anything happens, unless its case is off") {
  rn::future<int> empty;
  const rn::channel<int> ch = holding(1);
  auto value = std::make_unique<int>(1);
  const rn::channel<std::unique_ptr<int>> pointers(1);
  CHECK_THROWS_AS(rn::select(rn::biased, rn::on_recv(ch), rn::on_ready(empty)), std::logic_error);
  CHECK_THROWS_AS(rn::try_select(rn::on_send(pointers, std::move(value)), rn::on_ready(empty), rn::otherwise()), std::logic_error);
  CHECK(ch.size() == 1);
  CHECK(value != nullptr);
  CHECK(rn::select(rn::when(false, rn::on_ready(empty)), rn::on_recv(ch)) == 1);
  rn::future<int> taken = rn::async([] { return 1; });
  taken.get();
  CHECK_THROWS_AS(rn::select(rn::on_ready(taken)), std::logic_error);
}

TEST_CASE("a timeout is taken only if no other case is ready, wherever it stands") {
  const rn::channel<int> idle;
  CHECK(rn::select(rn::biased, rn::on_timeout(0s), rn::on_recv(holding(1))) == 1);
  CHECK(rn::select(rn::biased, rn::on_recv(idle), rn::on_timeout(-5s), rn::on_recv(holding(1))) == 2);
  CHECK(rn::select(rn::biased, rn::on_deadline(rn::clock::now() - 1h), rn::on_recv(holding(1))) == 1);
  CHECK(rn::try_select(rn::biased, rn::on_timeout(1h), rn::on_recv(holding(1))) == 1);
  bool late = false;
  CHECK(rn::select(rn::on_timeout(1ms, [&] { late = true; }), rn::on_recv(idle)) == 0);
  CHECK(late);
  CHECK(support::receiving(idle) == 0);
}

TEST_CASE("zero, negative and smallest times are at once; they need no wait") {
  const rn::channel<int> idle;
  CHECK(rn::select(rn::on_recv(idle), rn::on_timeout(0ns)) == 1);
  CHECK(rn::select(rn::on_recv(idle), rn::on_timeout(-1ns)) == 1);
  CHECK(rn::select(rn::on_recv(idle), rn::on_timeout(std::chrono::hours::min())) == 1);
  CHECK(rn::select(rn::on_recv(idle), rn::on_deadline(rn::time_point::min())) == 1);
  CHECK(rn::select(rn::on_recv(idle), rn::on_deadline(std::chrono::system_clock::now() - 1h)) == 1);
  CHECK(rn::try_select(rn::on_recv(idle), rn::on_timeout(0ns)) == 1);
  CHECK(rn::try_select(rn::on_recv(idle), rn::on_deadline(rn::clock::now())) == 1);
  CHECK(rn::try_select(rn::on_recv(idle), rn::on_timeout(1h)) == rn::select_none);
  CHECK(rn::select(rn::on_timeout(0s)) == 0);
}

TEST_CASE("a timeout is never early, and of several the earliest is taken") {
  const rn::channel<int> idle;
  const auto before = rn::clock::now();
  CHECK(rn::select(rn::on_timeout(1h), rn::on_recv(idle), rn::on_timeout(4ms), rn::on_deadline(before + 2h)) == 2);
  CHECK(rn::clock::now() - before >= 4ms);
  CHECK(rn::select(rn::on_timeout(1h), rn::on_deadline(before + 5ms)) == 1);
  CHECK(rn::clock::now() >= before + 5ms);
  CHECK(rn::select(rn::on_timeout(1h), rn::on_deadline(std::chrono::system_clock::now() + 2ms)) == 1);
}

TEST_CASE("B09 a huge time is far away, and the largest is none") {
  const rn::channel<int> idle;
  using years = std::chrono::duration<std::int64_t, std::ratio<31556952>>;
  CHECK(rn::select(rn::on_timeout(rn::duration::max())) == rn::select_none);
  CHECK(rn::select(rn::on_timeout(std::chrono::hours::max())) == rn::select_none);
  CHECK(rn::select(rn::on_timeout(years(300))) == rn::select_none);
  CHECK(rn::select(rn::on_deadline(rn::time_point::max())) == rn::select_none);
  CHECK(rn::select(rn::on_deadline(std::chrono::system_clock::time_point::max())) == rn::select_none);
  CHECK(rn::select(rn::on_timeout(rn::duration::max() - 1ns), rn::on_timeout(1ms)) == 1);
  CHECK(rn::select(rn::on_recv(idle), rn::on_timeout(rn::duration::max()), rn::on_timeout(1ms)) == 2);
  CHECK(rn::select(rn::on_timeout(std::chrono::duration<double>(std::numeric_limits<double>::infinity())), rn::otherwise()) == 1);

  std::size_t chosen = unset;
  support::crew threads;
  threads.go(
      [&] { chosen = rn::select(rn::on_recv(idle), rn::on_timeout(rn::duration::max() - 1ns), rn::on_timeout(years(200))); });
  support::wait_until_receiving(idle);
  idle.send(1);
  threads.join();
  CHECK(chosen == 0);
}

TEST_CASE("otherwise is taken only if nothing is ready, wherever it stands") {
  const rn::channel<int> idle;
  bool called = false;
  CHECK(rn::select(rn::otherwise([&] { called = true; }), rn::on_recv(idle)) == 0);
  CHECK(called);
  CHECK(rn::select(rn::biased, rn::otherwise(), rn::on_recv(holding(1))) == 1);
  CHECK(rn::try_select(rn::on_recv(idle), rn::otherwise()) == 1);
  CHECK(rn::select(rn::otherwise()) == 0);
  CHECK(rn::select(rn::on_recv(idle), rn::on_timeout(1h), rn::otherwise()) == 2);
  CHECK(rn::select(rn::otherwise(), rn::on_timeout(0s)) == 1);
  CHECK(rn::select(rn::when(false, rn::otherwise()), rn::on_timeout(1ms)) == 1);
}

TEST_CASE("when: a case that is off is never ready and is not looked at") {
  const rn::channel<int> ch = holding(1);
  CHECK(rn::select(rn::when(false, rn::on_recv(ch)), rn::otherwise()) == 1);
  CHECK(rn::select(rn::when(false, rn::on_recv(ch))) == rn::select_none);
  CHECK(rn::select(rn::when(false, rn::on_timeout(0s))) == rn::select_none);
  CHECK(rn::select(rn::when(false, rn::on_done(rn::with_timeout(rn::context(), 0s)))) == rn::select_none);
  CHECK(ch.size() == 1);
  int got = 0;
  CHECK(rn::select(rn::when(true, rn::on_recv(ch, [&](int v) { got = v; }))) == 0);
  CHECK(got == 1);
  CHECK(rn::select(rn::when(true, rn::when(false, rn::on_send(ch, 1))), rn::when(true, rn::when(true, rn::on_send(ch, 2)))) == 1);
  CHECK(*ch.recv() == 2);
}

TEST_CASE("when takes a case that has a name, and leaves it as it is; one that cannot be copied is refused") {
  const rn::channel<int> ch(2);
  ch.send(1);
  ch.send(2);
  int got = 0;
  auto named = rn::on_recv(ch, [&](int v) { got += v; });
  const auto fixed = rn::on_recv(ch, [&](int v) { got += v; });
  CHECK(rn::select(rn::when(true, named)) == 0);
  CHECK(rn::select(rn::when(true, fixed)) == 0);
  CHECK(rn::select(rn::when(false, named)) == rn::select_none);
  CHECK(got == 3);
  auto owns = rn::on_recv(ch, [owned = std::make_unique<int>(1)](int) {});
  STATIC_REQUIRE(can_be_switched<decltype(named)&>);
  STATIC_REQUIRE(can_be_switched<decltype(owns)>);
  STATIC_REQUIRE_FALSE(can_be_switched<decltype(owns)&>);
}

TEST_CASE("when, in a coroutine that is destroyed after it has received: the value is destroyed") {
  const auto before = support::counted::live();
  const rn::channel<support::counted> ch;
  const auto selects = [](const auto& c) -> held { co_await rn::async_select(rn::when(true, rn::when(true, rn::on_recv(c)))); };
  const auto waits = [](rn::selector& s) -> held { co_await s.async_wait(); };
  {
    const held run = selects(ch);
    ch.send(support::counted(1));
  }
  CHECK(support::counted::live() == before);
  rn::selector cases;
  cases.add(rn::when(true, rn::on_recv(ch)));
  {
    const held run = waits(cases);
    ch.send(support::counted(2));
  }
  CHECK(support::counted::live() == before);
}

TEST_CASE("S30 a case that has to be tried to know whether it is ready is chosen as often as others") {
  const rn::channel<int> ch(1);
  rn::semaphore permits(1);
  std::array<int, 2> chosen{};
  for (int i = 0; i < 400; ++i) {
    static_cast<void>(ch.try_send(i));
    const std::size_t index = rn::select(rn::on_recv(ch), rn::on_acquire(permits));
    ++chosen.at(index);
    if (index == 1) permits.release();
  }
  CHECK(chosen[0] > 100);
  CHECK(chosen[1] > 100);
}

TEST_CASE("select_none: what can never happen is not waited for") {
  const rn::channel<int> nil(nullptr);
  const rn::send_channel<int> no_sender;
  const rn::recv_channel<void> no_signal;
  CHECK(rn::select() == rn::select_none);
  CHECK(rn::select(rn::biased) == rn::select_none);
  CHECK(rn::try_select() == rn::select_none);
  CHECK(rn::select(rn::on_recv(nil), rn::on_send(no_sender, 1), rn::on_recv(no_signal, [] {})) == rn::select_none);
  CHECK(rn::select(rn::on_recv(nil), rn::on_recv(holding(1))) == 1);
  CHECK(rn::select(rn::on_recv(nil), rn::otherwise()) == 1);
  CHECK(rn::select(rn::on_recv(nil), rn::on_timeout(1ms)) == 1);
}

TEST_CASE("biased takes the first ready case in the order written") {
  const rn::channel<int> idle;
  for (int round = 0; round < 50; ++round) {
    REQUIRE(rn::select(rn::biased, rn::on_recv(idle), rn::on_recv(holding(1)), rn::on_recv(holding(2))) == 1);
    REQUIRE(rn::try_select(rn::biased, rn::on_recv(holding(1)), rn::on_recv(holding(2))) == 0);
  }
}

TEST_CASE("an lvalue is copied once, when the select starts; not if its case is off") {
  int copies = 0;
  const copied value(copies);
  const rn::channel<copied> ch(1);
  const rn::channel<copied> idle;
  CHECK(rn::select(rn::on_send(ch, value), rn::on_send(idle, value)) == 0);
  CHECK(copies == 2);
  CHECK(rn::select(rn::when(false, rn::on_send(ch, value)), rn::otherwise()) == 1);
  CHECK(copies == 2);
  CHECK(rn::select(rn::on_send(ch, value), rn::on_timeout(1ms)) == 1);
  CHECK(copies == 3);
  CHECK(rn::select(rn::on_recv(ch, [](copied&&) {})) == 0);
  CHECK(copies == 3);
}

TEST_CASE("C67 a copy that throws comes out of select, and nothing has happened") {
  int copies = 0;
  copied value(copies);
  value.armed = true;
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  INFO(support::name_of(capacity));
  const auto ch = support::make<copied>(capacity);
  const rn::channel<int> ready = holding(1);
  const rn::channel<int> idle;
  CHECK_THROWS_WITH(rn::select(rn::biased, rn::on_recv(ready), rn::on_recv(idle), rn::on_send(ch, value)), "copy");
  CHECK_THROWS_WITH(rn::try_select(rn::on_send(ch, value), rn::otherwise()), "copy");
  CHECK(ready.size() == 1);
  CHECK(ch.size() == 0);
  CHECK(support::receiving(idle) == 0);
  CHECK(support::sending(ch) == 0);
  CHECK(copies == 0);
  value.armed = false;
  std::optional<copied> slot;
  support::crew threads;
  threads.go([&] { rn::select(rn::on_send(ch, value)); });
  CHECK(rn::select(rn::on_recv(ch, slot)) == 0);
  threads.join();
  CHECK(copies == 1);
}

TEST_CASE("B06 a channel of after that is due completes a case once, and is closed then") {
  const auto due = rn::after(0s);
  CHECK(rn::select(rn::on_recv(due, [](rn::time_point) {}), rn::on_timeout(1h)) == 0);
  CHECK(rn::select(rn::on_recv(due), rn::on_timeout(1h)) == 0);
  rn::status how = rn::status::ok;
  CHECK(rn::select(rn::on_recv(due, [&](const rn::recv_result<rn::time_point>& r) { how = r.status(); })) == 0);
  CHECK(how == rn::status::closed);
  const auto before = rn::clock::now();
  CHECK(rn::select(rn::on_recv(rn::after(4ms), [&](rn::time_point at) { CHECK(at >= before + 4ms); }),
                   rn::on_recv(rn::after(1h))) == 0);
}

}  // namespace select_cases_test
