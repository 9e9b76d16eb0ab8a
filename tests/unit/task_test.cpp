#include <runnel/runnel.hpp>
#include <runnel/runtime.hpp>
#include <runnel/task.hpp>

#include <algorithm>
#include <coroutine>
#include <functional>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace task_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counted;
using support::scaled;

namespace {

// Coroutines of somebody else's

/// A place that keeps what is posted until it is told to run it.
class held_place final : public rn::resume_place {
 public:
  held_place() { items_.reserve(1024); }

  void post(rn::work_item& item) noexcept override {
    const std::lock_guard lock(mutex_);
    items_.push_back(&item);
  }
  bool retract(rn::work_item& item) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(items_, &item);
    if (found == items_.end()) return false;
    items_.erase(found);
    return true;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }
  /// Runs what was posted first, if there is any.
  bool run_one() {
    rn::work_item* const item = take();
    if (item != nullptr) item->run();
    return item != nullptr;
  }
  bool drop_one() {
    rn::work_item* const item = take();
    if (item != nullptr) item->drop();
    return item != nullptr;
  }
  /// Runs what comes until the condition is true.
  template <class Condition>
  void run_until(Condition condition) {
    for (rn::detail::backoff pause; !condition();)
      if (!run_one()) pause.pause();
  }

 private:
  rn::work_item* take() {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) return nullptr;
    rn::work_item* const first = items_.front();
    items_.erase(items_.begin());
    return first;
  }

  mutable std::mutex mutex_;
  std::vector<rn::work_item*> items_;
};

/// A coroutine type that knows nothing of this library, but for where it goes on, if it asks for that. It begins with start().
template <bool Asks>
class [[nodiscard]] foreign {
 public:
  struct promise_type {
    rn::resume_place* place = nullptr;
    support::counter ended{0};
    struct says_ended {
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> h) const noexcept { h.promise().ended.store(1, rn::detail::release); }
      void await_resume() const noexcept {}
    };
    foreign get_return_object() noexcept { return foreign(std::coroutine_handle<promise_type>::from_promise(*this)); }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] says_ended final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
    [[nodiscard]] rn::resume_place* resume_place() const noexcept
      requires Asks
    {
      return place;
    }
  };

  foreign(foreign&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  foreign& operator=(foreign&&) = delete;
  ~foreign() { destroy(); }

  foreign& start(rn::resume_place* place = nullptr) {
    frame_.promise().place = place;
    frame_.resume();
    return *this;
  }
  [[nodiscard]] bool done() const { return support::read(frame_.promise().ended) != 0; }
  void destroy() {
    if (frame_ != nullptr) std::exchange(frame_, nullptr).destroy();
  }

 private:
  explicit foreign(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};
using placed = foreign<true>;

// Tasks

rn::task<int> answer(int value) { co_return value; }
rn::task<> nothing() { co_return; }
rn::task<int> sum(int a, int b) { co_return co_await answer(a) + co_await answer(b); }
rn::task<std::unique_ptr<int>> boxed(int value) { co_return std::make_unique<int>(value); }
rn::task<int&> itself(int& value) { co_return value; }
rn::task<int> fails(const char* what) {
  throw std::runtime_error(what);
  co_return 0;
}
rn::task<> count_up(int& count) {
  ++count;
  co_return;
}
rn::task<std::int64_t> sum_of(int n) {
  std::int64_t total = 0;
  for (int i = 0; i < n; ++i) total += co_await answer(1);
  co_return total;
}
rn::task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await nested(depth - 1);
}
rn::task<int> nested_failure(int depth) {
  if (depth == 0) throw std::runtime_error("deep");
  co_return co_await nested_failure(depth - 1);
}
rn::task<int> caught(int depth) {
  bool failed = false;
  try {
    co_await nested_failure(depth);
  } catch (const std::runtime_error&) {
    failed = true;
  }
  co_return failed ? 1 : 0;
}

struct move_only_without_default {
  explicit move_only_without_default(int v) : value(v) {}
  move_only_without_default(move_only_without_default&&) = default;
  move_only_without_default& operator=(move_only_without_default&&) = delete;
  int value;
};
rn::task<move_only_without_default> stiff(int v) { co_return move_only_without_default(v); }

// An allocator that counts

template <class T>
struct counting_allocator {
  using value_type = T;
  explicit counting_allocator(std::ptrdiff_t& bytes) noexcept : live(&bytes) {}
  template <class U>
  explicit counting_allocator(const counting_allocator<U>& other) noexcept : live(other.live) {}
  T* allocate(std::size_t n) {
    *live += static_cast<std::ptrdiff_t>(n * sizeof(T));
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, std::size_t n) noexcept {
    *live -= static_cast<std::ptrdiff_t>(n * sizeof(T));
    std::allocator<T>().deallocate(p, n);
  }
  friend bool operator==(const counting_allocator&, const counting_allocator&) = default;
  std::ptrdiff_t* live;
};
rn::task<int> with_allocator(std::allocator_arg_t, counting_allocator<std::byte> /*where*/, int value) {
  co_return co_await answer(value);
}
/// Not inlined: a compiler may do without the allocation of a frame whose end it sees.
[[gnu::noinline]] rn::task<int> make_with_allocator(std::ptrdiff_t& live, int value) {
  return with_allocator(std::allocator_arg, counting_allocator<std::byte>(live), value);
}
struct maker {
  int offset = 1;
  rn::task<int> make(std::allocator_arg_t, std::pmr::polymorphic_allocator<> /*where*/, int value) const {
    co_return value + offset;
  }
};

// Channels

enum class kind : std::uint8_t { thread, coroutine, coroutine_ctx };

rn::task<> send_numbers(rn::channel<int> to, int from, int n) {
  for (int i = 0; i < n; ++i) co_await to.async_send(from + i);
}
rn::task<> send_numbers_ctx(rn::channel<int> to, rn::context ctx, int from, int n) {
  for (int i = 0; i < n; ++i) {
    const int value = from + i;
    const rn::send_result sent = co_await to.async_send(ctx, value);
    if (!sent) throw std::runtime_error("not sent");
  }
}
rn::task<std::int64_t> sum_until_closed(rn::channel<int> from) {
  std::int64_t total = 0;
  while (auto value = co_await from.async_recv()) total += *value;
  co_return total;
}
rn::task<std::int64_t> sum_until_closed_ctx(rn::channel<int> from, rn::context ctx) {
  std::int64_t total = 0;
  while (auto value = co_await from.async_recv(ctx)) total += *value;
  co_return total;
}
void send_as(kind how, const rn::channel<int>& to, int from, int n) {
  switch (how) {
    case kind::thread:
      for (int i = 0; i < n; ++i) to.send(from + i);
      break;
    case kind::coroutine: rn::sync_wait(send_numbers(to, from, n)); break;
    case kind::coroutine_ctx: {
      const rn::scoped_context ctx = rn::with_cancel(rn::context());
      rn::sync_wait(send_numbers_ctx(to, ctx, from, n));
      break;
    }
  }
}
std::int64_t sum_as(kind how, const rn::channel<int>& from) {
  if (how == kind::coroutine) return rn::sync_wait(sum_until_closed(from));
  if (how == kind::coroutine_ctx) {
    const rn::scoped_context ctx = rn::with_cancel(rn::context());
    return rn::sync_wait(sum_until_closed_ctx(from, ctx));
  }
  std::int64_t total = 0;
  for (const int value : from) total += value;
  return total;
}

template <class T>
rn::task<rn::recv_result<T>> recv_one(rn::channel<T> from) {
  co_return co_await from.async_recv();
}
template <class T>
rn::task<rn::recv_result<T>> recv_one(rn::channel<T> from, rn::context ctx) {
  co_return co_await from.async_recv(ctx);
}
template <class T>
rn::task<> send_one(rn::channel<T> to, T value) {
  co_await to.async_send(std::move(value));
}
rn::task<rn::status> send_one(rn::channel<int> to, rn::context ctx, int value) {
  const auto sent = co_await to.async_send(ctx, value);
  co_return sent.status();
}

template <class F>
auto on_thread(F f) {
  return rn::async(std::move(f));
}

/// A value that does something when the last that is not moved from is destroyed.
class tattler {
 public:
  tattler() = default;
  explicit tattler(std::function<void()> f) : tells_(std::make_shared<std::function<void()>>(std::move(f))) {}
  tattler(const tattler&) = default;
  tattler(tattler&&) noexcept = default;
  tattler& operator=(const tattler&) = default;
  tattler& operator=(tattler&&) noexcept = default;
  ~tattler() {
    if (tells_ != nullptr) (*tells_)();
  }

 private:
  std::shared_ptr<std::function<void()>> tells_;
};
struct tattler_handler {
  tattler inside;
  void operator()(tattler /*value*/) const {}
};

/// Posts the step of a coroutine that a peer has let go, and nothing more: it is claimed and has not gone on.
void wait_until_posted(const held_place& place, std::size_t n = 1) {
  support::wait_until([&] { return place.size() == n; });
}

template <class T, class U>
concept may_return = requires(rn::detail::task_promise<T>& promise, U&& value) { promise.return_value(std::forward<U>(value)); };

struct copied_on_request {
  explicit copied_on_request(int n) noexcept : number(n) {}
  explicit copied_on_request(const copied_on_request&) = default;  // NOLINT(google-explicit-constructor): that is what is tested
  copied_on_request(copied_on_request&&) = default;
  int number;
};

}  // namespace

// Not without a name: g++ warns of the frame of a coroutine template then, where the file is part of another one.

/// Knows whether each object was made, and moved from, where it may be.
template <std::size_t To>
class alignas(To) aligned {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): so that one is returned by its value
  aligned(int value) noexcept : value_(value), right_(lies_right()) { ++count(); }
  aligned(aligned&& other) noexcept : value_(other.value_), right_(other.right_ && other.lies_right()) { ++count(); }
  aligned& operator=(aligned&&) = delete;
  ~aligned() { --count(); }
  static int live() noexcept { return count(); }
  [[nodiscard]] int value() const noexcept { return value_; }
  [[nodiscard]] bool right() const noexcept { return right_; }

 private:
  static int& count() noexcept {
    static int alive = 0;
    return alive;
  }
  [[nodiscard]] bool lies_right() const noexcept { return reinterpret_cast<std::uintptr_t>(this) % To == 0; }

  int value_;
  bool right_;
};
template <std::size_t To>
rn::task<aligned<To>> make_aligned(int value) {
  co_return value;
}

namespace {

/// Whether answers are where they may be in frames at different addresses.
template <std::size_t To>
bool all_are_aligned(int n) {
  std::vector<std::unique_ptr<char[]>> between;
  for (int i = 0; i < n; ++i) {
    between.push_back(std::make_unique<char[]>(std::size_t{16} * static_cast<std::size_t>(i) + 8));
    const aligned<To> answer = rn::sync_wait(make_aligned<To>(i));
    if (!answer.right() || answer.value() != i) return false;
  }
  return true;
}

}  // namespace

// Tasks alone

TEST_CASE("K01 sync_wait answers what a task answers") {
  CHECK(rn::sync_wait(answer(7)) == 7);
  CHECK(rn::sync_wait(sum(3, 4)) == 7);
  CHECK(*rn::sync_wait(boxed(5)) == 5);
  CHECK(rn::sync_wait(stiff(6)).value == 6);
  int here = 1;
  int& there = rn::sync_wait(itself(here));
  CHECK(&there == &here);
  int ran = 0;
  rn::sync_wait(count_up(ran));
  CHECK(ran == 1);
  CHECK(rn::sync_wait([](std::string s) -> rn::task<std::string> { co_return s + "!"; }("abc")) == "abc!");
  STATIC_REQUIRE(std::is_same_v<decltype(rn::sync_wait(itself(here))), int&>);
  STATIC_REQUIRE(std::is_same_v<rn::task<>, rn::task<void>>);
  STATIC_REQUIRE(!std::is_copy_constructible_v<rn::task<int>>);
}

TEST_CASE("a task answers what becomes its type by itself, and nothing that would have to be converted") {
  using several = std::vector<int>;
  STATIC_REQUIRE(may_return<several, several> && may_return<several, const several&>);
  STATIC_REQUIRE(!may_return<several, int>);  // a vector of so many
  STATIC_REQUIRE(!may_return<std::unique_ptr<int>, int*>);
  STATIC_REQUIRE(may_return<std::string, const char*> && may_return<std::optional<int>, int> && may_return<double, int>);
  STATIC_REQUIRE(may_return<copied_on_request, copied_on_request&> && !may_return<copied_on_request, int>);
  STATIC_REQUIRE(may_return<std::unique_ptr<int>, std::unique_ptr<int>> &&
                 !may_return<std::unique_ptr<int>, std::unique_ptr<int>&>);
  CHECK(rn::sync_wait([]() -> rn::task<std::vector<int>> { co_return {5, 6}; }()) == std::vector<int>{5, 6});
  copied_on_request kept(3);
  CHECK(rn::sync_wait([](copied_on_request& from) -> rn::task<copied_on_request> { co_return from; }(kept)).number == 3);
}

TEST_CASE("the answer of a task is aligned as its type asks") {
  CHECK(all_are_aligned<16>(20));
  CHECK(all_are_aligned<32>(20));
  CHECK(all_are_aligned<64>(20));
  CHECK(all_are_aligned<4096>(20));
  CHECK(aligned<64>::live() == 0);
  STATIC_REQUIRE(sizeof(rn::detail::task_promise<aligned<16>>) < sizeof(rn::detail::task_promise<aligned<32>>));
}

TEST_CASE("K01 an exception comes out where the task is awaited, once, and its frame is destroyed") {
  CHECK_THROWS_AS(rn::sync_wait(fails("one")), std::runtime_error);
  CHECK(rn::sync_wait(caught(0)) == 1);
  CHECK(rn::sync_wait(caught(10)) == 1);
  auto token = std::make_shared<int>(0);
  auto work = [](std::shared_ptr<int> held) -> rn::task<> {
    const auto kept = std::move(held);
    throw std::logic_error("two");
    co_return;
  };
  CHECK_THROWS_AS(rn::sync_wait(work(token)), std::logic_error);
  CHECK(token.use_count() == 1);
  for (int i = 0; i < 100; ++i) {  // across threads
    std::string what;
    try {
      rn::runtime::global().run([](int n) -> rn::task<> {
        throw std::runtime_error("failed " + std::to_string(n));
        co_return;
      }(i));
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    REQUIRE(what == "failed " + std::to_string(i));
  }
}

TEST_CASE("K01 a task is lazy, and one that was not started is dropped without having run") {
  int ran = 0;
  auto token = std::make_shared<int>(0);
  auto work = [](std::shared_ptr<int> /*held*/, int& count) -> rn::task<> {
    ++count;
    co_return;
  };
  {
    const rn::task<> dropped = work(token, ran);
    CHECK(token.use_count() == 2);
  }
  CHECK(token.use_count() == 1);
  CHECK(ran == 0);
  rn::task<> first = work(token, ran);
  rn::task<> second = work(token, ran);
  first = std::move(second);  // drops the first
  CHECK(token.use_count() == 2);
  rn::sync_wait(std::move(first));
  CHECK(ran == 1);
  CHECK(token.use_count() == 1);
}

TEST_CASE("a task that was moved from cannot be awaited or started") {
  rn::task<int> work = answer(1);
  rn::task<int> owner = std::move(work);
  CHECK_THROWS_AS(rn::sync_wait(std::move(work)), std::logic_error);
  auto awaits = [](rn::task<int>& moved) -> rn::task<int> { co_return co_await std::move(moved); };
  CHECK_THROWS_AS(rn::sync_wait(awaits(work)), std::logic_error);
  CHECK(rn::sync_wait(std::move(owner)) == 1);
  CHECK_THROWS_AS(rn::sync_wait(awaits(owner)), std::logic_error);
}

TEST_CASE("a task that was moved from cannot be started") {
  rn::task<> gone = nothing();
  rn::sync_wait(std::move(gone));
  CHECK_THROWS_AS(rn::go(std::move(gone)), std::logic_error);
  CHECK_THROWS_AS(rn::runtime::global().go(std::move(gone)), std::logic_error);
  CHECK_THROWS_AS(rn::async(std::move(gone)).get(), std::logic_error);
}

TEST_CASE("K02 a million awaits in a row, and a hundred thousand in one another, take a bounded stack") {
  CHECK(rn::sync_wait(sum_of(1000000)) == 1000000);
  CHECK(rn::sync_wait(nested(100000)) == 100000);
  CHECK(rn::sync_wait(caught(100000)) == 1);
  CHECK(rn::runtime::global().run(nested(100000)) == 100000);
}

TEST_CASE("K02 operations that are ready do not suspend, however many there are") {
  rn::channel<int> ch(1);
  bool suspended = false;
  auto work = [&]() -> placed {
    for (int i = 0; i < 100000; ++i) {
      co_await ch.async_send(i);
      auto got = co_await ch.async_recv();
      if (!got || *got != i) std::terminate();
    }
    suspended = false;
  };
  held_place place;
  placed run = work();
  suspended = true;
  run.start(&place);
  CHECK_FALSE(suspended);
  CHECK(run.done());
  CHECK(place.size() == 0);
}

TEST_CASE("a frame comes from the allocator that follows std::allocator_arg") {
  std::ptrdiff_t live = 0;
  {
    auto work = make_with_allocator(live, 3);
    CHECK(live > 0);
    CHECK(rn::sync_wait(std::move(work)) == 3);
    CHECK(live == 0);
    const auto dropped = make_with_allocator(live, 4);
    CHECK(live > 0);
  }
  CHECK(live == 0);
  std::pmr::monotonic_buffer_resource room;
  const maker makes;
  CHECK(rn::sync_wait(makes.make(std::allocator_arg, &room, 4)) == 5);
}

// Channels

TEST_CASE("K04 values go between threads and coroutines over channels of every kind") {
  const auto capacity = GENERATE(values<support::size_parameter>({0, 1, 3, std::nullopt}));
  const kind sender = GENERATE(kind::thread, kind::coroutine, kind::coroutine_ctx);
  const kind receiver = GENERATE(kind::thread, kind::coroutine, kind::coroutine_ctx);
  CAPTURE(support::name_of(capacity), static_cast<int>(sender), static_cast<int>(receiver));
  const int each = scaled(500, 100);
  const rn::channel<int> ch = support::make<int>(capacity);
  support::counter left{2};
  std::int64_t totals[2] = {};
  support::crew crew;
  for (int s = 0; s < 2; ++s)
    crew.go([&, s] {
      send_as(sender, ch, s * each, each);
      if (left.fetch_sub(1, rn::detail::acq_rel) == 1) ch.close();
    });
  for (std::int64_t& total : totals) crew.go([&] { total = sum_as(receiver, ch); });
  crew.join();
  const std::int64_t n = 2 * std::int64_t{each};
  CHECK(totals[0] + totals[1] == n * (n - 1) / 2);
}

TEST_CASE("C15 K04 one coroutine receives what another sends, in order, and plain data is published with it") {
  const auto capacity = GENERATE(values<support::size_parameter>({0, 1, 3, std::nullopt}));
  CAPTURE(support::name_of(capacity));
  const rn::channel<std::size_t> ch = support::make<std::size_t>(capacity);
  const auto n = static_cast<std::size_t>(scaled(2000, 500));
  std::vector<int> published(n, 0);
  auto sends = [&]() -> rn::task<> {
    for (std::size_t i = 0; i < n; ++i) {
      published[i] = 1;
      co_await ch.async_send(i);
    }
    ch.close();
  };
  auto receives = [&]() -> rn::task<bool> {
    std::size_t next = 0;
    bool right = true;
    while (auto value = co_await ch.async_recv()) {
      right = right && *value == next && published[next] == 1;
      ++next;
    }
    co_return right&& next == n;
  };
  auto sending = rn::async(sends);
  CHECK(rn::sync_wait(receives()));
  sending.get();
}

TEST_CASE("a channel of void signals coroutines") {
  const rn::channel<void> ch;
  auto receiver = [&]() -> rn::task<int> {
    int n = 0;
    while (co_await ch.async_recv()) ++n;
    co_return n;
  };
  auto counted_signals = rn::async(receiver);
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto sender = [&]() -> rn::task<bool> {
    co_await ch.async_send();
    const auto sent = co_await ch.async_send(ctx);
    co_return sent.status() == rn::status::ok;
  };
  CHECK(rn::sync_wait(sender()));
  ch.close();
  CHECK(counted_signals.get() == 2);
}

TEST_CASE("async_send_many and async_recv_many") {
  const auto capacity = GENERATE(values<support::size_parameter>({0, 1, 3, std::nullopt}));
  const bool with_ctx = GENERATE(false, true);
  CAPTURE(support::name_of(capacity), with_ctx);
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  const rn::channel<std::string> ch = support::make<std::string>(capacity);
  const int n = scaled(300, 100);
  std::vector<std::string> words;
  for (int i = 0; i < n; ++i) words.push_back("a rather long word, number " + std::to_string(i));
  const std::vector<std::string> expected = words;
  auto sends = [&]() -> rn::task<std::size_t> {
    std::size_t sent = 0;
    if (with_ctx)
      sent = co_await ch.async_send_many(ctx, std::move(words));
    else
      sent = co_await ch.async_send_many(std::move(words));
    ch.close();
    co_return sent;
  };
  auto receives = [&]() -> rn::task<std::vector<std::string>> {
    std::vector<std::string> got;
    for (;;) {
      std::size_t more = 0;
      if (with_ctx)
        more = co_await ch.async_recv_many(ctx, got, 7);
      else
        more = co_await ch.async_recv_many(got, 7);
      if (more == 0) break;
      if (more > 7) std::terminate();
    }
    co_return got;
  };
  auto sending = rn::async(sends);
  CHECK(rn::sync_wait(receives()) == expected);
  CHECK(sending.get() == static_cast<std::size_t>(n));
  CHECK(std::ranges::all_of(words, [](const std::string& w) { return w.empty(); }));
}

TEST_CASE("async_send_many copies an lvalue's elements, and stops where the channel closes or the context ends") {
  const rn::channel<int> ch(2);
  const std::vector<int> numbers{1, 2, 3, 4};
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto sends = [&]() -> rn::task<std::size_t> { co_return co_await ch.async_send_many(ctx, numbers); };
  auto sending = rn::async(sends);
  support::wait_until_sending(ch);
  ctx.cancel();
  CHECK(sending.get() == 2);
  CHECK(ch.size() == 2);
  auto sends_plain = [&]() -> rn::task<std::size_t> { co_return co_await ch.async_send_many(numbers); };
  auto second = rn::async(sends_plain);
  support::wait_until_sending(ch);
  ch.close();
  CHECK(second.get() == 0);
  std::vector<int> got;
  auto receives = [&](std::size_t max) -> rn::task<std::size_t> { co_return co_await ch.async_recv_many(got, max); };
  CHECK(rn::sync_wait(receives(0)) == 0);
  CHECK(rn::sync_wait(receives(9)) == 2);
  CHECK(rn::sync_wait(receives(9)) == 0);
  CHECK(got == std::vector<int>{1, 2});
  CHECK(numbers == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("C34 C33 close wakes coroutines that receive and send") {
  const auto capacity = GENERATE(values<support::size_parameter>({0, 1, 3}));
  CAPTURE(support::name_of(capacity));
  {
    const auto ch = support::make<int>(capacity);
    const rn::scoped_context ctx = rn::with_cancel(rn::context());
    auto plain = rn::async(recv_one<int>(ch));
    auto limited = rn::async(recv_one<int>(ch, ctx));
    support::wait_until_receiving(ch, 2);
    ch.close();
    CHECK(plain.get().status() == rn::status::closed);
    CHECK(limited.get().status() == rn::status::closed);
  }
  {
    const auto ch = support::make<int>(capacity);
    for (std::size_t i = 0; i < *capacity; ++i) ch.send(static_cast<int>(i));
    const rn::scoped_context ctx = rn::with_cancel(rn::context());
    auto plain = rn::async(send_one<int>(ch, 100));
    auto limited = rn::async(send_one(ch, ctx, 200));
    support::wait_until_sending(ch, 2);
    ch.close();
    CHECK_THROWS_AS(plain.get(), rn::channel_closed);
    CHECK(limited.get() == rn::status::closed);
    for (std::size_t i = 0; i < *capacity; ++i) CHECK(ch.recv().value() == static_cast<int>(i));
    CHECK(ch.drained());
    CHECK_THROWS_AS(rn::sync_wait(send_one<int>(ch, 1)), rn::channel_closed);
    CHECK(rn::sync_wait(send_one(ch, ctx, 1)) == rn::status::closed);
    CHECK(rn::sync_wait(recv_one<int>(ch)).status() == rn::status::closed);
  }
}

TEST_CASE("a handle's end closes the channel for coroutines that wait, and each holds its own end") {
  auto ends = rn::make_channel<int>();
  auto receives = [](rn::recv_channel<int> from) -> rn::task<rn::status> {
    const auto got = co_await from.async_recv();
    co_return got.status();
  };
  auto waiting = rn::async(receives(ends.recv));
  support::wait_until_receiving(ends.recv);
  {
    const auto last = std::move(ends.send);
  }
  CHECK(waiting.get() == rn::status::closed);
}

TEST_CASE("C59 waits on a nil channel end with their context") {
  const rn::channel<int> nil(nullptr);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto receiving = rn::async(recv_one<int>(nil, ctx));
  auto sending = rn::async(send_one(nil, ctx, 1));
  const rn::scoped_context soon = rn::with_timeout(rn::context(), 2ms);
  CHECK(rn::sync_wait(recv_one<int>(nil, soon)).status() == rn::status::timed_out);
  CHECK(rn::sync_wait(send_one(nil, soon, 1)) == rn::status::timed_out);
  ctx.cancel();
  CHECK(receiving.get().status() == rn::status::canceled);
  CHECK(sending.get() == rn::status::canceled);
}

TEST_CASE("C59 plain waits of a coroutine on a nil channel are for ever") {
  const rn::channel<int> nil(nullptr);
  bool went_on = false;
  auto receives = [&]() -> placed {
    co_await nil.async_recv();
    went_on = true;
  };
  auto sends = [&]() -> placed {
    co_await nil.async_send(1);
    went_on = true;
  };
  held_place place;
  {
    placed a = receives();
    placed b = sends();
    a.start(&place);
    b.start(&place);
    CHECK(place.size() == 0);
  }
  CHECK_FALSE(went_on);
}

TEST_CASE("C28 waits of coroutines end with the deadline of their context, and not before") {
  const rn::channel<int> ch;
  const auto begin = rn::clock::now();
  const rn::scoped_context ctx = rn::with_timeout(rn::context(), 5ms);
  CHECK(rn::sync_wait(recv_one<int>(ch, ctx)).status() == rn::status::timed_out);
  CHECK(rn::clock::now() - begin >= 5ms);
  CHECK(rn::sync_wait(send_one(ch, ctx, 1)) == rn::status::timed_out);
  CHECK(rn::sync_wait(recv_one<int>(ch, ctx)).status() == rn::status::timed_out);
  auto sends = [&]() -> rn::task<rn::status> {
    const auto sent = co_await ch.async_send(rn::with_timeout(rn::context(), 1ms), 1);
    co_return sent.status();
  };
  CHECK(rn::sync_wait(sends()) == rn::status::timed_out);
  CHECK(support::receiving(ch) == 0);
  CHECK(support::sending(ch) == 0);
}

TEST_CASE("a value that is ready wins over a context that is done, for coroutines too") {
  const rn::channel<int> ch(1);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  ctx.cancel();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(rn::sync_wait(send_one(ch, ctx, i)) == rn::status::ok);
    REQUIRE(rn::sync_wait(recv_one<int>(ch, ctx)).value() == i);
  }
  CHECK(rn::sync_wait(recv_one<int>(ch, ctx)).status() == rn::status::canceled);
}

TEST_CASE("C60 C30 a cancel while coroutines wait loses no value and moves from none") {
  const rn::channel<std::unique_ptr<int>> ch;
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto kept = std::make_unique<int>(1);
  auto sends = [&]() -> rn::task<rn::status> {
    const auto sent = co_await ch.async_send(ctx, std::move(kept));
    co_return sent.status();
  };
  auto sending = rn::async(sends);
  support::wait_until_sending(ch);
  ctx.cancel();
  CHECK(sending.get() == rn::status::canceled);
  REQUIRE(kept != nullptr);
  CHECK(*kept == 1);
  CHECK(ch.try_recv().status() == rn::status::would_block);

  rn::scoped_context other = rn::with_cancel(rn::context());
  auto receiving = rn::async(recv_one<std::unique_ptr<int>>(ch, other));
  support::wait_until_receiving(ch);
  other.cancel();
  CHECK(receiving.get().status() == rn::status::canceled);
  CHECK(ch.try_send(std::make_unique<int>(2)).status() == rn::status::would_block);
}

TEST_CASE("C60 cancel races with delivery: each value arrives once or stays with its sender") {
  const rn::channel<int> ch;
  const int rounds = scaled(300, 100);
  int neither = 0;
  for (int i = 0; i < rounds; ++i) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    auto receiving = rn::async(recv_one<int>(ch, ctx));
    auto sending = rn::async(send_one(ch, ctx, i));
    ctx.cancel();
    const auto got = receiving.get();
    const auto sent = sending.get();
    REQUIRE(static_cast<bool>(got) == (sent == rn::status::ok));
    if (got) REQUIRE(*got == i);
    if (!got) ++neither;
    REQUIRE(support::receiving(ch) == 0);
    REQUIRE(support::sending(ch) == 0);
  }
  CHECK(neither <= rounds);
}

// Coroutines of other types, and where they go on

TEST_CASE("a coroutine goes on at the place that its promise asks for, and not inside the call that lets it go") {
  const rn::channel<int> ch;
  held_place place;
  int got = 0;
  auto receives = [&]() -> placed {
    auto value = co_await ch.async_recv();
    got = value.value();
  };
  placed run = receives();
  run.start(&place);
  CHECK(support::receiving(ch) == 1);
  ch.send(5);
  CHECK(got == 0);
  REQUIRE(place.size() == 1);
  CHECK(place.run_one());
  CHECK(got == 5);
  CHECK(run.done());
}

TEST_CASE("a task inherits the place of whoever awaits it") {
  const rn::channel<int> ch;
  held_place place;
  int got = 0;
  auto receives = [&]() -> placed {
    auto value = co_await recv_one<int>(ch);
    got = value.value() + co_await sum(1, 2);
  };
  placed run = receives();
  run.start(&place);
  ch.send(5);
  CHECK(got == 0);
  CHECK(place.run_one());
  place.run_until([&] { return run.done(); });
  CHECK(got == 8);
}

TEST_CASE("a coroutine type that asks for no place goes on on the global runtime") {
  const rn::channel<int> ch;
  support::counter got{0};
  support::gate ended;
  auto receives = [&]() -> foreign<false> {
    auto value = co_await ch.async_recv();
    got.store(static_cast<std::uint32_t>(value.value()), rn::detail::release);
    const auto* const here = rn::detail::scheduler::here_or_null();
    if (here != &rn::detail::scheduler::global()) std::terminate();
    ended.open();
  };
  foreign<false> run = receives();
  run.start();
  ch.send(5);
  ended.wait();
  CHECK(support::read(got) == 5);
  support::wait_until([&] { return run.done(); });
}

TEST_CASE("a place that is null is none") {
  const rn::channel<int> ch;
  support::gate ended;
  auto receives = [&]() -> placed {
    co_await ch.async_recv();
    ended.open();
  };
  placed run = receives();
  run.start(nullptr);
  ch.send(5);
  ended.wait();
  support::wait_until([&] { return run.done(); });
  CHECK(run.done());
}

// Destroying what waits

TEST_CASE("a coroutine that is destroyed while it receives is withdrawn") {
  const bool with_ctx = GENERATE(false, true);
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  const rn::channel<int> ch;
  held_place place;
  auto receives = [&]() -> placed {
    if (with_ctx)
      co_await ch.async_recv(ctx);
    else
      co_await ch.async_recv();
  };
  {
    placed run = receives();
    run.start(&place);
    CHECK(support::receiving(ch) == 1);
  }
  CHECK(support::receiving(ch) == 0);
  CHECK(ch.try_send(1).status() == rn::status::would_block);
  CHECK(place.size() == 0);
}

TEST_CASE("C60 a coroutine that is destroyed while it sends leaves its value as it was") {
  const bool with_ctx = GENERATE(false, true);
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  const rn::channel<std::unique_ptr<int>> ch;
  held_place place;
  auto value = std::make_unique<int>(3);
  auto sends = [&]() -> placed {
    if (with_ctx) {
      const auto sent = co_await ch.async_send(ctx, std::move(value));
      if (sent) std::terminate();
    } else {
      co_await ch.async_send(std::move(value));
    }
  };
  {
    placed run = sends();
    run.start(&place);
    CHECK(support::sending(ch) == 1);
  }
  CHECK(support::sending(ch) == 0);
  REQUIRE(value != nullptr);
  CHECK(*value == 3);
  CHECK(ch.try_recv().status() == rn::status::would_block);
}

TEST_CASE("K06 B33 a coroutine that is destroyed while it selects is withdrawn from every case") {
  const rn::channel<int> a;
  const rn::channel<std::string> b;
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  const std::string word = "a word that is too long to be kept in the string itself";
  held_place place;
  auto selects = [&]() -> placed {
    co_await rn::async_select(rn::on_recv(a), rn::on_send(b, word), rn::on_done(ctx), rn::on_timeout(1h));
  };
  for (int i = 0; i < 10; ++i) {
    {
      placed run = selects();
      run.start(&place);
      CHECK(support::receiving(a) == 1);
      CHECK(support::sending(b) == 1);
    }
    CHECK(support::receiving(a) == 0);
    CHECK(support::sending(b) == 0);
  }
  CHECK(place.size() == 0);
}

TEST_CASE("K06 coroutines that are destroyed in select race with those that would complete them") {
  const rn::channel<std::string> a;
  const rn::channel<std::string> b;
  const std::string word = "a word that is too long to be kept in the string itself";
  const int rounds = scaled(2000, 400);
  support::counter stop{0};
  support::counter wrong{0};
  support::crew crew;
  crew.go([&] {
    while (support::read(stop) == 0) {
      static_cast<void>(a.try_send(word));
      if (const auto got = b.try_recv(); got && *got != word) support::add(wrong);
    }
  });
  held_place place;
  auto selects = [&]() -> placed {
    std::optional<std::string> slot;
    co_await rn::async_select(rn::on_recv(a, slot), rn::on_send(b, word));
  };
  for (int i = 0; i < rounds; ++i) {
    placed run = selects();
    run.start(&place);
  }
  support::add(stop);
  crew.join();
  CHECK(support::read(wrong) == 0);
  CHECK(support::receiving(a) == 0);
  CHECK(support::sending(b) == 0);
  CHECK(place.size() == 0);
}

TEST_CASE("coroutines that are destroyed while they wait for a wait_group, a future, a context, or a sleep") {
  held_place place;
  rn::wait_group group;
  group.add();
  support::gate go_on;
  auto f = rn::async([&] { return go_on.wait(), 1; });
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::errgroup tasks;
  tasks.go([&] { go_on.wait(); });
  rn::selector several;
  const rn::channel<int> ch;
  several.add(rn::on_recv(ch));
  auto waits = [&](int what) -> placed {
    switch (what) {
      case 0: co_await group.async_wait(); break;
      case 1: static_cast<void>(co_await group.async_wait(ctx)); break;
      case 2: co_await f.async_wait(); break;
      case 3: static_cast<void>(co_await f.async_wait(ctx)); break;
      case 4: co_await f.async_get(); break;
      case 5: static_cast<void>(co_await f.async_get(ctx)); break;
      case 6: co_await rn::async_select(rn::on_ready(f), rn::on_done(ctx)); break;
      case 7: co_await rn::async_sleep_for(1h); break;
      case 8: static_cast<void>(co_await rn::async_sleep_for(ctx, 1h)); break;
      case 9: co_await several.async_wait(); break;
      case 10: static_cast<void>(co_await several.async_wait(ctx)); break;
      case 11: co_await tasks.async_wait(); break;
      default: static_cast<void>(co_await tasks.async_wait(ctx)); break;
    }
    std::terminate();
  };
  for (int what = 0; what <= 12; ++what) {
    CAPTURE(what);
    {
      placed run = waits(what);
      run.start(&place);
      CHECK_FALSE(run.done());
    }
    CHECK(place.size() == 0);
    CHECK(f.valid());
  }
  CHECK(support::receiving(ch) == 0);
  CHECK(several.size() == 1);
  CHECK(several.try_wait().status() == rn::status::would_block);  // nobody waits with it any more
  group.done();
  go_on.open();
  CHECK(f.get() == 1);
  tasks.wait();
}

TEST_CASE("a coroutine that is destroyed while it waits for a guarded value leaves it to the others") {
  const bool with_ctx = GENERATE(false, true);
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::guarded<int> value(0);
  held_place place;
  auto waits = [&]() -> placed {
    if (with_ctx)
      auto held = co_await value.async_wait(ctx, [](int v) { return v == 1; });
    else
      auto held = co_await value.async_wait([](int v) { return v == 1; });
  };
  SECTION("that waits") {
    {
      placed run = waits();
      run.start(&place);
      CHECK_FALSE(run.done());
    }
    value.with([](int& v) { v = 1; });
    CHECK(*value.lock() == 1);
  }
  SECTION("to which the lock has been handed over") {
    {
      placed run = waits();
      run.start(&place);
      value.with([](int& v) { v = 1; });
      REQUIRE(place.size() == 1);  // it holds the lock, and has not gone on
      CHECK_FALSE(run.done());
    }
    CHECK(place.size() == 0);
    CHECK(*value.lock() == 1);
    CHECK(value.try_wait([](int v) { return v == 1; }));
  }
  SECTION("to which the lock has been handed over, while others wait") {
    placed other = waits();
    placed run = waits();
    run.start(&place);
    other.start(&place);
    value.with([](int& v) { v = 1; });
    REQUIRE(place.size() == 1);
    run.destroy();
    REQUIRE(place.size() == 1);  // the next one has it
    CHECK(place.run_one());
    CHECK(other.done());
    CHECK(*value.lock() == 1);
  }
}

TEST_CASE("a coroutine that has been claimed is taken back from its place when it is destroyed") {
  held_place place;
  SECTION("a send") {
    const rn::channel<std::unique_ptr<int>> ch;
    auto value = std::make_unique<int>(3);
    auto sends = [&]() -> placed { co_await ch.async_send(std::move(value)); };
    placed run = sends();
    run.start(&place);
    CHECK(*ch.recv().value() == 3);
    REQUIRE(place.size() == 1);
    run.destroy();
    CHECK(place.size() == 0);
    CHECK(value == nullptr);
  }
  SECTION("a select over several") {
    const rn::channel<int> a;
    const rn::channel<int> b;
    const rn::scoped_context ctx = rn::with_cancel(rn::context());
    auto selects = [&]() -> placed {
      co_await rn::async_select(rn::on_recv(a), rn::on_send(b, 1), rn::on_done(ctx), rn::on_timeout(1h));
    };
    placed run = selects();
    run.start(&place);
    CHECK(b.recv().value() == 1);
    REQUIRE(place.size() == 1);
    run.destroy();
    CHECK(place.size() == 0);
    CHECK(support::receiving(a) == 0);
  }
  SECTION("a wait for a wait_group, that a context has ended") {
    rn::wait_group group;
    group.add();
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    auto waits = [&]() -> placed { static_cast<void>(co_await group.async_wait(ctx)); };
    placed run = waits();
    run.start(&place);
    ctx.cancel();
    REQUIRE(place.size() == 1);
    run.destroy();
    CHECK(place.size() == 0);
    group.done();
    group.wait();
  }
  SECTION("a sleep that is over") {
    auto sleeps = [&]() -> placed { co_await rn::async_sleep_for(1ms); };
    placed run = sleeps();
    run.start(&place);
    wait_until_posted(place);
    run.destroy();
    CHECK(place.size() == 0);
  }
  SECTION("a task inside of it") {
    const rn::channel<int> ch;
    auto token = std::make_shared<int>(0);
    auto inner = [](std::shared_ptr<int> /*held*/, rn::channel<int> from) -> rn::task<> { co_await from.async_recv(); };
    auto waits = [&]() -> placed { co_await inner(token, ch); };
    placed run = waits();
    run.start(&place);
    CHECK(token.use_count() == 2);
    ch.send(1);
    REQUIRE(place.size() == 1);
    run.destroy();
    CHECK(place.size() == 0);
    CHECK(token.use_count() == 1);
  }
}

TEST_CASE("C40 a value that a coroutine has been given, and does not come to use, is destroyed with it") {
  held_place place;
  SECTION("a receive: the value is destroyed with it") {
    const std::int64_t before = counted::live();
    const bool with_ctx = GENERATE(false, true);
    const rn::scoped_context ctx = rn::with_cancel(rn::context());
    {
      const rn::channel<counted> ch;
      auto receives = [&]() -> placed {
        if (with_ctx)
          co_await ch.async_recv(ctx);
        else
          co_await ch.async_recv();
      };
      placed run = receives();
      run.start(&place);
      ch.send(counted(1));
      REQUIRE(place.size() == 1);
      run.destroy();
      CHECK(place.size() == 0);
    }
    CHECK(counted::live() == before);
  }
  SECTION("a select: the value is destroyed with it") {
    const std::int64_t before = counted::live();
    {
      const rn::channel<counted> ch;
      auto receives = [&]() -> placed { co_await rn::async_select(rn::on_recv(ch, [](counted /*value*/) {})); };
      placed run = receives();
      run.start(&place);
      ch.send(counted(1));
      REQUIRE(place.size() == 1);
      run.destroy();
      CHECK(place.size() == 0);
    }
    CHECK(counted::live() == before);
  }
}

TEST_CASE("K06 B33 a coroutine that is destroyed while it selects is withdrawn before its cases are destroyed") {
  held_place place;
  const rn::channel<tattler> ch;
  SECTION("a send: the value is not received any more") {
    int received = 0;
    const tattler value([&] { received += ch.try_recv() ? 1 : 0; });
    auto sends = [&]() -> placed { co_await rn::async_select(rn::on_send(ch, value), rn::on_timeout(1h)); };
    placed run = sends();
    run.start(&place);
    run.destroy();
    CHECK(received == 0);
  }
  SECTION("a receive: it does not take a value any more") {
    int sent = 0;
    auto receives = [&]() -> placed {
      tattler_handler handler{tattler([&] { sent += ch.try_send(tattler()) ? 1 : 0; })};  // g++ 12 destroys a temporary one twice
      co_await rn::async_select(rn::on_recv(ch, std::move(handler)), rn::on_timeout(1h));
    };
    placed run = receives();
    run.start(&place);
    run.destroy();
    CHECK(sent == 0);
  }
}

TEST_CASE("K02 a coroutine that is destroyed on its way to a task or back is taken back from its place") {
  held_place place;
  const int n = 1000;
  auto awaits = [&]() -> placed {
    for (int i = 0; i < n; ++i) co_await nothing();
  };
  for (int i = 0; i < 2; ++i) {
    placed run = awaits();
    run.start(&place);
    REQUIRE(place.size() == 1);  // not every step is made inline
    for (int k = 0; k < i; ++k) place.run_one();
    REQUIRE(place.size() == 1);
    run.destroy();
    REQUIRE(place.size() == 0);
  }
}

TEST_CASE("what a place drops does not go on, and can be destroyed") {
  const rn::channel<int> ch;
  held_place place;
  bool went_on = false;
  auto receives = [&](bool several) -> placed {
    if (several)
      co_await rn::async_select(rn::on_recv(ch), rn::on_timeout(1h));
    else
      co_await ch.async_recv();
    went_on = true;
  };
  for (const bool several : {false, true}) {
    placed run = receives(several);
    run.start(&place);
    ch.send(1);
    CHECK(place.drop_one());
  }
  CHECK_FALSE(went_on);
}

TEST_CASE("coroutines that are destroyed while they receive race with the sender") {
  const rn::channel<int> ch;
  const int rounds = scaled(2000, 400);
  support::counter stop{0};
  support::crew crew;
  crew.go([&] {
    while (support::read(stop) == 0) static_cast<void>(ch.try_send(1));
  });
  held_place place;
  auto receives = [&]() -> placed { co_await ch.async_recv(); };
  for (int i = 0; i < rounds; ++i) {
    placed run = receives();
    run.start(&place);
  }
  support::add(stop);
  crew.join();
  CHECK(support::receiving(ch) == 0);
  CHECK(place.size() == 0);
}

// async_select

TEST_CASE("async_select makes one ready case happen, and runs its handler") {
  const rn::channel<int> in(1);
  const rn::channel<int> out(1);
  const rn::channel<int> nil(nullptr);
  const rn::scoped_context live = rn::with_cancel(rn::context());
  rn::scoped_context done = rn::with_cancel(rn::context());
  done.cancel();
  auto f = rn::async([] { return 1; });
  f.wait();
  in.send(3);
  int got = 0;
  auto selects = [&](int what) -> rn::task<std::size_t> {
    switch (what) {
      case 0: co_return co_await rn::async_select(rn::on_recv(nil), rn::on_recv(in, [&](int v) { got = v; }));
      case 1: co_return co_await rn::async_select(rn::on_send(nil, 1), rn::on_recv(nil), rn::on_send(out, 5, [&] { got = 5; }));
      case 2: co_return co_await rn::async_select(rn::on_done(live), rn::on_done(done, [&] { got = 6; }));
      case 3: co_return co_await rn::async_select(rn::on_recv(nil), rn::on_ready(f, [&] { got = 7; }));
      case 4: co_return co_await rn::async_select(rn::on_done(live), rn::on_timeout(2ms, [&] { got = 8; }));
      case 5: co_return co_await rn::async_select(rn::otherwise([&] { got = 9; }), rn::on_done(live));
      case 6: co_return co_await rn::async_select(rn::when(false, rn::on_done(done)), rn::when(true, rn::on_ready(f)));
      case 7: co_return co_await rn::async_select(rn::on_recv(nil), rn::when(false, rn::on_done(done)));
      case 8: co_return co_await rn::async_select();
      case 9: co_return co_await rn::async_select(rn::biased, rn::on_done(done), rn::on_ready(f));
      case 10: co_return co_await rn::async_select(rn::on_deadline(rn::clock::now() + 1ms), rn::on_timeout(1h));
      default: co_return co_await rn::async_select(rn::on_timeout(0ms), rn::on_done(live));
    }
  };
  const std::size_t expected[] = {1, 2, 1, 1, 1, 0, 1, rn::select_none, rn::select_none, 0, 0, 0};
  const int handled[] = {3, 5, 6, 7, 8, 9};
  for (int what = 0; what < 12; ++what) {
    CAPTURE(what);
    CHECK(rn::sync_wait(selects(what)) == expected[what]);
    if (what < 6) CHECK(got == handled[what]);
  }
  CHECK(out.recv().value() == 5);
}

TEST_CASE("async_select: slots, closed channels, handlers that throw, and rvalues that are not chosen") {
  const rn::channel<int> in(1);
  const rn::channel<int> other;
  in.send(4);
  std::optional<int> slot;
  auto into_slot = [&]() -> rn::task<std::size_t> { co_return co_await rn::async_select(rn::on_recv(in, slot)); };
  CHECK(rn::sync_wait(into_slot()) == 0);
  CHECK(slot == 4);
  in.close();
  CHECK(rn::sync_wait(into_slot()) == 0);
  CHECK_FALSE(slot.has_value());
  bool closed = false;
  auto outcome = [&]() -> rn::task<std::size_t> {
    co_return co_await rn::async_select(
        rn::on_recv(in, [&](rn::recv_result<int> r) { closed = r.status() == rn::status::closed; }));
  };
  CHECK(rn::sync_wait(outcome()) == 0);
  CHECK(closed);
  auto value_only = [&]() -> rn::task<std::size_t> { co_return co_await rn::async_select(rn::on_recv(in, [](int) {})); };
  CHECK(rn::sync_wait(value_only()) == rn::select_none);
  auto sends = [&]() -> rn::task<> { co_await rn::async_select(rn::on_send(in, 1)); };
  CHECK_THROWS_AS(rn::sync_wait(sends()), rn::channel_closed);
  auto throws = [&]() -> rn::task<> { co_await rn::async_select(rn::otherwise([] { throw std::runtime_error("handler"); })); };
  CHECK_THROWS_AS(rn::sync_wait(throws()), std::runtime_error);
  const rn::channel<std::unique_ptr<int>> boxes;
  auto box = std::make_unique<int>(1);
  auto keeps = [&]() -> rn::task<std::size_t> {
    co_return co_await rn::async_select(rn::on_send(boxes, std::move(box)), rn::on_timeout(1ms));
  };
  CHECK(rn::sync_wait(keeps()) == 1);
  CHECK(box != nullptr);
  rn::future<int> empty;
  auto asks = [&]() -> rn::task<> { co_await rn::async_select(rn::on_ready(empty), rn::on_recv(other)); };
  CHECK_THROWS_AS(rn::sync_wait(asks()), std::logic_error);
}

TEST_CASE("async_select answers select_none when nothing can happen any more, also while it waits") {
  const rn::channel<int> a;
  const rn::channel<int> b;
  auto selects = [&]() -> rn::task<std::size_t> {
    co_return co_await rn::async_select(rn::on_recv(a, [](int) {}), rn::on_recv(b, [](int) {}));
  };
  auto waiting = rn::async(selects);
  support::wait_until_receiving(a);
  support::wait_until_receiving(b);
  a.close();
  support::wait_until([&] { return support::receiving(b) == 1; });
  CHECK_FALSE(waiting.ready());
  b.close();
  CHECK(waiting.get() == rn::select_none);
}

TEST_CASE("C42 K06 a coroutine's select meets a thread's on the opposite channels") {
  const bool thread_peer = GENERATE(true, false);
  const auto capacity = GENERATE(values<support::size_parameter>({0, 1}));
  const rn::channel<int> a = support::make<int>(capacity);
  const rn::channel<int> b = support::make<int>(capacity);
  const int rounds = scaled(2000, 400);
  struct totals {
    std::int64_t sent = 0;
    std::int64_t got = 0;
  };
  totals mine;
  totals theirs;
  const rn::channel<void> stop;
  auto selects = [&]() -> rn::task<> {
    for (int i = 0; i < rounds; ++i)
      co_await rn::async_select(rn::on_recv(a, [&](int v) { mine.got += v; }), rn::on_send(b, i, [&] { mine.sent += i; }));
    stop.close();
  };
  auto peer = [&]() -> rn::task<> {
    for (int i = 0; !stop.closed(); ++i)
      co_await rn::async_select(rn::on_send(a, i, [&] { theirs.sent += i; }), rn::on_recv(b, [&](int v) { theirs.got += v; }),
                                rn::on_recv(stop));
  };
  support::crew crew;
  crew.go([&] { rn::sync_wait(selects()); });
  if (thread_peer) {
    for (int i = 0; !stop.closed(); ++i)
      rn::select(rn::on_send(a, i, [&] { theirs.sent += i; }), rn::on_recv(b, [&](int v) { theirs.got += v; }), rn::on_recv(stop));
  } else {
    rn::sync_wait(peer());
  }
  crew.join();
  while (const auto left = a.try_recv()) mine.got += *left;
  while (const auto left = b.try_recv()) theirs.got += *left;
  CHECK(mine.sent == theirs.got);
  CHECK(theirs.sent == mine.got);
}

TEST_CASE("selector: async_wait in its forms") {
  const rn::channel<int> a(1);
  const rn::channel<int> b(1);
  rn::selector several;
  int got = 0;
  const std::size_t first = several.add(rn::on_recv(a, [&](int v) { got = v; }));
  const std::size_t second = several.add(rn::on_send(b, 7));  // an rvalue: once
  auto waits = [&]() -> rn::task<std::size_t> { co_return co_await several.async_wait(); };
  CHECK(rn::sync_wait(waits()) == second);
  CHECK(several.size() == 1);
  auto waiting = rn::async(waits);
  support::wait_until_receiving(a);
  CHECK_THROWS_AS(several.try_wait(), std::logic_error);  // another waits
  a.send(3);
  CHECK(waiting.get() == first);
  CHECK(got == 3);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto limited = [&]() -> rn::task<rn::result<std::size_t>> { co_return co_await several.async_wait(ctx); };
  auto canceled = rn::async(limited);
  support::wait_until_receiving(a);
  ctx.cancel();
  CHECK(canceled.get().status() == rn::status::canceled);
  a.send(4);
  CHECK(rn::sync_wait(limited()).value() == first);
  CHECK(got == 4);
  a.close();
  CHECK(rn::sync_wait(limited()).value() == rn::select_none);
  CHECK(rn::sync_wait(waits()) == rn::select_none);
  CHECK(b.recv().value() == 7);
}

// The others

TEST_CASE("wait_group: async_wait") {
  rn::wait_group group;
  const rn::scoped_context live = rn::with_cancel(rn::context());
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto waits = [&]() -> rn::task<> { co_await group.async_wait(); };
  auto limited = [&](rn::context limit) -> rn::task<rn::status> {
    const auto ended = co_await group.async_wait(limit);
    co_return ended.status();
  };
  rn::sync_wait(waits());
  CHECK(rn::sync_wait(limited(live)) == rn::status::ok);
  group.add(2);
  auto a = rn::async(waits);
  auto b = rn::async(limited(live));
  auto c = rn::async(limited(ctx));
  ctx.cancel();
  CHECK(c.get() == rn::status::canceled);
  CHECK(rn::sync_wait(limited(rn::context(ctx))) == rn::status::canceled);
  group.done();
  CHECK_FALSE(a.ready());
  group.done();
  a.get();
  CHECK(b.get() == rn::status::ok);
}

TEST_CASE("future: async_get and async_wait") {
  support::gate go_on;
  auto f = rn::async([&] { return go_on.wait(), std::make_unique<int>(4); });
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto waits = [&]() -> rn::task<> { co_await f.async_wait(); };
  auto limited = [&]() -> rn::task<rn::status> {
    const auto ended = co_await f.async_wait(ctx);
    co_return ended.status();
  };
  auto gets_limited = [&]() -> rn::task<rn::result<std::unique_ptr<int>>> { co_return co_await f.async_get(ctx); };
  auto gets = [&]() -> rn::task<std::unique_ptr<int>> { co_return co_await f.async_get(); };
  auto a = rn::async(waits);
  auto b = rn::async(limited);
  ctx.cancel();
  CHECK(b.get() == rn::status::canceled);
  CHECK(rn::sync_wait(gets_limited()).status() == rn::status::canceled);
  CHECK(f.valid());
  go_on.open();
  a.get();
  CHECK(rn::sync_wait(limited()) == rn::status::ok);  // ready wins
  CHECK(*rn::sync_wait(gets()) == 4);
  CHECK_FALSE(f.valid());
  CHECK_THROWS_AS(rn::sync_wait(gets()), std::logic_error);
  CHECK_THROWS_AS(rn::sync_wait(waits()), std::logic_error);
  auto failing = rn::async([]() -> int { throw std::runtime_error("failed"); });
  auto gets_failure = [&]() -> rn::task<int> { co_return co_await failing.async_get(); };
  CHECK_THROWS_AS(rn::sync_wait(gets_failure()), std::runtime_error);
}

TEST_CASE("errgroup: async_wait") {
  rn::errgroup group;
  support::gate go_on;
  group.go([&] { go_on.wait(); });
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto waits = [&]() -> rn::task<> { co_await group.async_wait(); };
  auto limited = [&]() -> rn::task<rn::status> {
    const auto ended = co_await group.async_wait(ctx);
    co_return ended.status();
  };
  auto a = rn::async(limited);
  ctx.cancel();
  CHECK(a.get() == rn::status::canceled);
  CHECK_FALSE(group.ctx().done());  // the round goes on
  auto b = rn::async(waits);
  go_on.open();
  b.get();
  group.go([]() -> rn::task<> {
    throw std::runtime_error("failed");
    co_return;
  });
  CHECK_THROWS_AS(rn::sync_wait(waits()), std::runtime_error);
  group.go([](const rn::context&) -> rn::task<std::error_code> { co_return std::make_error_code(std::errc::io_error); });
  CHECK_THROWS_AS(rn::sync_wait(waits()), std::system_error);
  group.go([] {});
  rn::sync_wait(waits());
}

TEST_CASE("an errgroup's coroutines are canceled by the first failure, and live until they end") {
  const int count = scaled(100, 30);
  const rn::channel<int> never;
  support::counter ended{0};
  rn::errgroup group;
  for (int i = 0; i < count; ++i) {
    auto token = std::make_shared<int>(i);
    group.go([&, token](const rn::context& ctx) -> rn::task<> {
      co_await never.async_recv(ctx);
      if (*token >= 0) support::add(ended);
    });
  }
  group.go([]() -> rn::task<> {
    throw std::runtime_error("first");
    co_return;
  });
  CHECK_THROWS_AS(group.wait(), std::runtime_error);
  CHECK(support::read(ended) == static_cast<std::uint32_t>(count));
}

TEST_CASE("guarded: async_wait") {
  rn::guarded<int> value(0);
  const rn::scoped_context live = rn::with_cancel(rn::context());
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto waits = [&](int at_least) -> rn::task<int> {
    auto held = co_await value.async_wait([at_least](int v) { return v >= at_least; });
    co_return * held += 10;
  };
  auto limited = [&](const rn::context& limit, int at_least) -> rn::task<int> {
    auto held = co_await value.async_wait(limit, [at_least](int v) { return v >= at_least; });
    co_return held ? * held += 10 : -1;
  };
  auto throwing = [&]() -> rn::task<int> {
    auto held = co_await value.async_wait([](int v) {
      if (v == 5) throw std::runtime_error("predicate");
      return false;
    });
    co_return *held;
  };
  CHECK(rn::sync_wait(waits(0)) == 10);
  CHECK(rn::sync_wait(limited(live, 0)) == 20);
  auto a = rn::async([&] { return waits(100); });
  auto b = rn::async([&] { return limited(live, 100); });
  auto c = rn::async([&] { return limited(ctx, 100); });
  ctx.cancel();
  CHECK(c.get() == -1);
  value.with([](int& v) { v = 100; });
  const int one = a.get();
  const int two = b.get();
  CHECK(std::max(one, two) == 120);
  CHECK(std::min(one, two) == 110);
  value.with([](int& v) { v = 0; });
  auto d = rn::async(throwing);
  value.with([](int& v) { v = 5; });
  CHECK_THROWS_AS(d.get(), std::runtime_error);
  CHECK_THROWS_AS(rn::sync_wait(throwing()), std::runtime_error);
  CHECK(*value.lock() == 5);
}

TEST_CASE("K04 a guarded value is held across suspensions of a coroutine, and keeps the others out") {
  rn::guarded<int> value(0);
  const rn::channel<void> pause;
  support::gate held_now;
  auto holds = [&]() -> rn::task<> {
    auto held = co_await value.async_wait([](int) { return true; });
    held_now.open();
    co_await pause.async_recv();
    *held = 1;
  };
  auto holding = rn::async(holds);
  held_now.wait();
  support::wait_until_receiving(pause);
  CHECK_FALSE(value.try_wait([](int) { return true; }));
  pause.send();
  CHECK(value.with([](int v) { return v; }) == 1);
  holding.get();
}

TEST_CASE("coroutines sleep, never less than asked for") {
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto sleeps = [](rn::duration d) -> rn::task<rn::duration> {
    const auto begin = rn::clock::now();
    co_await rn::async_sleep_for(d);
    co_return rn::clock::now() - begin;
  };
  auto sleeps_until = [](rn::duration d) -> rn::task<rn::duration> {
    const auto begin = rn::clock::now();
    co_await rn::async_sleep_until(begin + d);
    co_return rn::clock::now() - begin;
  };
  auto limited = [](rn::context limit, rn::duration d) -> rn::task<rn::status> {
    const auto slept = co_await rn::async_sleep_for(limit, d);
    co_return slept.status();
  };
  auto limited_until = [](rn::context limit, rn::time_point at) -> rn::task<rn::status> {
    const auto slept = co_await rn::async_sleep_until(limit, at);
    co_return slept.status();
  };
  CHECK(rn::sync_wait(sleeps(3ms)) >= 3ms);
  CHECK(rn::sync_wait(sleeps_until(3ms)) >= 3ms);
  CHECK(rn::sync_wait(sleeps(0ms)) >= 0ms);
  CHECK(rn::sync_wait(sleeps(-1h)) >= 0ms);
  CHECK(rn::sync_wait(sleeps_until(-1h)) >= 0ms);
  CHECK(rn::sync_wait(limited(ctx, 2ms)) == rn::status::ok);
  auto a = rn::async(limited(ctx, rn::duration::max()));
  auto b = rn::async(limited_until(ctx, rn::time_point::max()));
  ctx.cancel();
  CHECK(a.get() == rn::status::canceled);
  CHECK(b.get() == rn::status::canceled);
  CHECK(rn::sync_wait(limited(ctx, 1h)) == rn::status::canceled);
  CHECK(rn::sync_wait(limited(ctx, 0ms)) == rn::status::ok);  // a sleep that is over wins
  const rn::scoped_context short_time = rn::with_timeout(rn::context(), 2ms);
  CHECK(rn::sync_wait(limited(short_time, 1h)) == rn::status::timed_out);
}

TEST_CASE("many coroutines sleep at once, and wake in the order of their times") {
  const int count = scaled(200, 50);
  const rn::channel<int> order(rn::unbounded);
  rn::wait_group group;
  const auto base = rn::clock::now() + 5ms;
  for (int i = 0; i < count; ++i)
    group.go([&, i]() -> rn::task<> {
      co_await rn::async_sleep_until(base + std::chrono::microseconds((count - i) * 10));
      co_await order.async_send(i);
    });
  group.wait();
  CHECK(order.size() == static_cast<std::size_t>(count));
}

}  // namespace task_test
