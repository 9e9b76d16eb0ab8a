// go and async: run a function as a task of its own; future: what such a task answers.
#pragma once

#include <runnel/detail/event_wait.hpp>
#include <runnel/detail/future_core.hpp>
#include <runnel/detail/task_outcome.hpp>
#include <runnel/detail/thread_cache.hpp>

#include <stdexcept>

namespace runnel::inline RUNNEL_ABI {

namespace detail {

template <class Call>
class go_task {
 public:
  template <class... Args>
  explicit go_task(Args&&... args) : call_(std::in_place, std::forward<Args>(args)...) {}
  void operator()() { call_.call_as_task(); }

 private:
  Call call_;
};

template <class Call>
class async_task {
 public:
  template <class... Args>
  explicit async_task(promise<typename Call::result_type>&& p, Args&&... args)
      : promise_(std::move(p)), call_(std::in_place, std::forward<Args>(args)...) {}
  void operator()() noexcept { promise_.run(call_); }

 private:
  promise<typename Call::result_type> promise_;
  Call call_;
};

}  // namespace detail

/// The answer of work that runs elsewhere: a value or an exception, taken once.
///
/// States: empty -> (async) waiting -> ready -> (get) empty. Move-only. Dropping a future waits for nothing: the work goes on
/// and its answer is lost. Use this for one answer of one task, an errgroup for tasks that fail together, a channel for a
/// stream of answers. Waits on an empty future throw std::logic_error. The future of work that will never run is ready, with
/// a context_error.
/// Thread safety: ready() and wait() in all their forms, from any number of threads. get() empties the future: like a move, it is
/// for one thread, when no other uses the future any more.
/// Differs from std::future: its destructor never blocks; get() may be limited, and if it answers no value then it has not used
/// the future up.
template <class R>
class future {
 public:
  using value_type = R;

  future() noexcept = default;
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;

  /// Whether there is an answer to wait for: not empty.
  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }
  /// Whether get() would not block. Throws: std::logic_error if the future is empty.
  [[nodiscard]] bool ready() const { return core("ready").ready(); }

  /// Waits for the answer and takes it; the future is empty then.
  /// Blocks: until the work has ended. Returns: what it returned. Throws: what it threw; std::logic_error if the future is empty.
  /// Synchronizes: all that the work did happens before the return.
  R get() { return wait_for_answer("get", detail::never), take(); }
  /// The same, up to a limit. Throws: as get(). An answer of canceled, timed_out or would_block has not used the future up.
  [[nodiscard]] result<R> get(const context& ctx) {
    detail::future_event event(core("get"));
    return taken(detail::wait_event(ctx, event));
  }
  [[nodiscard]] result<R> try_get() {
    detail::future_event event(core("try_get"));
    return taken(detail::try_event(event));
  }
  template <class Rep, class Period>
  [[nodiscard]] result<R> try_get_for(std::chrono::duration<Rep, Period> d) {
    return taken(wait_for_answer("try_get_for", detail::deadline_after(d)));
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<R> try_get_until(std::chrono::time_point<Clock, Duration> at) {
    return taken(wait_for_answer("try_get_until", detail::deadline_at(at)));
  }

  /// Waits until the future is ready; the answer stays in it. Throws: std::logic_error if the future is empty.
  void wait() const { wait_for_answer("wait", detail::never); }
  /// The same, up to a limit. Returns: ok, or why not.
  [[nodiscard]] result<void> wait(const context& ctx) const {
    detail::future_event event(core("wait"));
    return detail::sent(detail::wait_event(ctx, event));
  }
  [[nodiscard]] result<void> try_wait() const {
    detail::future_event event(core("try_wait"));
    return detail::sent(detail::try_event(event));
  }
  template <class Rep, class Period>
  [[nodiscard]] result<void> try_wait_for(std::chrono::duration<Rep, Period> d) const {
    return detail::sent(wait_for_answer("try_wait_for", detail::deadline_after(d)));
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<void> try_wait_until(std::chrono::time_point<Clock, Duration> at) const {
    return detail::sent(wait_for_answer("try_wait_until", detail::deadline_at(at)));
  }

 private:
  friend struct detail::future_access;
  explicit future(detail::future_state<R>& state) noexcept : state_(&state) {}

  detail::future_core& core(const char* operation) const {
    if (state_ == nullptr)
      throw std::logic_error(std::string("runnel::future::") + operation + ": the future is empty, or its answer was taken");
    return *state_;
  }
  status wait_for_answer(const char* operation, time_point deadline) const {
    detail::future_event event(core(operation));
    return detail::wait_event(event, deadline);
  }
  R take() {
    const auto state = std::move(state_);
    if (std::exception_ptr error = state->take_error()) std::rethrow_exception(std::move(error));
    return state->take();
  }
  result<R> taken(status s) {
    if (s != status::ok) return detail::result_access::failed<R>(s);
    if constexpr (std::is_void_v<R>) {
      take();
      return detail::result_access::ok<R>();
    } else {
      return detail::result_access::ok<R>(take());
    }
  }

  detail::future_state_ptr<R> state_;
};

/// Runs f(args...) as a task: Go's `go f(args...)`. The copies that are called are made here, as by std::thread.
///
/// Effects: f has a thread of its own while it runs, so tasks may block on one another; threads are kept for the next tasks.
/// The end of main abandons what still runs. A failure of f (an exception, an error that it returns) ends the process:
/// std::terminate. Use an errgroup for work that can fail or must be waited for, a wait_group to wait alone.
/// Blocks: never. Throws: what copying f and args throws; std::bad_alloc or std::system_error if there is no thread: then
/// nothing is moved from. Cost: one allocation. Synchronizes: all that was done before the call happens before f runs.
/// Semantics: Go spec, "Go statements". Differs: a panic becomes an exception.
template <class F, class... Args>
  requires detail::task_function<std::decay_t<F>, std::decay_t<Args>...>
void go(F&& f, Args&&... args) {
  detail::emplace_task<detail::go_task<detail::bound_call_of<F, Args...>>>(std::forward<F>(f), std::forward<Args>(args)...);
}

/// Runs f(args...) as a task, and answers a future for what it returns or throws.
///
/// Effects: as go; f and its arguments are destroyed before the future is ready.
/// Throws: as go. Cost: two allocations. Example: examples/go.cpp
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
[[nodiscard]] auto async(F&& f, Args&&... args) {
  using call = detail::bound_call_of<F, Args...>;
  using R = typename call::result_type;
  static_assert(!std::is_reference_v<R>, "async: f returns a reference; return a pointer or std::ref instead");
  auto* const state = new detail::future_state<R>;
  future<R> answer = detail::future_access::make(*state);
  detail::emplace_task<detail::async_task<call>>(detail::promise<R>(*state), std::forward<F>(f), std::forward<Args>(args)...);
  return answer;
}

}  // namespace runnel::inline RUNNEL_ABI
