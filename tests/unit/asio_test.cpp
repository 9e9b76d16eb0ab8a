#if defined(__clang__)  // of which older versions of asio know the coroutines that came before C++20 only
#if !defined(BOOST_ASIO_HAS_CO_AWAIT)
#define BOOST_ASIO_HAS_CO_AWAIT 1
#endif
#define ASIO_HAS_CO_AWAIT 1
#endif

#include <runnel/asio.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/runtime.hpp>
#include <runnel/select.hpp>
#include <runnel/timer.hpp>

#include <chrono>
#include <coroutine>
#include <functional>
#include <future>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#if defined(RUNNEL_STANDALONE_ASIO)
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#if defined(RUNNEL_ASIO_HAS_SLOTS)
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#endif
#if defined(ASIO_HAS_CO_AWAIT)
#define RUNNEL_ASIO_TEST_HAS_CO_AWAIT 1
#endif
#else
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#if defined(RUNNEL_ASIO_HAS_SLOTS)
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#endif
#if defined(BOOST_ASIO_HAS_CO_AWAIT)
#define RUNNEL_ASIO_TEST_HAS_CO_AWAIT 1
#endif
#endif

#include "catch.hpp"
#include "support.hpp"

namespace asio_test {

namespace rn = runnel;
#if defined(RUNNEL_STANDALONE_ASIO)
namespace net = ::asio;
#else
namespace net = boost::asio;
#endif
using namespace std::chrono_literals;
using rn::asio::async_await;
using rn::asio::async_recv;
using rn::asio::async_recv_many;
using rn::asio::async_send;
using rn::asio::async_send_many;
using support::counted;
using support::scaled;

namespace {

using io_executor = net::io_context::executor_type;
using io_strand = net::strand<io_executor>;

/// A handler on an executor. (Of few types in all: what asio makes of each takes long to compile.)
template <class Executor, class F>
auto on(const Executor& executor, F f) {
  return net::bind_executor(executor, std::move(f));
}
template <class F>
auto on(net::io_context& io, F f) {
  return on(io.get_executor(), std::move(f));
}

/// What a handler was called with.
template <class R>
struct answer {
  std::exception_ptr error;
  std::optional<R> value;
  int calls = 0;
};
template <class R>
auto store_in(net::io_context& io, answer<R>& to) {
  return on(io, std::function<void(std::exception_ptr, R)>([&to](std::exception_ptr error, R value) {
              to.error = std::move(error);
              to.value.emplace(std::move(value));
              ++to.calls;
            }));
}
auto store_end_in(net::io_context& io, answer<int>& to) {
  return on(io, std::function<void(std::exception_ptr)>([&to](std::exception_ptr error) {
              to.error = std::move(error);
              ++to.calls;
            }));
}
/// For one received value.
template <class F>
auto call_in(net::io_context& io, F f) {
  using function = std::function<void(std::exception_ptr, rn::recv_result<int>)>;
  return on(io,
            function([f = std::move(f)](const std::exception_ptr& error, const rn::recv_result<int>& value) { f(error, value); }));
}
struct never_called {
  std::shared_ptr<int> token;
  template <class... Answer>
  void operator()(Answer&&... /*answer*/) const {
    std::terminate();
  }
};

template <class Exception>
bool holds(const std::exception_ptr& error) {
  try {
    if (error != nullptr) std::rethrow_exception(error);
  } catch (const Exception&) {
    return true;
  } catch (...) {
    return false;
  }
  return false;
}

rn::task<int> sum_of(rn::recv_channel<int> from) {
  int sum = 0;
  while (const auto value = co_await from.async_recv()) sum += *value;
  co_return sum;
}
rn::task<> relay(rn::recv_channel<int> from, rn::send_channel<int> to) {
  while (const auto value = co_await from.async_recv()) co_await to.async_send(*value);
  to.close();
}

/// Counts in the one allocator of all its copies.
struct ledger {
  support::counter live{0};
  support::counter all{0};
};
template <class T>
struct counting_allocator {
  using value_type = T;
  explicit counting_allocator(ledger& l) noexcept : to(&l) {}
  template <class U>
  explicit counting_allocator(const counting_allocator<U>& other) noexcept : to(other.to) {}
  T* allocate(std::size_t n) {
    support::add(to->live);
    support::add(to->all);
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* memory, std::size_t n) noexcept {
    to->live.fetch_sub(1, rn::detail::acq_rel);
    std::allocator<T>().deallocate(memory, n);
  }
  friend bool operator==(const counting_allocator& a, const counting_allocator& b) noexcept { return a.to == b.to; }
  ledger* to;
};

struct handler_with_all {
  using executor_type = io_strand;
  using allocator_type = counting_allocator<void*>;

  [[nodiscard]] executor_type get_executor() const noexcept { return strand; }
  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*memory); }
  void operator()(const std::exception_ptr& error, const rn::recv_result<int>& value) const { (*this)(error, value.value()); }
  void operator()(const std::exception_ptr& error, int value) const {
    if (error == nullptr && strand.running_in_this_thread() && support::read(memory->live) == 0) *result = value;
  }

  io_strand strand;
  ledger* memory;
  int* result;
};

/// A coroutine type of one's own, whose promise says where it goes on.
class own_coroutine {
 public:
  struct promise_type {
    template <class... Args>
    explicit promise_type(rn::resume_place& p, const Args&... /*args*/) : place(&p) {}
    own_coroutine get_return_object() { return own_coroutine(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    rn::resume_place* resume_place() const { return place; }
    rn::resume_place* place;
  };
  own_coroutine(own_coroutine&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  own_coroutine& operator=(own_coroutine&&) = delete;
  ~own_coroutine() {
    if (frame_ != nullptr) frame_.destroy();
  }

 private:
  explicit own_coroutine(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

own_coroutine await_at(rn::resume_place& /*place*/, std::function<rn::task<>()> f, support::counter& ended) {
  co_await f();
  support::add(ended);
}
own_coroutine receive_at(rn::resume_place& /*place*/, rn::recv_channel<counted> from) {
  static_cast<void>(co_await from.async_recv());
  std::terminate();
}

}  // namespace

// Tokens and answers

TEST_CASE("a handler is called by its executor, never in the initiating call, and keeps the context at work") {
  net::io_context io;
  const rn::channel<int> ch(1);
  answer<rn::recv_result<int>> first;
  ch.send(1);
  async_recv(ch, store_in(io, first));
  CHECK(first.calls == 0);
  CHECK(ch.size() == 0);
  CHECK(io.run() == 1);
  CHECK(first.calls == 1);
  CHECK(first.error == nullptr);
  CHECK(first.value.value().value() == 1);

  // Nobody has sent yet: it waits, and the context has work meanwhile.
  answer<rn::recv_result<int>> second;
  answer<rn::recv_result<int>> third;
  async_recv(ch, store_in(io, second));
  async_recv(ch, store_in(io, third));
  CHECK(support::receiving(ch) == 2);
  io.restart();
  CHECK(io.poll() == 0);
  CHECK_FALSE(io.stopped());
  std::thread sender([&] {
    ch.send(2);
    ch.send(3);
  });
  io.run();
  sender.join();
  CHECK(second.value.value().value() == 2);
  CHECK(third.value.value().value() == 3);

  answer<rn::recv_result<int>> last;
  async_recv(ch, store_in(io, last));
  ch.close();
  CHECK(last.calls == 0);
  io.restart();
  io.run();
  CHECK(last.error == nullptr);
  CHECK(last.value.value().status() == rn::status::closed);
}

TEST_CASE("sends answer as their members: nothing or channel_closed, and with a context a result") {
  net::io_context io;
  const rn::channel<int> ch;
  answer<int> sent;
  answer<int> refused;
  answer<rn::send_result> limited;
  async_send(ch, 7, store_end_in(io, sent));
  CHECK(support::sending(ch) == 1);
  CHECK(ch.recv().value() == 7);
  io.run();
  CHECK(sent.calls == 1);
  CHECK(sent.error == nullptr);

  auto ctx = rn::with_cancel(rn::context());
  async_send(ctx, ch, 8, store_in(io, limited));
  async_send(ch, 9, store_end_in(io, refused));
  ctx.cancel();
  ch.close();
  io.restart();
  io.run();
  CHECK(limited.error == nullptr);
  CHECK(limited.value.value().status() == rn::status::canceled);
  CHECK(refused.calls == 1);
  CHECK(holds<rn::channel_closed>(refused.error));
}

TEST_CASE("many values, values that only move, and signals") {
  net::io_context io;
  const rn::channel<counted> ch(4);
  const std::int64_t before = counted::live();
  std::vector<counted> some;
  for (int i = 0; i < 4; ++i) some.emplace_back(i);
  std::vector<counted> got;
  answer<std::size_t> went;
  answer<std::size_t> came;
  async_send_many(ch, std::move(some), store_in(io, went));
  async_recv_many(ch, got, 10, store_in(io, came));
  io.run();
  CHECK(went.value.value() == 4);
  CHECK(came.value.value() == 4);
  REQUIRE(got.size() == 4);
  CHECK(got[3].value() == 3);
  got.clear();

  auto ctx = rn::with_cancel(rn::context());
  async_recv_many(ctx, ch, got, 10, store_in(io, came));
  async_send_many(ctx, rn::channel<int>(), std::vector<int>{1, 2}, store_in(io, went));
  ctx.cancel();
  io.restart();
  io.run();
  CHECK(came.calls == 2);
  CHECK(came.value.value() == 0);
  CHECK(went.value.value() == 0);
  some.clear();
  CHECK(counted::live() == before);

  const rn::channel<void> signals(1);
  answer<int> told;
  answer<rn::recv_result<void>> heard;
  answer<rn::send_result> limited;
  async_send(signals, store_end_in(io, told));
  async_recv(signals, store_in(io, heard));
  async_send(rn::context(), signals, store_in(io, limited));
  io.restart();
  io.run();
  CHECK(told.error == nullptr);
  CHECK(heard.value.value().status() == rn::status::ok);
  CHECK(limited.value.value().status() == rn::status::ok);
}

TEST_CASE("whatever a coroutine can await can be awaited: futures, selects, groups, sleeps, tasks") {
  net::io_context io;
  const rn::channel<int> to_future;
  const rn::channel<int> to_select;
  const rn::channel<int> to_task;
  const rn::channel<int> nothing;
  rn::future<int> f = rn::async([to_future] { return to_future.recv().value(); });
  rn::errgroup group;
  group.go([] { throw std::invalid_argument("this one"); });
  int selected = 0;

  answer<int> of_future;
  answer<std::size_t> of_select;
  answer<int> of_group;
  answer<int> of_sleep;
  answer<int> of_task;
  answer<rn::recv_result<int>> of_context;
  async_await([&] { return f.async_get(); }, store_in(io, of_future));
  async_await([&] { return rn::async_select(rn::on_recv(to_select, [&](int v) { selected = v; }), rn::on_timeout(1h)); },
              store_in(io, of_select));
  async_await([&] { return group.async_wait(); }, store_end_in(io, of_group));
  async_await([] { return rn::async_sleep_for(1ms); }, store_end_in(io, of_sleep));
  async_await(sum_of(to_task), store_in(io, of_task));
  async_await(
      [nothing](const rn::context& ctx) -> rn::task<rn::recv_result<int>> {
        co_return co_await nothing.async_recv(rn::with_timeout(ctx, 1ms));
      },
      store_in(io, of_context));
  std::thread sender([&] {
    to_future.send(1);
    to_select.send(2);
    for (int i = 0; i < 10; ++i) to_task.send(i);
    to_task.close();
  });
  io.run();
  sender.join();
  CHECK(of_future.value.value() == 1);
  CHECK(of_select.value.value() == 0);
  CHECK(selected == 2);
  CHECK(of_task.value.value() == 45);
  CHECK(holds<std::invalid_argument>(of_group.error));
  CHECK(of_sleep.calls == 1);
  CHECK(of_sleep.error == nullptr);
  CHECK(of_context.value.value().status() == rn::status::timed_out);
}

TEST_CASE("what awaiting throws, and what making it throws, comes to the handler") {
  net::io_context io;
  answer<int> of_task;
  answer<int> of_making;
  answer<rn::recv_result<int>> of_result;
  async_await(
      []() -> rn::task<int> {
        throw std::runtime_error("failed");
        co_return 0;
      },
      store_in(io, of_task));
  async_await([]() -> rn::task<int> { throw std::length_error("not made"); }, store_in(io, of_making));
  async_await([]() -> decltype(rn::channel<int>().async_recv()) { throw std::length_error("not made"); }, store_in(io, of_result));
  io.run();
  CHECK(holds<std::runtime_error>(of_task.error));
  CHECK(of_task.value.value() == 0);
  CHECK(holds<std::length_error>(of_making.error));
  CHECK(holds<std::length_error>(of_result.error));
  CHECK_FALSE(of_result.value.value());
  rn::task<int> gone = sum_of(rn::channel<int>());
  const rn::task<int> kept = std::move(gone);
  CHECK_THROWS_AS(async_await(std::move(gone), store_in(io, of_task)), std::logic_error);
}

TEST_CASE("an exception of a handler comes out of run, and the next handlers are called") {
  net::io_context io;
  const rn::channel<int> ch(2);
  int calls = 0;
  for (int i = 0; i < 2; ++i)
    async_recv(ch, call_in(io, [&calls](const std::exception_ptr& /*error*/, const rn::recv_result<int>& value) {
                 ++calls;
                 throw std::out_of_range(value ? "a value" : "none");
               }));
  ch.send(1);
  ch.send(2);
  CHECK_THROWS_AS(io.run(), std::out_of_range);
  CHECK_THROWS_AS(io.run(), std::out_of_range);
  CHECK(calls == 2);
  CHECK(io.run() == 0);
}

TEST_CASE("a future gets the answer, and what was thrown") {
  net::thread_pool pool(1);
  const rn::channel<int> ch;
  std::future<rn::recv_result<int>> received = async_recv(ch, net::use_future);
  std::future<int> sum = rn::asio::co_spawn(pool, sum_of(ch), net::use_future);
  ch.send(1);
  CHECK(received.get().value() == 1);
  ch.send(2);
  ch.send(3);
  ch.close();
  CHECK(sum.get() == 5);
  std::future<void> refused = async_send(ch, 1, net::use_future);
  CHECK_THROWS_AS(refused.get(), rn::channel_closed);
  pool.join();
}

TEST_CASE("a handler's executor and allocator are used, and its memory is given back before it is called") {
  net::io_context io;
  ledger memory;
  int result = 0;
  const rn::channel<int> ch;
  const auto handler = handler_with_all{net::make_strand(io), &memory, &result};
  SECTION("of a task") { async_await(sum_of(ch), handler); }
  SECTION("of a task at its own executor") { rn::asio::co_spawn(io, sum_of(ch), handler); }
  SECTION("of one wait") { async_recv(ch, handler); }
  SECTION("of a wait that is limited") { async_recv(rn::context(), ch, handler); }
  CHECK(support::read(memory.all) > 0);
  io.poll();
  std::thread sender([&] {
    ch.send(7);
    ch.close();
  });
  io.run();
  sender.join();
  CHECK(result == 7);
  CHECK(support::read(memory.live) == 0);
}

// Coroutines of asio

#if defined(RUNNEL_ASIO_TEST_HAS_CO_AWAIT)

namespace {

net::awaitable<int> receive_all(rn::recv_channel<int> from, rn::send_channel<int> to) {
  int sum = 0;
  while (const auto value = co_await async_recv(from, net::use_awaitable)) {
    sum += *value;
    co_await async_send(to, *value, net::use_awaitable);
  }
  co_return sum;
}

}  // namespace

TEST_CASE("thousands of values go through an asio coroutine on two threads, tasks and a thread, in order") {
  const int count = scaled(20000, 3000);
  net::io_context io;
  const auto strand = net::make_strand(io);
  const rn::channel<int> first;
  const rn::channel<int> second(3);
  const rn::channel<int> third;
  const rn::channel<int> last(1);
  std::exception_ptr error;
  int sum = 0;
  net::co_spawn(strand, receive_all(first, second), [&, second](std::exception_ptr e, int s) {
    error = std::move(e);
    sum = s;
    second.close();
  });
  rn::go(relay(second, third));                                   // on the runtime
  rn::asio::co_spawn(strand, relay(third, last), net::detached);  // at the strand
  support::crew threads;
  threads.go([&] { io.run(); });
  threads.go([&] { io.run(); });
  threads.go([&] {
    for (int i = 0; i < count; ++i) first.send(i);
    first.close();
  });
  int expected = 0;
  bool in_order = true;
  for (const int value : last) in_order = in_order && value == expected++;
  threads.join();
  CHECK(in_order);
  CHECK(expected == count);
  CHECK(error == nullptr);
  CHECK(sum == count * (count - 1) / 2);
}

TEST_CASE("co_await in an asio coroutine answers and throws as in a task") {
  net::io_context io;
  const rn::channel<int> ch(1);
  bool refused = false;
  bool canceled = false;
  int got = 0;
  net::co_spawn(
      io,
      [&]() -> net::awaitable<void> {
        co_await async_send(ch, 1, net::use_awaitable);
        auto ctx = rn::with_cancel(rn::context());
        ctx.cancel();
        const auto sent = co_await async_send(ctx, ch, 2, net::use_awaitable);
        canceled = sent.status() == rn::status::canceled;
        const auto value = co_await async_recv(ctx, ch, net::use_awaitable);  // what is ready wins
        got = value.value();
        ch.close();
        try {
          co_await async_send(ch, 3, net::use_awaitable);
        } catch (const rn::channel_closed&) {
          refused = true;
        }
        throw std::runtime_error("the end");
      },
      on(io, [](const std::exception_ptr& e) { std::rethrow_exception(e); }));
  CHECK_THROWS_AS(io.run(), std::runtime_error);
  CHECK(canceled);
  CHECK(got == 1);
  CHECK(refused);
}

TEST_CASE("coroutines of asio that wait when their context ends are destroyed, and leave the channel") {
  auto token = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = token;
  const rn::channel<int> ch(1);
  {
    net::io_context io;
    for (int i = 0; i < 3; ++i)
      net::co_spawn(
          io,
          [ch, token]() -> net::awaitable<void> {
            for (;;) static_cast<void>(co_await async_recv(ch, net::use_awaitable));
          },
          net::detached);
    token.reset();
    io.poll();
    CHECK(support::receiving(ch) == 3);
    CHECK_FALSE(watch.expired());
  }
  CHECK(watch.expired());
  CHECK(support::receiving(ch) == 0);
  ch.send(1);
  CHECK(ch.size() == 1);
}

#endif

// Places

TEST_CASE("tasks and coroutines at a strand go on there after each wait, never two at once") {
  constexpr int parties = 6;
  const int rounds = scaled(2000, 300);
  net::io_context io;
  const auto strand = net::make_strand(io);
  rn::asio::place at(strand);
  CHECK(at.get_executor() == strand);
  const rn::channel<int> ch;
  bool always_there = true;  // these two are guarded by the strand alone
  int received = 0;
  const auto receive = [&]() -> rn::task<> {
    while (co_await ch.async_recv()) {
      always_there = always_there && strand.running_in_this_thread();
      ++received;
    }
  };
  support::counter ended{0};
  for (int i = 0; i < parties; ++i)
    rn::asio::co_spawn(strand, receive, on(strand, [&](const std::exception_ptr&) { support::add(ended); }));
  support::crew threads;
  auto work = net::make_work_guard(io);
  std::vector<own_coroutine> owned;
  for (int i = 0; i < parties; ++i) owned.push_back(await_at(at, receive, ended));
  for (int i = 0; i < 2; ++i) threads.go([&] { io.run(); });
  for (int i = 0; i < rounds; ++i) ch.send(i);
  ch.close();
  support::wait_for(ended, 2 * parties);
  work.reset();
  threads.join();
  CHECK(always_there);
  CHECK(received == rounds);
}

TEST_CASE("what was posted to a place whose context has ended is dropped, and its coroutine can be destroyed") {
  const std::int64_t before = counted::live();
  const rn::channel<counted> ch;
  std::optional<net::io_context> io(std::in_place);
  std::optional<rn::asio::place<io_executor>> at(*io);
  std::vector<own_coroutine> owned;
  for (int i = 0; i < 3; ++i) owned.push_back(receive_at(*at, ch));
  SECTION("the context ends first") {
    for (int i = 0; i < 3; ++i) ch.send(counted(i));
    io.reset();
    owned.clear();
  }
  SECTION("the coroutine is destroyed first, and its step finds nothing") {
    for (int i = 0; i < 2; ++i) ch.send(counted(i));
    owned.clear();
    CHECK(io->run() == 2);
    io.reset();
  }
  at.reset();
  CHECK(support::receiving(ch) == 0);
  CHECK(counted::live() == before);
}

// Stop, end, cancel

TEST_CASE("a value that comes while the context is stopped is there when it runs again") {
  net::io_context io;
  const rn::channel<int> ch(1);
  answer<rn::recv_result<int>> received;
  answer<int> sum;
  async_recv(ch, store_in(io, received));
  io.stop();
  ch.send(1);
  CHECK(io.run() == 0);
  CHECK(received.calls == 0);
  async_await(sum_of(ch), store_in(io, sum));
  ch.send(5);
  ch.close();
  io.restart();
  io.run();
  CHECK(received.value.value().value() == 1);
  CHECK(sum.value.value() == 5);
}

TEST_CASE("a context that ends withdraws what waits for it: no value is lost, nothing leaks") {
  auto token = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = token;
  const std::int64_t before = counted::live();
  const rn::channel<counted> empty;
  const rn::channel<counted> full;
  const rn::context ctx = rn::context();
  std::future<rn::recv_result<counted>> broken;
  {
    net::io_context io;
    const auto handler = [&] { return on(io, never_called{token}); };
    async_recv(empty, handler());
    async_recv(ctx, empty, handler());
    async_send(full, counted(1), handler());
    async_send_many(
        full,
        [] {
          std::vector<counted> v;
          v.emplace_back(2);
          return v;
        }(),
        handler());
    async_await([&] { return rn::async_select(rn::on_recv(empty), rn::on_timeout(1h)); }, handler());
    rn::asio::co_spawn(io, [empty]() -> rn::task<> { static_cast<void>(co_await empty.async_recv()); }, handler());
    io.poll();
    rn::asio::co_spawn(io, [empty]() -> rn::task<> { std::terminate(); }, handler());  // does not begin
    broken = rn::asio::co_spawn(
        io, [empty]() -> rn::task<rn::recv_result<counted>> { co_return co_await empty.async_recv(); }, net::use_future);
    CHECK(support::receiving(empty) == 4);
    CHECK(support::sending(full) == 2);
    token.reset();
  }
  CHECK(watch.expired());
  CHECK(support::receiving(empty) == 0);
  CHECK(support::sending(full) == 0);
  CHECK_FALSE(full.try_recv());
  CHECK_THROWS_AS(broken.get(), std::future_error);
  CHECK(counted::live() == before);

  // Those who have got what they waited for, and whose steps are not run.
  {
    net::io_context io;
    for (int i = 0; i < 2; ++i) async_recv(empty, on(io, never_called()));
    async_recv(ctx, empty, on(io, never_called()));
    async_await([empty]() -> rn::task<> { static_cast<void>(co_await empty.async_recv()); },
                on(net::make_strand(io), never_called()));
    for (int i = 0; i < 4; ++i) empty.send(counted(i));
    const rn::channel<counted> ready(1);
    ready.send(counted(1));
    async_recv(ready, on(io, never_called()));
  }
  CHECK(counted::live() == before);
}

TEST_CASE("a context ends while others send to what waits for it") {
  const std::int64_t before = counted::live();
  const int rounds = scaled(2000, 400);
  const rn::channel<counted> ch;
  support::counter round{0};
  support::counter taken{0};
  support::crew threads;
  threads.go([&] {
    for (int i = 0; i < rounds; ++i) {
      support::wait_until([&] { return support::read(round) > static_cast<std::uint32_t>(i); });
      for (int value = 0; value < 4; ++value)
        if (ch.try_send(counted(value))) support::add(taken);
    }
  });
  for (int i = 0; i < rounds; ++i) {
    net::io_context io;
    const never_called handler;
    async_recv(ch, on(io, handler));
    async_recv(rn::context(), ch, on(io, handler));
    async_await([ch]() -> rn::task<> { static_cast<void>(co_await ch.async_recv()); }, on(io, handler));
    support::add(round);
    if (i % 2 == 0) support::wait_until([&] { return support::receiving(ch) < 3; });
  }
  threads.join();
  CHECK(support::receiving(ch) == 0);
  CHECK(support::read(taken) > 0);
  CHECK(counted::live() == before);
}

TEST_CASE("a context may end as soon as the last handler was called, whoever has sent") {
  const int rounds = scaled(3000, 500);
  const rn::channel<int> requests;
  support::crew threads;
  threads.go([&] {
    for (int i = 0; i < rounds; ++i) requests.send(i);
  });
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    net::io_context io(i % 2 == 0 ? 1 : 2);
    async_recv(requests, call_in(io, [&sum](const std::exception_ptr& /*error*/, const rn::recv_result<int>& value) {
                 sum += value.value();
               }));
    io.run();
  }
  threads.join();
  CHECK(sum == rounds * (rounds - 1) / 2);
}

TEST_CASE("a cancel that races with a value: it is received, or it stays") {
  const int rounds = scaled(1000, 200);
  net::io_context io;
  auto work = net::make_work_guard(io);
  const rn::channel<int> ch(1);
  support::crew threads;
  for (int i = 0; i < 2; ++i) threads.go([&] { io.run(); });
  int received = 0;
  int stayed = 0;
  int wrong = 0;
  for (int i = 0; i < rounds; ++i) {
    auto ctx = rn::with_cancel(rn::context());
    support::counter ended{0};
    bool got = false;
    async_recv(ctx, ch, call_in(io, [&](const std::exception_ptr& error, const rn::recv_result<int>& value) {
                 got = error == nullptr && value && *value == i;
                 if (!value && value.status() != rn::status::canceled) std::terminate();
                 support::add(ended);
               }));
    support::gate go;
    std::thread canceler([&] {
      go.wait();
      ctx.cancel();
    });
    go.open();
    ch.send(i);
    canceler.join();
    support::wait_for(ended, 1);
    const bool left = ch.try_recv().status() == rn::status::ok;
    received += got ? 1 : 0;
    stayed += left ? 1 : 0;
    wrong += got == left ? 1 : 0;
  }
  work.reset();
  threads.join();
  CHECK(wrong == 0);
  CHECK(received + stayed == rounds);
}

#if defined(RUNNEL_ASIO_HAS_SLOTS)

TEST_CASE("a cancellation slot ends an operation, and takes no value") {
  net::io_context io;
  net::cancellation_signal signals[4];
  const rn::channel<int> ch;
  const rn::channel<int> full;
  answer<rn::recv_result<int>> received;
  answer<int> sent;
  answer<rn::send_result> limited;
  answer<rn::recv_result<int>> of_task;
  async_recv(ch, net::bind_cancellation_slot(signals[0].slot(), store_in(io, received)));
  async_send(full, 1, net::bind_cancellation_slot(signals[1].slot(), store_end_in(io, sent)));
  async_send(rn::context(), full, 2, net::bind_cancellation_slot(signals[2].slot(), store_in(io, limited)));
  rn::asio::co_spawn(
      io, [ch](rn::context ctx) -> rn::task<rn::recv_result<int>> { co_return co_await ch.async_recv(ctx); },
      net::bind_cancellation_slot(signals[3].slot(), store_in(io, of_task)));
  io.poll();
  CHECK(support::receiving(ch) == 2);
  for (auto& signal : signals) signal.emit(net::cancellation_type::terminal);
  io.run();
  CHECK(received.value.value().status() == rn::status::canceled);
  CHECK(holds<rn::context_error>(sent.error));
  CHECK(limited.value.value().status() == rn::status::canceled);
  CHECK(of_task.value.value().status() == rn::status::canceled);
  CHECK(support::receiving(ch) == 0);
  CHECK(support::sending(full) == 0);

  // It comes too late, and it may come when the context has gone.
  async_recv(ch, net::bind_cancellation_slot(signals[0].slot(), store_in(io, received)));
  ch.send(3);
  signals[0].emit(net::cancellation_type::terminal);
  io.restart();
  io.run();
  CHECK(received.value.value().value() == 3);
  signals[0].emit(net::cancellation_type::terminal);
  {
    net::io_context ends;
    async_recv(ch, net::bind_cancellation_slot(signals[0].slot(), store_in(ends, received)));
  }
  signals[0].emit(net::cancellation_type::terminal);
  CHECK(received.calls == 2);
}

#endif

}  // namespace asio_test
