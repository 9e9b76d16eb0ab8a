// rw_guarded: a value that many read at once, or one writes, and that cannot be reached otherwise.
#pragma once

#include <runnel/detail/await.hpp>
#include <runnel/detail/rw_core.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace runnel::inline RUNNEL_ABI {

template <class T>
class rw_guarded;

/// A pointer to an rw_guarded value that keeps it readable (const T) or writable; empty if there is none.
///
/// Move-only; letting go of it, or unlock(), lets the next ones in. One that writes stays on the thread that got it, or in the
/// coroutine. One that a coroutine holds across a wait keeps everybody out meanwhile, and comes from async_write_lock(): one of
/// write_lock() is the thread's.
template <class T>
class rw_guarded_ptr {
 public:
  rw_guarded_ptr() noexcept = default;
  rw_guarded_ptr(rw_guarded_ptr&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), value_(std::exchange(other.value_, nullptr)) {}
  rw_guarded_ptr& operator=(rw_guarded_ptr&& other) noexcept {
    rw_guarded_ptr(std::move(other)).swap(*this);
    return *this;
  }
  ~rw_guarded_ptr() {
    if (core_ != nullptr) end(*core_);
  }

  explicit operator bool() const noexcept { return core_ != nullptr; }
  [[nodiscard]] T& operator*() const noexcept { return *value_; }
  [[nodiscard]] T* operator->() const noexcept { return value_; }

  /// Unlocks; the pointer is empty then. Throws: std::logic_error if it is empty.
  void unlock() {
    if (core_ == nullptr) throw std::logic_error("runnel::rw_guarded_ptr::unlock: the pointer is empty, nothing is locked");
    value_ = nullptr;
    end(*std::exchange(core_, nullptr));
  }
  void swap(rw_guarded_ptr& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(value_, other.value_);
  }

 private:
  friend class rw_guarded<std::remove_const_t<T>>;
  rw_guarded_ptr(detail::rw_core& core, T& value) noexcept : core_(&core), value_(std::addressof(value)) {}
  static void end(detail::rw_core& core) noexcept { std::is_const_v<T> ? core.end_read() : core.end_write(); }

  detail::rw_core* core_ = nullptr;
  T* value_ = nullptr;
};

/// A value that is reached under its lock only: by any number of readers at once, or by one writer.
///
/// Use this for what is read often, for more than a few instructions at a time, and written seldom; guarded is cheaper for all else,
/// and can wait for a predicate; a watch's snapshots are for what is replaced as a whole. A function that runs under the lock may not
/// use the same value again: std::logic_error. A pointer that reads is not known to be its thread's: to write under it waits for ever.
/// Fair: a writer that waits keeps new readers out; when it leaves, all readers that have waited come in before the next writer. Of
/// several writers, one that comes while it is free may be first, but one that has waited for a millisecond is next.
/// Lifetime: nobody may hold it or wait for it when it is destroyed.
/// Synchronizes: what a writer did happens before whatever is done under the lock later, what readers did before the next writer.
/// Semantics: Go's sync.RWMutex. Differs: it holds the value; waits may be limited. Example: examples/rw_guarded.cpp
template <class T>
class rw_guarded {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>, "rw_guarded<T> holds an object that can be changed");

  template <detail::access How>
  using pointer_of = rw_guarded_ptr<std::conditional_t<How == detail::access::read, const T, T>>;
  using reader = detail::rw_event<detail::access::read>;
  using writer = detail::rw_event<detail::access::write>;
  template <detail::access How, bool Limited>
  class awaiter;

 public:
  using value_type = T;
  using read_ptr = rw_guarded_ptr<const T>;
  using write_ptr = rw_guarded_ptr<T>;

  /// Makes T(args...) in place; T need not be movable.
  template <class... Args>
    requires std::constructible_from<T, Args...> &&
             (!(sizeof...(Args) == 1 && (std::same_as<std::remove_cvref_t<Args>, rw_guarded> && ...)))
  explicit(sizeof...(Args) != 0) rw_guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}
  rw_guarded(const rw_guarded&) = delete;
  rw_guarded& operator=(const rw_guarded&) = delete;

  /// Runs f(const T&) beside other readers. Blocks: while a writer is there, or one that came before waits.
  /// Returns: a copy of what f returns; no pointer or reference to the value can leave.
  /// Throws: what f throws; std::logic_error if this thread writes it, or reads it in a function. Cost: two exchanges if no writer comes.
  template <class F>
  auto read(F&& f) const {
    check_answer<F, const T&>();
    const read_ptr held = lock<detail::access::read>("read");
    const detail::read_scope reading(core_);
    return std::invoke(std::forward<F>(f), std::as_const(value_));
  }
  /// Runs f(T&) alone. Blocks: until the value is free, and those who came before have had it. Returns and throws as read().
  template <class F>
  auto write(F&& f) {
    check_answer<F, T&>();
    const write_ptr held = lock<detail::access::write>("write");
    return std::invoke(std::forward<F>(f), value_);
  }

  /// Takes the lock, to read or to write. Returns: a pointer that holds it. Blocks and throws as read() and write().
  [[nodiscard]] read_ptr read_lock() const { return lock<detail::access::read>("read_lock"); }
  [[nodiscard]] write_ptr write_lock() { return lock<detail::access::write>("write_lock"); }
  /// The same, up to a limit. Returns: an empty pointer if the lock could not be had by then.
  [[nodiscard]] read_ptr read_lock(const context& ctx) const {
    reader event = waiting<detail::access::read>("read_lock");
    return got<detail::access::read>(detail::wait_event(ctx, event));
  }
  [[nodiscard]] write_ptr write_lock(const context& ctx) {
    writer event = waiting<detail::access::write>("write_lock");
    return got<detail::access::write>(detail::wait_event(ctx, event));
  }
  [[nodiscard]] read_ptr try_read_lock() const {
    reader event = waiting<detail::access::read>("try_read_lock");
    return got<detail::access::read>(detail::try_event(event));
  }
  [[nodiscard]] write_ptr try_write_lock() {
    writer event = waiting<detail::access::write>("try_write_lock");
    return got<detail::access::write>(detail::try_event(event));
  }
  template <class Rep, class Period>
  [[nodiscard]] read_ptr try_read_lock_for(std::chrono::duration<Rep, Period> d) const {
    reader event = waiting<detail::access::read>("try_read_lock_for");
    return got<detail::access::read>(detail::wait_event(event, detail::deadline_after(d)));
  }
  template <class Rep, class Period>
  [[nodiscard]] write_ptr try_write_lock_for(std::chrono::duration<Rep, Period> d) {
    writer event = waiting<detail::access::write>("try_write_lock_for");
    return got<detail::access::write>(detail::wait_event(event, detail::deadline_after(d)));
  }
  template <class Clock, class Duration>
  [[nodiscard]] read_ptr try_read_lock_until(std::chrono::time_point<Clock, Duration> at) const {
    reader event = waiting<detail::access::read>("try_read_lock_until");
    return got<detail::access::read>(detail::wait_event(event, detail::deadline_at(at)));
  }
  template <class Clock, class Duration>
  [[nodiscard]] write_ptr try_write_lock_until(std::chrono::time_point<Clock, Duration> at) {
    writer event = waiting<detail::access::write>("try_write_lock_until");
    return got<detail::access::write>(detail::wait_event(event, detail::deadline_at(at)));
  }
  /// For coroutines: `auto held = co_await value.async_read_lock()`. As the forms without async_.
  [[nodiscard]] auto async_read_lock() const { return awaiter<detail::access::read, false>(*this); }
  [[nodiscard]] auto async_read_lock(const context& ctx) const { return awaiter<detail::access::read, true>(*this, ctx); }
  [[nodiscard]] auto async_write_lock() { return awaiter<detail::access::write, false>(*this); }
  [[nodiscard]] auto async_write_lock(const context& ctx) { return awaiter<detail::access::write, true>(*this, ctx); }

 private:
  template <class F, class Ref>
  static consteval void check_answer() {
    static_assert(std::invocable<F, Ref>, "rw_guarded: read calls f with a const reference to the value, write with a reference");
    using R = std::decay_t<std::invoke_result_t<F, Ref>>;
    static_assert(!std::is_pointer_v<R> || !std::is_same_v<std::remove_cv_t<std::remove_pointer_t<R>>, T>,
                  "rw_guarded: f returns a pointer to the value, which would be used without the lock");
  }

  template <detail::access How>
  detail::rw_event<How> waiting(const char* operation) const {
    core_.refuse_inside(operation);
    return detail::rw_event<How>(core_, detail::this_thread_id());
  }
  template <detail::access How>
  pointer_of<How> lock(const char* operation) const {
    if constexpr (How == detail::access::write) {
      if (core_.try_write()) return held<How>();
    } else {
      if (!detail::read_scope::is_inside(core_) && core_.try_read())
        return held<How>();  // twice is refused, even where there is room
    }
    auto event = waiting<How>(operation);
    if constexpr (How == detail::access::write)
      core_.write();
    else
      detail::wait_event(event, detail::never);
    return held<How>();
  }
  template <detail::access How>
  pointer_of<How> got(status s) const {
    return s == status::ok ? held<How>() : pointer_of<How>();
  }
  template <detail::access How>
  pointer_of<How> held() const noexcept {
    return {core_, value_};
  }

  template <detail::access How, bool Limited>
  class awaiter final : public std::conditional_t<Limited, detail::limited_awaiter<detail::rw_event<How>>,
                                                  detail::event_awaiter<detail::rw_event<How>>> {
    using base =
        std::conditional_t<Limited, detail::limited_awaiter<detail::rw_event<How>>, detail::event_awaiter<detail::rw_event<How>>>;

   public:
    template <class... Limit>
    explicit awaiter(const rw_guarded& source, const Limit&... limit) : base(limit..., source.core_, nullptr), from_(&source) {}
    ~awaiter() {
      if (this->destroy_waiting()) this->event().end();  // it was let in, and nobody uses it
    }
    pointer_of<How> await_resume() {
      if constexpr (Limited) {
        if (base::finish() != status::ok) return {};
      } else {
        base::finish();
      }
      return from_->template held<How>();
    }

   private:
    const rw_guarded* from_;
  };

  mutable detail::rw_core core_;
  mutable T value_;  // changed by those alone who have come to a value that is not const, to write
};

template <class T>
rw_guarded(T) -> rw_guarded<T>;

}  // namespace runnel::inline RUNNEL_ABI
