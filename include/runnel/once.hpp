// once: a function that runs one time, whoever comes first; all others wait until it has.
#pragma once

#include <runnel/detail/await.hpp>
#include <runnel/detail/task_outcome.hpp>

#include <stdexcept>

namespace runnel::inline RUNNEL_ABI {
class once;

namespace detail {

/// The event that a once was called, or that it is this caller's turn to run its function.
class once_event final : public selectable {
 public:
  explicit once_event(once& from) noexcept : from_(&from) {}
  /// Throws: std::logic_error if this thread runs the function.
  // inline here already: as in detail/cancel_tree.hpp
  inline attempt try_now() override;
  inline void join(wait_node& node) override;
  inline bool leave(wait_node& node) noexcept override;
  bool finish(wait_node&) noexcept override { return true; }
  /// Once it has happened.
  [[nodiscard]] bool is_my_turn() const noexcept { return my_turn_; }

 private:
  once* from_;
  bool my_turn_ = false;
};

/// This caller runs the function. Destroyed before it has ended, it passes the turn on.
class once_turn {
 public:
  /// The thread is null if the function may go on in another one.
  once_turn(once& from, const void* thread) noexcept;
  once_turn(const once_turn&) = delete;
  once_turn& operator=(const once_turn&) = delete;
  ~once_turn();
  void end() noexcept;

 private:
  once* from_;
};

template <bool Limited>
class once_awaiter;
template <class F>
struct once_calls;

}  // namespace detail

/// A function that is to run once, although many may ask for it.
///
/// States: uncalled -> running -> called; a function that throws, or whose coroutine is destroyed, leaves it uncalled, and the first of
/// those who wait tries with its own. Use this for what is made at the first use; use singleflight where it is made again and again,
/// by key, and oneshot to wait for a value that somebody else brings.
/// It must outlive every call of its members. Thread safety: all members. Cost: one load once it has been called.
/// Synchronizes: the end of the function happens before the return of every call that does not throw, and before a true of called().
/// Semantics: Go's sync.Once. Differs: a function that fails has not been called; a call from within its own function throws
/// instead of waiting for itself. Example: examples/once.cpp
class once {
 public:
  once() noexcept = default;
  once(const once&) = delete;
  once& operator=(const once&) = delete;
  ~once() { RUNNEL_ASSERT(waiters_.empty()); }

  /// Whether a function has run to its end. Blocks: never.
  [[nodiscard]] bool called() const noexcept { return word_.load(detail::acquire) == done; }  // [once.word] acquire: with finish

  /// Runs f() if none has run before. Blocks: while another caller's function runs. What f returns is dropped, but failures (an
  /// error_code, an expected's error) are thrown.
  /// Throws: what its own f throws; std::logic_error if this thread is in a function of this once.
  template <class F>
    requires std::invocable<F&>
  void call(F&& f) {
    if (called()) return;
    detail::once_event event(*this);
    answer(detail::wait_event(event, detail::never), event, f);
  }
  /// The same, up to a limit, which is one for the wait and not for f. Returns: ok if it was called, now or before; else why not. If
  /// nobody else's runs, f does, whatever the limit. Throws: as call.
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] result<void> call(const context& ctx, F&& f) {
    if (called()) return detail::sent(status::ok);
    detail::once_event event(*this);
    return answer(detail::wait_event(ctx, event), event, f);
  }
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] result<void> try_call(F&& f) {
    detail::once_event event(*this);
    return answer(detail::try_event(event), event, f);
  }
  template <class Rep, class Period, class F>
    requires std::invocable<F&>
  [[nodiscard]] result<void> try_call_for(std::chrono::duration<Rep, Period> d, F&& f) {
    detail::once_event event(*this);
    return answer(detail::wait_event(event, detail::deadline_after(d)), event, f);
  }
  template <class Clock, class Duration, class F>
    requires std::invocable<F&>
  [[nodiscard]] result<void> try_call_until(std::chrono::time_point<Clock, Duration> at, F&& f) {
    detail::once_event event(*this);
    return answer(detail::wait_event(event, detail::deadline_at(at)), event, f);
  }
  /// For coroutines: `co_await o.async_call(f)`. As the forms without async_; f is copied, and may be a coroutine, too. That is not
  /// recognized when it calls its own once: it waits for itself. Cost: a frame.
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] task<> async_call(F&& f);
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] task<result<void>> async_call(const context& ctx, F&& f);

 private:
  friend class detail::once_event;
  friend class detail::once_turn;
  template <bool>
  friend class detail::once_awaiter;
  template <class F>
  friend struct detail::once_calls;

  /// In word_: idle, running, running and queued (then somebody may wait), done.
  enum : std::uint32_t { idle = 0, running = 1, queued = 2, done = 4 };

  template <class F>
  result<void> answer(status s, const detail::once_event& event, F& f) {
    static_assert(!detail::coroutine_function<F&>, "once: f is a coroutine, which async_call runs");
    if (s == status::ok && event.is_my_turn()) run_here(f);
    return detail::sent(s);
  }
  /// Not inlined: a coroutine may be on another thread at each look.
  template <class F>
  RUNNEL_NOINLINE void run_here(F& f) {
    detail::once_turn turn(*this, detail::this_thread_id());
    if constexpr (detail::task_function<F&>)
      detail::call_task(f);
    else
      static_cast<void>(std::invoke(f));
    turn.end();
  }
  RUNNEL_NOINLINE void refuse_own_thread() const {
    // relaxed: the id of this thread is there only if this thread has written it
    if (owner_.load(detail::relaxed) == detail::this_thread_id())
      throw std::logic_error("runnel::once: called from within its own function, which would wait for itself");
  }

  void finish() noexcept {
    owner_.store(nullptr, detail::relaxed);  // relaxed: as in refuse_own_thread
    // [once.word] acq_rel: whoever sees it done sees all that the function did, and this one who has queued
    if ((word_.exchange(done, detail::acq_rel) & queued) == 0) return;
    detail::wake_list wakes;
    {
      const detail::scoped_lock lock(mutex_);
      wakes.add_all(waiters_, status::ok);
    }
    wakes.resume_all();
  }
  /// It is the turn of the first that waits, or of whoever comes.
  void pass_on() noexcept {
    owner_.store(nullptr, detail::relaxed);  // relaxed: as in refuse_own_thread
    detail::wake_list wakes;
    {
      const detail::scoped_lock lock(mutex_);
      detail::wait_node* next = waiters_.pop();
      while (next != nullptr && !detail::claim(*next)) next = waiters_.pop();
      if (next == nullptr) {
        word_.store(idle, detail::release);  // [once.word] release: the next function sees what this one did
      } else {
        *static_cast<bool*>(next->value) = true;
        next->outcome = status::ok;
        wakes.add(*next);
      }
    }
    wakes.resume_all();
  }

  detail::atomic<std::uint32_t> word_{idle};
  detail::atomic<const void*> owner_{nullptr};  // the thread that runs a function; null for a coroutine
  detail::mutex mutex_;
  detail::wait_queue waiters_;
};

namespace detail {

inline attempt once_event::try_now() {
  std::uint32_t seen = once::idle;
  // [once.word] acquire: with finish and pass_on
  my_turn_ = from_->word_.compare_exchange(seen, once::running, acquire, acquire);
  if (my_turn_ || seen == once::done) return attempt::done;
  from_->refuse_own_thread();
  return attempt::not_yet;
}
inline void once_event::join(wait_node& node) {
  node.value = &my_turn_;
  {
    const scoped_lock lock(from_->mutex_);
    for (std::uint32_t seen = once::running;;) {
      // relaxed: whoever ends the run takes the lock before it looks who is queued
      const bool runs = (seen & once::running) != 0;
      if (runs && from_->word_.compare_exchange(seen, once::running | once::queued, relaxed, acquire))
        return from_->waiters_.push(node);
      if (runs) continue;
      if (seen == once::done) break;
      // [once.word] acquire: with pass_on
      my_turn_ = from_->word_.compare_exchange(seen, once::running, acquire, acquire);
      if (my_turn_) break;
    }
  }
  if (!claim(node)) {
    if (my_turn_) from_->pass_on();
    return;
  }
  node.outcome = status::ok;
  node.owner->resume();
}
inline bool once_event::leave(wait_node& node) noexcept {
  const scoped_lock lock(from_->mutex_);
  if (!node.queued) return false;
  from_->waiters_.remove(node);
  return true;
}

inline once_turn::once_turn(once& from, const void* thread) noexcept : from_(&from) {
  from.owner_.store(thread, relaxed);  // relaxed: only that thread looks for its own id
}
inline once_turn::~once_turn() {
  if (from_ != nullptr) from_->pass_on();
}
inline void once_turn::end() noexcept { std::exchange(from_, nullptr)->finish(); }

/// Waits until the once was called, or it is this caller's turn. Answers which: ok, or how the context ended, with is_my_turn().
template <bool Limited>
class once_awaiter final : public std::conditional_t<Limited, limited_awaiter<once_event>, event_awaiter<once_event>> {
  using base = std::conditional_t<Limited, limited_awaiter<once_event>, event_awaiter<once_event>>;

 public:
  template <class... Limit>
  explicit once_awaiter(once& from, const Limit&... limit) : base(limit..., from), from_(&from) {}
  ~once_awaiter() {
    if (this->destroy_waiting() && this->event().is_my_turn()) from_->pass_on();
  }
  status await_resume() {
    if constexpr (Limited) {
      return base::finish();
    } else {
      base::finish();
      return status::ok;
    }
  }
  [[nodiscard]] bool is_my_turn() noexcept { return this->event().is_my_turn(); }

 private:
  once* from_;
};

/// For a function of this type. (Templates of coroutines make g++ 12 warn of types that are local; members of a class template do not.)
template <class F>
struct once_calls {
  static task<> call(once& from, F f) {
    once_awaiter<false> turn(from);
    co_await turn;
    if (!turn.is_my_turn()) co_return;
    if constexpr (coroutine_function<F&>) {
      once_turn running(from, nullptr);
      co_await checked(f);
      running.end();
    } else {
      from.run_here(f);
    }
  }
  static task<result<void>> call(context ctx, once& from, F f) {
    once_awaiter<true> turn(from, ctx);
    const status s = co_await turn;
    if (s != status::ok || !turn.is_my_turn()) co_return sent(s);
    if constexpr (coroutine_function<F&>) {
      once_turn running(from, nullptr);
      co_await checked(f);
      running.end();
    } else {
      from.run_here(f);
    }
    co_return sent(s);
  }

 private:
  /// Awaits what f answers. A failure is thrown.
  static task<> checked(F& f) {
    if constexpr (task_function<F&>)
      co_await checked_awaiter(f());
    else
      static_cast<void>(co_await f());
  }
};

}  // namespace detail

template <class F>
  requires std::invocable<F&>
task<> once::async_call(F&& f) {
  return detail::once_calls<std::decay_t<F>>::call(*this, std::decay_t<F>(std::forward<F>(f)));
}
template <class F>
  requires std::invocable<F&>
task<result<void>> once::async_call(const context& ctx, F&& f) {
  return detail::once_calls<std::decay_t<F>>::call(ctx, *this, std::decay_t<F>(std::forward<F>(f)));
}

}  // namespace runnel::inline RUNNEL_ABI
