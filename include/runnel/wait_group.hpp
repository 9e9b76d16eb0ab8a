// wait_group: waits until a number of tasks have ended.
#pragma once

#include <runnel/go.hpp>

#include <cstddef>

namespace runnel::inline RUNNEL_ABI {
class wait_group;

namespace detail {

/// The event that a wait_group's counter is zero.
class wait_group_event final : public selectable {
 public:
  explicit wait_group_event(wait_group& group) noexcept : group_(&group) {}
  // inline here already: as in detail/cancel_tree.hpp
  inline attempt try_now() override;
  inline void join(wait_node& node) override;
  inline bool leave(wait_node& node) noexcept override;
  bool finish(wait_node&) noexcept override { return true; }

 private:
  wait_group* group_;
};

}  // namespace detail

/// A counter of what is still to be done, and whoever waits until it is zero.
///
/// Use this to wait for tasks that cannot fail and are not to be canceled; use errgroup where they can. It may be used again
/// and again. It must outlive its tasks and waiters: wait() before it is destroyed.
/// Thread safety: all members. An add() that starts from zero must happen before the wait() that is to see it: one that
/// races with wait() may come too late for it. add() is fine at any time while the counter is above zero, from its tasks too.
/// Synchronizes: each done() happens before the return of every wait that it lets go.
/// Semantics: Go's sync.WaitGroup. Differs: misuse throws std::logic_error and changes nothing; waits may be limited.
/// Example: examples/wait_group.cpp
class wait_group {
 public:
  wait_group() noexcept = default;
  wait_group(const wait_group&) = delete;
  wait_group& operator=(const wait_group&) = delete;
  ~wait_group() { RUNNEL_ASSERT(waiters_.empty()); }

  /// Adds n, which may be negative, to the counter; at zero every waiter goes on. Blocks: never.
  /// Throws: std::logic_error if the counter would go below zero or overflow: it is as it was then.
  void add(std::ptrdiff_t n = 1) { change(n, "add"); }
  /// Takes one off the counter. Blocks: never. Throws: as add.
  void done() { change(-1, "done"); }

  /// Adds one, runs f() as a task, and takes one off when it has ended and f is destroyed.
  /// A failure of f ends the process: std::terminate. Throws: as runnel::go; the counter is as it was then.
  template <class F>
    requires detail::task_function<std::decay_t<F>>
  void go(F&& f);

  /// Waits until the counter is zero.
  void wait() {
    detail::wait_group_event event(*this);
    detail::wait_event(event, detail::never);
  }
  /// The same, up to a limit. Returns: ok, or why not.
  [[nodiscard]] result<void> wait(const context& ctx) {
    detail::wait_group_event event(*this);
    return detail::sent(detail::wait_event(ctx, event));
  }
  [[nodiscard]] result<void> try_wait() {
    detail::wait_group_event event(*this);
    return detail::sent(detail::try_event(event));
  }
  template <class Rep, class Period>
  [[nodiscard]] result<void> try_wait_for(std::chrono::duration<Rep, Period> d) {
    detail::wait_group_event event(*this);
    return detail::sent(detail::wait_event(event, detail::deadline_after(d)));
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<void> try_wait_until(std::chrono::time_point<Clock, Duration> at) {
    detail::wait_group_event event(*this);
    return detail::sent(detail::wait_event(event, detail::deadline_at(at)));
  }
  /// For coroutines: `co_await group.async_wait()`. As the forms without async_.
  [[nodiscard]] auto async_wait() { return detail::happening_awaiter<detail::wait_group_event>(*this); }
  [[nodiscard]] auto async_wait(const context& ctx) {
    return detail::limited_happening_awaiter<detail::wait_group_event>(ctx, *this);
  }

 private:
  friend class detail::wait_group_event;

  /// Whether a counter of `count` can change by n.
  static bool fits(std::ptrdiff_t count, std::ptrdiff_t n) noexcept {
    return n < 0 ? count + n >= 0 : n <= std::numeric_limits<std::ptrdiff_t>::max() - count;
  }
  void change(std::ptrdiff_t n, const char* operation) {
    std::ptrdiff_t count = count_.load(detail::relaxed);  // relaxed: compared when it is changed
    // Neither from zero nor to it: nobody waits for that, and it needs no lock.
    while (count > 0 && fits(count, n) && count + n != 0) {
      // [wait_group.count] acq_rel: whoever brings it to zero has seen what came before each done(). The last access.
      if (count_.compare_exchange(count, count + n, detail::acq_rel, detail::relaxed)) return;
    }
    change_under_lock(n, operation);
  }
  RUNNEL_NOINLINE void change_under_lock(std::ptrdiff_t n, const char* operation) {
    detail::wake_list wakes;
    detail::scoped_lock lock(mutex_);
    std::ptrdiff_t count = count_.load(detail::relaxed);  // relaxed: as above
    for (;;) {
      if (!fits(count, n)) {
        lock.unlock();
        throw std::logic_error(std::string("runnel::wait_group::") + operation +
                               (n < 0 ? ": the counter would go below zero" : ": the counter would overflow"));
      }
      if (count_.compare_exchange(count, count + n, detail::acq_rel, detail::relaxed)) break;  // [wait_group.count] as above
    }
    if (count + n == 0) wakes.add_all(waiters_, status::ok);
    lock.unlock();  // from here on a waiter may have destroyed the group
    wakes.resume_all();
  }

  detail::mutex mutex_;
  detail::atomic<std::ptrdiff_t> count_{0};  // to zero and away from it under the lock
  detail::wait_queue waiters_;               // empty while the counter is zero
};

namespace detail {

inline attempt wait_group_event::try_now() {
  // Under the lock, so that the last done() has left the group when a waiter goes on and destroys it.
  const scoped_lock lock(group_->mutex_);
  // [wait_group.count] acquire: with change
  return group_->count_.load(acquire) == 0 ? attempt::done : attempt::not_yet;
}
inline void wait_group_event::join(wait_node& node) {
  {
    const scoped_lock lock(group_->mutex_);
    if (group_->count_.load(acquire) != 0) return group_->waiters_.push(node);  // [wait_group.count] acquire: with change
  }
  if (!claim(node)) return;
  node.outcome = status::ok;
  node.owner->resume();
}
inline bool wait_group_event::leave(wait_node& node) noexcept {
  const scoped_lock lock(group_->mutex_);
  if (!node.queued) return false;
  group_->waiters_.remove(node);
  return true;
}

/// Takes one off the counter when the task has ended, or will never run.
class wait_group_pin {
 public:
  explicit wait_group_pin(wait_group& group) noexcept : group_(&group) {}
  wait_group_pin(wait_group_pin&& other) noexcept : group_(std::exchange(other.group_, nullptr)) {}
  wait_group_pin& operator=(wait_group_pin&&) = delete;
  ~wait_group_pin() {
    if (group_ != nullptr) group_->done();
  }

 private:
  wait_group* group_;
};

template <class Call>
class wait_group_task {
 public:
  template <class F>
  explicit wait_group_task(wait_group_pin&& pin, F&& f) : call_(std::in_place, std::forward<F>(f)), pin_(std::move(pin)) {}
  void operator()() {
    call_.call_as_task();
    call_.reset();
  }
  /// For a function that returns what is to be awaited.
  static task<> run_coroutine(wait_group_pin pin, Call call) {
    const wait_group_pin ends_first(std::move(pin));
    co_await checked_awaiter(call());
    call.reset();
  }

 private:
  Call call_;
  wait_group_pin pin_;
};

}  // namespace detail

template <class F>
  requires detail::task_function<std::decay_t<F>>
void wait_group::go(F&& f) {
  using call = detail::bound_call_of<F>;
  add();
  detail::wait_group_pin pin(*this);
  if constexpr (call::is_coroutine) {
    detail::start_ticket ticket(detail::scheduler::current());  // first: f is moved from only if there is a thread
    task<> work = detail::wait_group_task<call>::run_coroutine(std::move(pin), call(std::in_place, std::forward<F>(f)));
    detail::start_root(ticket, work);
  } else {
    detail::emplace_task<detail::wait_group_task<call>>(detail::scheduler::current(), std::move(pin), std::forward<F>(f));
  }
}

}  // namespace runnel::inline RUNNEL_ABI
