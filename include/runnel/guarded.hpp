// guarded: a value and the lock without which it cannot be reached.
#pragma once

#include <runnel/detail/await.hpp>
#include <runnel/detail/guard_core.hpp>
#include <runnel/rw_guarded.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace runnel::inline RUNNEL_ABI {

template <class T>
class guarded;

/// A pointer to a guarded value that holds its guard; empty if there is none.
///
/// Move-only; letting go of it, or unlock(), lets the next one in. It stays on the thread that got it, or in the coroutine. One that a
/// coroutine holds across a wait keeps everybody out meanwhile, and comes from async_lock() or async_wait(): one of lock() is the thread's.
template <class T>
class guarded_ptr {
 public:
  guarded_ptr() noexcept = default;
  guarded_ptr(guarded_ptr&& other) noexcept
      : guard_(std::exchange(other.guard_, nullptr)), value_(std::exchange(other.value_, nullptr)) {}
  guarded_ptr& operator=(guarded_ptr&& other) noexcept {
    guarded_ptr(std::move(other)).swap(*this);
    return *this;
  }
  ~guarded_ptr() {
    if (guard_ != nullptr) guard_->unlock();
  }

  explicit operator bool() const noexcept { return guard_ != nullptr; }
  [[nodiscard]] T& operator*() const noexcept { return *value_; }
  [[nodiscard]] T* operator->() const noexcept { return value_; }

  /// Unlocks; the pointer is empty then. Throws: std::logic_error if it is empty.
  void unlock() {
    if (guard_ == nullptr) throw std::logic_error("runnel::guarded_ptr::unlock: the pointer is empty, nothing is locked");
    value_ = nullptr;
    std::exchange(guard_, nullptr)->unlock();
  }
  void swap(guarded_ptr& other) noexcept {
    std::swap(guard_, other.guard_);
    std::swap(value_, other.value_);
  }

 private:
  friend class guarded<std::remove_const_t<T>>;
  guarded_ptr(detail::guard_core& guard, T& value) noexcept : guard_(&guard), value_(std::addressof(value)) {}

  detail::guard_core* guard_ = nullptr;
  T* value_ = nullptr;
};

/// A value that is reached under its lock only, one thread at a time; and waits until it is as one needs it.
///
/// Use this for state that several tasks change (Go's sync.Mutex and sync.Cond with what they protect), a channel to hand
/// values over. Keep what runs under the lock short: it may not use the same guarded again (std::logic_error).
/// Fair enough: whoever comes while it is free gets it, but one that has waited for a millisecond gets it next.
/// Lifetime: nobody may hold it or wait for it when it is destroyed.
/// Synchronizes: what was done under the lock happens before whatever is done under it later.
/// Semantics: Go's sync.Mutex. Differs: it holds the value; taking it twice throws instead of waiting for ever.
/// Example: examples/guarded.cpp
template <class T>
class guarded {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>, "guarded<T> holds an object that can be changed");

 public:
  using value_type = T;

  /// Makes T(args...) in place; T need not be movable.
  template <class... Args>
    requires std::constructible_from<T, Args...> &&
             (!(sizeof...(Args) == 1 && (std::same_as<std::remove_cvref_t<Args>, guarded> && ...)))
  explicit(sizeof...(Args) != 0) guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}
  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;

  /// Runs f(T&), or f(const T&) on a const guarded, under the lock. Blocks: until the lock is free.
  /// Returns: a copy of what f returns; no pointer or reference to the value can leave.
  /// Throws: what f throws; std::logic_error if this thread holds the lock. Cost: two exchanges if nobody else wants it.
  template <class F>
  auto with(F&& f) {
    return run(value_, std::forward<F>(f), "with");
  }
  template <class F>  // not constrained: asking whether a generic lambda takes a const T& compiles its body
  auto with(F&& f) const {
    return run(value_, std::forward<F>(f), "with");
  }

  /// Takes the lock. Returns: a pointer that holds it. Blocks and throws as with().
  [[nodiscard]] guarded_ptr<T> lock() {
    core_.lock("lock");
    return {core_, value_};
  }
  [[nodiscard]] guarded_ptr<const T> lock() const {
    core_.lock("lock");
    return {core_, value_};
  }

  /// Waits until predicate(value) is true, and takes the lock with it still true. Go's sync.Cond, without a signal to forget.
  ///
  /// Effects: whoever unlocks looks at the waiters' predicates, in the order in which they came, and hands the lock to the
  /// first whose is true. So the predicate is called under the lock, by any thread; it may not block.
  /// Returns: a pointer that holds the lock. Throws: what its predicate throws; std::logic_error as with().
  template <std::predicate<T&> P>
  [[nodiscard]] guarded_ptr<T> wait(P predicate) {
    auto event = waiting_for(predicate, "wait");
    return got(event, detail::wait_event(event, detail::never));
  }
  /// The same, up to a limit. Returns: an empty pointer if the predicate was not true, with the lock free, by then.
  template <std::predicate<T&> P>
  [[nodiscard]] guarded_ptr<T> wait(const context& ctx, P predicate) {
    auto event = waiting_for(predicate, "wait");
    return got(event, detail::wait_event(ctx, event));
  }
  template <std::predicate<T&> P>
  [[nodiscard]] guarded_ptr<T> try_wait(P predicate) {
    auto event = waiting_for(predicate, "try_wait");
    return got(event, detail::try_event(event));
  }
  template <class Rep, class Period, std::predicate<T&> P>
  [[nodiscard]] guarded_ptr<T> try_wait_for(std::chrono::duration<Rep, Period> d, P predicate) {
    auto event = waiting_for(predicate, "try_wait_for");
    return got(event, detail::wait_event(event, detail::deadline_after(d)));
  }
  template <class Clock, class Duration, std::predicate<T&> P>
  [[nodiscard]] guarded_ptr<T> try_wait_until(std::chrono::time_point<Clock, Duration> at, P predicate) {
    auto event = waiting_for(predicate, "try_wait_until");
    return got(event, detail::wait_event(event, detail::deadline_at(at)));
  }
  /// For coroutines: `auto held = co_await value.async_lock()`, and async_wait(predicate). As the forms without async_, without keeping
  /// a thread.
  [[nodiscard]] auto async_lock() { return async_wait(always{}); }
  [[nodiscard]] auto async_lock(const context& ctx) { return async_wait(ctx, always{}); }
  template <std::predicate<T&> P>
  [[nodiscard]] auto async_wait(P predicate) {
    return waiter_of<P, false>(*this, std::move(predicate));
  }
  template <std::predicate<T&> P>
  [[nodiscard]] auto async_wait(const context& ctx, P predicate) {
    return waiter_of<P, true>(*this, std::move(predicate), ctx);
  }

 private:
  struct always {
    bool operator()(const T& /*value*/) const noexcept { return true; }
  };
  template <class U, class F>
  auto run(U& value, F&& f, const char* operation) const {
    static_assert(std::invocable<F, U&>, "guarded::with: f is called with a reference to the value, const if the guarded is");
    using R = std::decay_t<std::invoke_result_t<F, U&>>;
    static_assert(!std::is_pointer_v<R> || !std::is_same_v<std::remove_cv_t<std::remove_pointer_t<R>>, T>,
                  "guarded::with: f returns a pointer to the guarded value, which would be used without the lock");
    core_.lock(operation);
    const guarded_ptr<U> held(core_, value);
    return std::invoke(std::forward<F>(f), value);
  }
  template <class P>
  detail::guard_event waiting_for(P& predicate, const char* operation) {
    core_.refuse_owner(operation);
    return detail::guard_event(core_, &holds<P>, std::addressof(predicate), std::addressof(value_));
  }
  template <class P>
  static bool holds(void* predicate, void* value) {
    return std::invoke(*static_cast<P*>(predicate), *static_cast<T*>(value));
  }
  guarded_ptr<T> got(detail::guard_event& event, status s) {
    if (s != status::ok) return {};
    event.rethrow();
    return {core_, value_};
  }

  template <class P>
  struct predicate_holder {
    P predicate;
  };
  template <class P, bool Limited>
  class waiter_of final : private predicate_holder<P>,
                          public std::conditional_t<Limited, detail::limited_awaiter<detail::guard_event>,
                                                    detail::event_awaiter<detail::guard_event>> {
    using base =
        std::conditional_t<Limited, detail::limited_awaiter<detail::guard_event>, detail::event_awaiter<detail::guard_event>>;

   public:
    template <class... Limit>
    waiter_of(guarded& g, P&& test, const Limit&... limit)
        : predicate_holder<P>{std::move(test)},
          base(limit..., g.core_, &holds<P>, std::addressof(this->predicate), std::addressof(g.value_)),
          guarded_(&g) {
      this->event().wait_as_coroutine();
    }
    ~waiter_of() {
      if (this->destroy_waiting() && !this->event().failed()) guarded_->core_.unlock();  // it was handed over, and nobody uses it
    }
    guarded_ptr<T> await_resume() {
      if constexpr (Limited) {
        if (this->finish() != status::ok) return {};
      } else {
        this->finish();
      }
      this->event().rethrow();
      return {guarded_->core_, guarded_->value_};
    }

   private:
    guarded* guarded_;
  };

  mutable detail::guard_core core_;
  T value_;
};

template <class T>
guarded(T) -> guarded<T>;

}  // namespace runnel::inline RUNNEL_ABI
