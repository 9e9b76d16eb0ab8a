// go and async: run a function or a coroutine as a task of its own; future: what such a task answers.
#pragma once

#include <runnel/detail/await.hpp>
#include <runnel/detail/future_core.hpp>
#include <runnel/detail/start_task.hpp>
#include <runnel/detail/task_outcome.hpp>

#include <stdexcept>

namespace runnel::inline RUNNEL_ABI {

namespace detail {

template <class Call>
class go_task {
 public:
  template <class... Args>
  explicit go_task(Args&&... args) : call_(std::in_place, std::forward<Args>(args)...) {}
  void operator()() { call_.call_as_task(); }
  /// For a function that returns what is to be awaited.
  static task<> run_coroutine(Call call) { co_await checked_awaiter(call()); }

 private:
  Call call_;
};

/// What the future of a call is for.
template <class Call>
using async_answer_t = typename answer_of<typename Call::result_type>::type;

template <class Call>
class async_task {
 public:
  template <class... Args>
  explicit async_task(promise<async_answer_t<Call>>&& p, Args&&... args)
      : promise_(std::move(p)), call_(std::in_place, std::forward<Args>(args)...) {}
  void operator()() noexcept { promise_.run(call_); }
  /// For a function that returns what is to be awaited.
  static task<> run_coroutine(promise<async_answer_t<Call>> p, Call call) {
    std::exception_ptr error;
    try {
      if constexpr (std::is_void_v<async_answer_t<Call>>) {
        co_await call();
      } else {
        p.set(co_await call());
      }
    } catch (...) {
      error = std::current_exception();
    }
    call.reset();
    p.fail(std::move(error));
  }

 private:
  promise<async_answer_t<Call>> promise_;
  Call call_;
};

template <class F, class... Args>
void start_go(scheduler& on, F&& f, Args&&... args) {
  using call = bound_call_of<F, Args...>;
  if constexpr (call::is_coroutine) {
    start_ticket ticket(on);  // first: f and args are moved from only if there is a thread
    task<> work = go_task<call>::run_coroutine(call(std::in_place, std::forward<F>(f), std::forward<Args>(args)...));
    start_root(ticket, work);
  } else {
    detail::emplace_task<go_task<call>>(on, std::forward<F>(f), std::forward<Args>(args)...);
  }
}
template <class F, class... Args>
auto start_async(scheduler& on, F&& f, Args&&... args) {
  using call = bound_call_of<F, Args...>;
  using R = async_answer_t<call>;
  static_assert(!std::is_reference_v<R>, "async: f answers a reference; answer a pointer or std::ref instead");
  auto* const state = new future_state<R>;
  future<R> answer = future_access::make(*state);
  promise<R> filled(*state);
  if constexpr (call::is_coroutine) {
    start_ticket ticket(on);  // as above
    task<> work =
        async_task<call>::run_coroutine(std::move(filled), call(std::in_place, std::forward<F>(f), std::forward<Args>(args)...));
    start_root(ticket, work);
  } else {
    detail::emplace_task<async_task<call>>(on, std::move(filled), std::forward<F>(f), std::forward<Args>(args)...);
  }
  return answer;
}

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
  R get() {
    wait_for_answer("get", detail::never);
    return take();
  }
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
  /// For coroutines: `co_await f.async_get()`. As the forms without async_.
  [[nodiscard]] auto async_get() { return answer_awaiter<false>(*this, core("async_get")); }
  [[nodiscard]] auto async_get(const context& ctx) { return answer_awaiter<true>(*this, ctx, core("async_get")); }
  [[nodiscard]] auto async_wait() const { return detail::happening_awaiter<detail::future_event>(core("async_wait")); }
  [[nodiscard]] auto async_wait(const context& ctx) const {
    return detail::limited_happening_awaiter<detail::future_event>(ctx, core("async_wait"));
  }

 private:
  template <bool Limited>
  class answer_awaiter final : public std::conditional_t<Limited, detail::limited_awaiter<detail::future_event>,
                                                         detail::event_awaiter<detail::future_event>> {
    using base =
        std::conditional_t<Limited, detail::limited_awaiter<detail::future_event>, detail::event_awaiter<detail::future_event>>;

   public:
    template <class... Args>
    explicit answer_awaiter(future& f, Args&&... args) : base(std::forward<Args>(args)...), future_(&f) {}
    std::conditional_t<Limited, result<R>, R> await_resume() {
      if constexpr (Limited) {
        return future_->taken(this->finish());
      } else {
        this->finish();
        return future_->take();
      }
    }

   private:
    future* future_;
  };

  friend struct detail::future_access;
  explicit future(detail::future_state<R>& state) noexcept : state_(&state) {}

  detail::future_core& core(const char* operation) const {
    if (state_ == nullptr)
      throw std::logic_error(std::string("runnel::future::") + operation + ": the future is empty, or its answer was taken");
    return *state_;
  }
  status wait_for_answer(const char* operation, time_point deadline) const {
    detail::future_core& answer = core(operation);
    if (deadline == detail::never && !answer.ready()) answer.run_in_waiter();
    detail::future_event event(answer);
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
/// Effects: f is a function, or returns what is to be awaited, such as a task<>; then f and args live until that has ended. It runs on
/// the runtime whose task this is, elsewhere on the global one: on as many threads as there are cores. A function that waits in an
/// operation of this library lets another thread take its place, so tasks may block on one another; a coroutine that waits
/// takes no thread. The end of main abandons what still runs. A failure (an exception, an error that it answers) ends the process:
/// std::terminate. Use an errgroup for work that can fail or must be waited for, a wait_group to wait alone.
/// Blocks: never. Throws: what copying f and args throws; std::bad_alloc; std::system_error if nothing runs and there is no thread:
/// then nothing is moved from, but a coroutine function for whose frame there is no memory.
/// Cost: one allocation. Synchronizes: all that was done before the call happens before f runs.
/// Semantics: Go spec, "Go statements". Differs: a panic becomes an exception.
template <class F, class... Args>
  requires detail::task_function<std::decay_t<F>, std::decay_t<Args>...>
void go(F&& f, Args&&... args) {
  detail::start_go(detail::scheduler::current(), std::forward<F>(f), std::forward<Args>(args)...);
}
/// Runs a task. Throws: as above; std::logic_error if it was moved from.
inline void go(task<> work) { detail::start_root(detail::scheduler::current(), work); }

/// Runs f(args...) as a task, and answers a future for what it returns, or answers when it is awaited, or throws.
///
/// Effects: as go; f and its arguments are destroyed before the future is ready.
/// Throws: as go. Cost: two allocations. Example: examples/go.cpp
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
[[nodiscard]] auto async(F&& f, Args&&... args) {
  return detail::start_async(detail::scheduler::current(), std::forward<F>(f), std::forward<Args>(args)...);
}
/// The same for a task.
template <class T>
[[nodiscard]] future<T> async(task<T> work) {
  detail::task_access::refuse_empty(work, "async");
  return detail::start_async(detail::scheduler::current(), [](task<T>&& t) { return std::move(t); }, std::move(work));
}

}  // namespace runnel::inline RUNNEL_ABI
