// The parties of a test, each written once, as a coroutine, and run over threads, over coroutines, and over the two by turns.
//
// A party waits by what it is given: `co_await me.recv(ch)`. On a thread of its own that is the blocking call, made when the expression is
// evaluated, and nothing is suspended; on the runtime it is the form for coroutines. So a test says once who does what, and takes how its
// parties wait as a parameter: `const auto how = GENERATE(values(support::mixes));`.
#pragma once

#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/runtime.hpp>
#include <runnel/select.hpp>
#include <runnel/semaphore.hpp>

#include <concepts>
#include <coroutine>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "support.hpp"

namespace support {

/// How the parties of a test wait: all alike, or by turns, whoever is first.
enum class mix : std::uint8_t { threads, coroutines, thread_first, coroutine_first };
inline constexpr std::initializer_list<mix> mixes = {mix::threads, mix::coroutines, mix::thread_first, mix::coroutine_first};
/// For tests in which the test itself is the only party.
inline constexpr std::initializer_list<mix> pure = {mix::threads, mix::coroutines};
inline const char* name_of(mix how) {
  switch (how) {
    case mix::threads: return "threads";
    case mix::coroutines: return "coroutines";
    case mix::thread_first: return "mixed, a thread first";
    default: return "mixed, a coroutine first";
  }
}
/// Whether the party of this number blocks its thread.
constexpr bool blocks_at(mix how, unsigned number) {
  return how == mix::threads || (how == mix::thread_first && number % 2 == 0) || (how == mix::coroutine_first && number % 2 == 1);
}
/// How often to repeat something: as often as was asked for over threads, half as often over coroutines, and less over the two mixed, where
/// a worker is woken for each hand-over.
constexpr int shared(mix how, int rounds) {
  if (how == mix::threads || rounds < 8) return rounds;
  return how == mix::coroutines ? rounds / 2 : rounds / 8;
}

/// Where parties that are coroutines run. As many places on every machine, and more than two: some hold what others wait for.
inline rn::runtime& places() {
  static rn::runtime instance(3);
  return instance;
}

/// An operation that either has been made by blocking, or is awaited.
template <class Answer, class Awaiter>
class [[nodiscard]] operation {
 public:
  template <class Block, class Await>
  operation(bool blocks, const Block& block, const Await& await) : blocks_(blocks) {
    if (!blocks) {
      ::new (static_cast<void*>(std::addressof(awaiter_))) Awaiter(await());
    } else if constexpr (std::is_void_v<Answer>) {
      block();
    } else {
      answer_.emplace(block());
    }
  }
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;
  ~operation() {
    if (!blocks_) std::destroy_at(std::addressof(awaiter_));
  }

  bool await_ready() { return blocks_ || awaiter_.await_ready(); }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> h) {
    return awaiter_.await_suspend(h);
  }
  Answer await_resume() {
    if (!blocks_) return awaiter_.await_resume();
    if constexpr (!std::is_void_v<Answer>) return std::move(*answer_);
  }

 private:
  struct none {};

  bool blocks_;
  union {
    Awaiter awaiter_;
  };
  std::optional<std::conditional_t<std::is_void_v<Answer>, none, Answer>> answer_;
};

/// What a party is given: its way to wait. Every operation is to be awaited where it is written.
class party {
 public:
  explicit party(bool blocks) noexcept : blocks_(blocks) {}
  [[nodiscard]] bool blocks() const noexcept { return blocks_; }

  /// Any operation: block() makes it, await() answers its awaiter.
  template <class Block, class Await>
  auto either(const Block& block, const Await& await) const {
    return operation<decltype(await().await_resume()), decltype(await())>(blocks_, block, await);
  }

  template <class Ch>
  auto recv(const Ch& ch) const {
    return either([&] { return ch.recv(); }, [&] { return ch.async_recv(); });
  }
  template <class Ch>
  auto recv(const rn::context& ctx, const Ch& ch) const {
    return either([&] { return ch.recv(ctx); }, [&] { return ch.async_recv(ctx); });
  }
  template <class Ch>
  auto recv_many(const Ch& ch, std::vector<typename Ch::value_type>& out, std::size_t max) const {
    return either([&] { return ch.recv_many(out, max); }, [&] { return ch.async_recv_many(out, max); });
  }
  template <class Ch, class... Value>
    requires(!std::derived_from<Ch, rn::context>)
  auto send(const Ch& ch, Value&&... value) const {
    return either([&] { ch.send(std::forward<Value>(value)...); }, [&] { return ch.async_send(std::forward<Value>(value)...); });
  }
  template <class Ch, class... Value>
  auto send(const rn::context& ctx, const Ch& ch, Value&&... value) const {
    return either([&] { return ch.send(ctx, std::forward<Value>(value)...); },
                  [&] { return ch.async_send(ctx, std::forward<Value>(value)...); });
  }
  template <class Ch, class R>
  auto send_many(const Ch& ch, R&& range) const {
    return either([&] { return ch.send_many(std::forward<R>(range)); },
                  [&] { return ch.async_send_many(std::forward<R>(range)).operator co_await(); });
  }
  template <class... Cases>
  auto select(Cases&&... cases) const {
    return either([&] { return rn::select(std::forward<Cases>(cases)...); },
                  [&] { return rn::async_select(std::forward<Cases>(cases)...); });
  }
  auto wait(rn::selector& cases, const rn::context& ctx) const {
    return either([&] { return cases.wait(ctx); }, [&] { return cases.async_wait(ctx); });
  }
  auto acquire(rn::semaphore& from, std::int64_t n) const {
    return either([&] { from.acquire(n); }, [&] { return from.async_acquire(n); });
  }
  auto acquire(const rn::context& ctx, rn::semaphore& from, std::int64_t n) const {
    return either([&] { return from.acquire(ctx, n); }, [&] { return from.async_acquire(ctx, n); });
  }
  auto sleep_for(rn::duration d) const {
    return either([&] { rn::sleep_for(d); }, [&] { return rn::async_sleep_for(d); });
  }
  auto sleep_for(const rn::context& ctx, rn::duration d) const {
    return either([&] { return rn::sleep_for(ctx, d); }, [&] { return rn::async_sleep_for(ctx, d); });
  }
  auto sleep_until(rn::time_point at) const {
    return either([&] { rn::sleep_until(at); }, [&] { return rn::async_sleep_until(at); });
  }

  // Up to a time. For coroutines that is a context.

  template <class Ch>
  auto recv_for(const Ch& ch, rn::duration d) const {
    return either([&] { return ch.try_recv_for(d); },
                  [&] { return until(d, [&](const auto& ctx) { return ch.async_recv(ctx); }); });
  }
  template <class Ch>
  auto recv_until(const Ch& ch, rn::time_point at) const {
    return either([&] { return ch.try_recv_until(at); },
                  [&] { return until(at, [&](const auto& ctx) { return ch.async_recv(ctx); }); });
  }
  template <class Ch, class Value>
  auto send_for(const Ch& ch, rn::duration d, Value&& value) const {
    return either([&] { return ch.try_send_for(d, std::forward<Value>(value)); },
                  [&] { return until(d, [&](const auto& ctx) { return ch.async_send(ctx, std::forward<Value>(value)); }); });
  }
  template <class Ch, class Value>
  auto send_until(const Ch& ch, rn::time_point at, Value&& value) const {
    return either([&] { return ch.try_send_until(at, std::forward<Value>(value)); },
                  [&] { return until(at, [&](const auto& ctx) { return ch.async_send(ctx, std::forward<Value>(value)); }); });
  }
  template <class Ch, class R>
  auto send_many_for(const Ch& ch, rn::duration d, R&& range) const {
    return either([&] { return ch.try_send_many_for(d, std::forward<R>(range)); },
                  [&] {
                    return until(
                        d, [&](const auto& ctx) { return ch.async_send_many(ctx, std::forward<R>(range)).operator co_await(); });
                  });
  }

  /// Between two tries of what others make possible. A coroutine leaves its place to them.
  auto pause(rn::detail::backoff& wait) const {
    return either([&] { wait.pause(); }, [&] { return rn::async_sleep_for(std::chrono::microseconds(20)); });
  }
  /// A part of what the party does. On a thread it is not awaited, which would take it to a place of the runtime now and then.
  template <class T>
  auto call(rn::task<T> part) const {
    return either([&] { return rn::sync_wait(std::move(part)); }, [&] { return std::move(part).operator co_await(); });
  }

 private:
  /// An awaiter with the context that limits it.
  template <class Awaiter>
  class limited {
   public:
    template <class Make>
    limited(rn::scoped_context ctx, const Make& make) : ctx_(std::move(ctx)), awaiter_(make(ctx_)) {}
    bool await_ready() { return awaiter_.await_ready(); }
    template <class Promise>
    auto await_suspend(std::coroutine_handle<Promise> h) {
      return awaiter_.await_suspend(h);
    }
    auto await_resume() { return awaiter_.await_resume(); }

   private:
    rn::scoped_context ctx_;
    Awaiter awaiter_;
  };
  template <class Make>
  static auto until(rn::duration d, const Make& make) {
    return limited<decltype(make(std::declval<const rn::context&>()))>(rn::with_timeout(rn::context(), d), make);
  }
  template <class Make>
  static auto until(rn::time_point at, const Make& make) {
    return limited<decltype(make(std::declval<const rn::context&>()))>(rn::with_deadline(rn::context(), at), make);
  }

  bool blocks_;
};

/// The values of a channel one after another, until it is drained: by its range, or as a coroutine does that.
template <class Ch>
class values_of {
  using value_type = typename Ch::value_type;

 public:
  values_of(party me, const Ch& ch) : me_(me), from_(&ch) {}
  auto next() {
    return me_.either([this] { return next_of_range(); }, [this] { return from_->async_recv(); });
  }

 private:
  rn::recv_result<value_type> next_of_range() {
    if (at_)
      ++*at_;
    else
      at_.emplace(from_->begin());
    if (*at_ == from_->end()) return rn::detail::result_access::failed<value_type>(rn::status::closed);
    return rn::detail::result_access::ok<value_type>(std::move(**at_));
  }

  party me_;
  const Ch* from_;
  std::optional<decltype(std::declval<const Ch&>().begin())> at_;
};

/// A task that awaits what is elsewhere.
template <class Awaiter>
auto awaits(Awaiter& awaiter) -> rn::task<decltype(awaiter.await_resume())> {
  co_return co_await awaiter;
}

/// An awaiter of a select, whatever its cases are. g++ 12 would warn of a coroutine that is a template over the types of handlers.
class any_select {
  using frame = std::coroutine_handle<rn::task<std::size_t>::promise_type>;

 public:
  template <class Awaiter>
  explicit any_select(Awaiter& awaiter)
      : awaiter_(&awaiter),
        ready_([](void* a) { return static_cast<Awaiter*>(a)->await_ready(); }),
        suspend_([](void* a, frame h) -> bool { return static_cast<Awaiter*>(a)->await_suspend(h); }),
        resume_([](void* a) { return static_cast<Awaiter*>(a)->await_resume(); }) {}
  [[nodiscard]] bool await_ready() const { return ready_(awaiter_); }
  bool await_suspend(frame h) const { return suspend_(awaiter_, h); }
  std::size_t await_resume() const { return resume_(awaiter_); }

 private:
  void* awaiter_;
  bool (*ready_)(void*);
  bool (*suspend_)(void*, frame);
  std::size_t (*resume_)(void*);
};

/// One select of the test itself, with its thread or by a coroutine.
template <class... Cases>
std::size_t select(mix how, Cases&&... cases) {
  if (how == mix::threads) return rn::select(std::forward<Cases>(cases)...);
  auto awaiter = rn::async_select(std::forward<Cases>(cases)...);
  const any_select any(awaiter);
  return rn::sync_wait(awaits(any));
}

/// A callable of which only the call is known. What runs parties is compiled once, and not for each of them.
template <class R, class... Args>
class erased_call {
  struct body {
    body() = default;
    body(const body&) = delete;
    body& operator=(const body&) = delete;
    virtual ~body() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct body_of final : body {
    explicit body_of(F f) : function(std::move(f)) {}
    R call(Args... args) override { return function(args...); }
    F function;
  };

 public:
  template <class F>
  explicit erased_call(F f) : body_(std::make_unique<body_of<F>>(std::move(f))) {}
  R operator()(Args... args) { return body_->call(args...); }

 private:
  std::unique_ptr<body> body_;
};

/// The parties of one test, which are joined at the end of the scope. They have to be declared after what they use.
class parties {
 public:
  explicit parties(mix how) noexcept : how_(how) {}

  /// Starts the next party: f(party), which answers a task<>, or f(), a function, which runs in a thread or as a task of the runtime.
  /// f lives until it has ended.
  template <class F>
  void go(F f) {
    if constexpr (std::invocable<F&, party>)
      start(erased_call<rn::task<>, party>(std::move(f)));
    else
      start(erased_call<void>(std::move(f)));
  }
  /// The next party is the test itself. Returns when it has ended.
  template <class F>
  void run(F f) {
    run_here(erased_call<rn::task<>, party>(std::move(f)));
  }
  /// Waits until all have ended. Throws: what the first of them that failed has thrown.
  void join() {
    threads_.join();
    if (tasks_) tasks_->wait();
  }

 private:
  void start(erased_call<rn::task<>, party> f) {
    if (next_blocks())
      threads_.go([f = std::move(f)]() mutable { rn::sync_wait(f(party(true))); });
    else
      tasks().go([f = std::move(f)]() mutable { return f(party(false)); });
  }
  void start(erased_call<void> f) {
    if (next_blocks())
      threads_.go(std::move(f));
    else
      tasks().go(std::move(f));
  }
  void run_here(erased_call<rn::task<>, party> f) {
    if (next_blocks())
      rn::sync_wait(f(party(true)));
    else
      places().run(f(party(false)));
  }
  bool next_blocks() { return blocks_at(how_, count_++); }
  rn::errgroup& tasks() {
    if (!tasks_) tasks_.emplace(rn::context(), rn::errgroup_options{.limit = 0, .collect_all = false, .on = &places()});
    return *tasks_;
  }

  mix how_;
  unsigned count_ = 0;
  std::optional<rn::errgroup> tasks_;
  crew threads_;
};

}  // namespace support
