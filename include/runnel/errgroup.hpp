// errgroup: tasks that succeed or fail together.
#pragma once

#include <runnel/detail/errgroup_core.hpp>
#include <runnel/detail/task_outcome.hpp>
#include <runnel/runtime.hpp>

#include <cstddef>

namespace runnel::inline RUNNEL_ABI {

struct errgroup_options {
  std::size_t limit = 0;     ///< how many tasks may run at once; 0: any number
  bool collect_all = false;  ///< a failure cancels nothing, and errors() has them all
  runtime* on = nullptr;     ///< where its tasks run; null: where go() is called, as with runnel::go
};

namespace detail {

template <class F>
concept group_function = task_function<F, const context&> || (!std::invocable<F, const context&> && task_function<F>);

template <class F>
decltype(auto) call_in_group(F& f, const context& ctx) {
  if constexpr (std::invocable<F, const context&>)
    return std::invoke(std::move(f), ctx);
  else
    return std::invoke(std::move(f));
}
template <class F>
concept group_coroutine =
    group_function<F> && awaitable<decltype(detail::call_in_group(std::declval<F&>(), std::declval<const context&>()))>;

/// A function and its part of the group, which is given back when it has ended, or will never run.
template <class F>
class errgroup_task : public in_task_memory {
 public:
  /// Without a group until it is given one: one that could not be started has none.
  template <class G>
  explicit errgroup_task(errgroup_core* group, G&& f) : f_(std::in_place, std::forward<G>(f)), group_(group) {}
  errgroup_task(const errgroup_task&) = delete;
  errgroup_task& operator=(const errgroup_task&) = delete;
  ~errgroup_task() {
    if (group_ != nullptr) end(make_context_error(status::canceled, "runnel: a task of the group will never run, or never end"));
  }
  void enter(errgroup_core& group) noexcept { group_ = &group; }

  void operator()() noexcept {
    const group_scope inside(group_);
    std::exception_ptr error;
    try {
      if constexpr (std::invocable<F, const context&>)
        detail::call_task(std::move(*f_), group_->round_ctx());
      else
        detail::call_task(std::move(*f_));
    } catch (...) {
      error = std::current_exception();
    }
    end(std::move(error));
  }
  static task<> run_coroutine(std::unique_ptr<errgroup_task> self) {
    std::exception_ptr error;
    try {
      co_await checked_awaiter(detail::call_in_group(*self->f_, self->group_->round_ctx()));
    } catch (...) {
      error = std::current_exception();
    }
    self->end(std::move(error));
  }

 private:
  void end(std::exception_ptr&& error) noexcept {
    // Before f lets go of what others wait for: they might fail because of that, and come first.
    if (error != nullptr) group_->fail_task(std::move(error));
    f_.reset();
    std::exchange(group_, nullptr)->end_task();
  }

  std::optional<F> f_;
  errgroup_core* group_;
};

}  // namespace detail

/// Tasks that work on one thing: the first failure cancels the others, and comes out of wait().
///
/// A round: go() any number of times -> wait() ends it and takes its outcome -> the next go() begins another, with a live ctx().
/// A failure is an exception, a non-zero code (as std::system_error) or an error value (as it is). The first one counts: what a
/// canceled task says about its cancellation never hides the failure that canceled it. Tasks are not interrupted: they look at
/// ctx(), or use it where they wait. The group owns its tasks: its destructor cancels and waits. Declare it after what they use.
/// Use this where work can fail or be canceled, a wait_group where neither matters.
/// Thread safety: all members but errors() and the destructor; go() also from the group's tasks. One thread waits.
/// Synchronizes: go() happens before its task runs, the end of a task, f's destructor included, before the return of wait().
/// Semantics: Go's golang.org/x/sync/errgroup. Differs: wait() ends a round, instead of answering the first error for ever; an
/// exception is a failure like any other; a parent that was done in time is reported. Example: examples/errgroup.cpp
class errgroup {
 public:
  explicit errgroup(const context& parent = {}, errgroup_options options = {})
      : core_(parent, options.limit, options.collect_all), on_(options.on) {}
  template <class Parent>
    requires std::same_as<std::remove_const_t<Parent>, scoped_context>
  explicit errgroup(Parent&& parent, errgroup_options options = {}) = delete;  // it would be canceled at the semicolon
  errgroup(const errgroup&) = delete;
  errgroup& operator=(const errgroup&) = delete;
  ~errgroup() { core_.shut_down(); }

  /// The round's context: done on the first failure, with it as the cause, on cancel(), and when wait() has ended the round.
  [[nodiscard]] context ctx() const { return core_.ctx(); }

  /// Runs f() or f(const context&), with ctx(), as a task; even if ctx() is done. f is a function, or returns what is to be awaited,
  /// such as a task<>: then it lives until that has ended.
  /// Blocks: while `limit` tasks are running; then first come, first served. Cost: one allocation.
  /// Throws: what copying f throws; std::bad_alloc or std::system_error if there is no thread: nothing is moved from then, but
  /// a coroutine function for whose frame there is no memory.
  template <class F>
    requires detail::group_function<std::decay_t<F>>
  void go(F&& f) {
    core_.enter(true);
    start(std::forward<F>(f));
  }
  /// The same if fewer than `limit` tasks are running. Returns: whether it runs; if not, f was not touched. Blocks: never.
  template <class F>
    requires detail::group_function<std::decay_t<F>>
  [[nodiscard]] bool try_go(F&& f) {
    if (!core_.enter(false)) return false;
    start(std::forward<F>(f));
    return true;
  }
  /// Limits how many tasks run at once; 0: any number. Throws: std::logic_error while tasks run.
  void set_limit(std::size_t limit) { core_.set_limit(limit); }

  /// Waits for all tasks and ends the round.
  /// Throws: the first failure; without one, context_error if the parent was done before the last task ended, unless cancel()
  /// came first; std::logic_error if a task of the group calls it. To return means: nobody failed, nobody outside asked to stop.
  void wait() {
    if (auto error = wait_result()) std::rethrow_exception(std::move(error));
  }
  /// The same, up to a limit. Returns: ok, when the round has ended; else why not, and it goes on. Throws: as wait().
  [[nodiscard]] result<void> wait(const context& ctx) {
    return round_ended([&](selectable& end) { return detail::wait_event(ctx, end); });
  }
  [[nodiscard]] result<void> try_wait() {
    return round_ended([](selectable& end) { return detail::try_event(end); });
  }
  template <class Rep, class Period>
  [[nodiscard]] result<void> try_wait_for(std::chrono::duration<Rep, Period> d) {
    return try_wait_until(detail::deadline_after(d));
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<void> try_wait_until(std::chrono::time_point<Clock, Duration> at) {
    const time_point deadline = detail::deadline_at(at);
    return round_ended([deadline](selectable& end) { return detail::wait_event(end, deadline); });
  }
  /// For coroutines: `co_await group.async_wait()`. As the forms without async_. Cost: one allocation.
  template <class = void>  // g++ compiles a coroutine that is no template in every file
  [[nodiscard]] task<> async_wait() {
    std::exception_ptr error;
    co_await core_.async_finish_round(nullptr, error);
    if (error != nullptr) std::rethrow_exception(std::move(error));
  }
  template <class = void>
  [[nodiscard]] task<result<void>> async_wait(const context& ctx) {
    std::exception_ptr error;
    const status s = co_await core_.async_finish_round(&ctx, error);
    if (error != nullptr) std::rethrow_exception(std::move(error));
    co_return detail::sent(s);
  }
  /// As wait(). Returns: what it would throw, or null. Throws: std::logic_error if a task of the group calls it.
  [[nodiscard]] std::exception_ptr wait_result() {
    std::exception_ptr error;
    core_.finish_round([](selectable& end) { return detail::wait_event(end, detail::never); }, error);
    return error;
  }
  /// The failures of the last round, in the order in which they came: without collect_all the first alone. After wait(),
  /// until the next go().
  [[nodiscard]] std::span<const std::exception_ptr> errors() const noexcept { return core_.errors(); }

  /// Cancels the round's tasks on purpose: wait() does not report it. Blocks: never for long; does not wait for the tasks.
  void cancel() noexcept { core_.cancel(); }

 private:
  template <class F>
  void start(F&& f) {
    using function = std::decay_t<F>;
    using group_task = detail::errgroup_task<function>;
    try {
      detail::scheduler& on = on_ != nullptr ? detail::runtime_access::scheduler_of(*on_) : detail::scheduler::current();
      if constexpr (detail::group_coroutine<function>) {
        detail::start_ticket ticket(on);  // first: f is moved from only if there is a thread
        auto owned = std::make_unique<group_task>(nullptr, std::forward<F>(f));
        group_task& made = *owned;
        task<> work = group_task::run_coroutine(std::move(owned));
        made.enter(core_);
        detail::start_root(ticket, work);
      } else {
        detail::emplace_task<group_task>(on, &core_, std::forward<F>(f));
      }
    } catch (...) {
      core_.abandon();
      throw;
    }
  }
  template <class Wait>
  result<void> round_ended(Wait wait) {
    std::exception_ptr error;
    const status s = core_.finish_round(wait, error);
    if (error != nullptr) std::rethrow_exception(std::move(error));
    return detail::sent(s);
  }

  detail::errgroup_core core_;
  runtime* on_;
};

}  // namespace runnel::inline RUNNEL_ABI
