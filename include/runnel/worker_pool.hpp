// worker_pool: a fixed number of workers, and a bounded queue of jobs for them.
#pragma once

#include <runnel/detail/pool_job.hpp>
#include <runnel/runtime.hpp>

#include <cstddef>

namespace runnel::inline RUNNEL_ABI {
namespace detail {
struct worker_pool_access;
}

struct worker_pool_options {
  std::size_t workers = 0;  ///< how many jobs run at once; 0: as many as there are cores
  std::size_t queue = 0;    ///< how many may wait besides
  runtime* on = nullptr;    ///< where they run; null: the runtime whose task makes the pool, elsewhere the global one
  /// Called by the worker with what a job threw whose future was dropped before; without it that is lost. It must not throw. Not for jobs
  /// that have not begun, nor for coroutines that their runtime has dropped.
  // NOLINTNEXTLINE(readability-redundant-member-init): without it, designated initializers that leave it out would be warned of
  std::function<void(std::exception_ptr)> on_unhandled = {};
};

/// A job that shutdown() has handed back. Move-only; called once, elsewhere and later: the pool may be gone.
///
/// Its future is not ready until it was called; if it is dropped instead the future fails with a context_error.
class unstarted {
 public:
  unstarted(unstarted&&) noexcept = default;
  unstarted& operator=(unstarted&&) noexcept = default;

  /// Runs the job in this thread, to its end; its answer and what it throws go to its future. Blocks: until then.
  /// Throws: std::logic_error if it was called before, or moved from.
  void operator()() {
    if (job_ == nullptr) throw std::logic_error("runnel::unstarted: called twice, or moved from");
    detail::handed_back_job::run(*job_.release(), ctx_);
  }

 private:
  friend class worker_pool;
  unstarted(detail::handed_back_ptr job, context ctx) noexcept : job_(std::move(job)), ctx_(std::move(ctx)) {}

  detail::handed_back_ptr job_;
  context ctx_;
};

/// A fixed number of workers that run jobs, and room for as many as may wait: whoever submits one more waits.
///
/// open -> close(), shutdown(), the destructor -> closed; what was accepted runs all the same. Its context done: nothing more begins,
/// what had not begun fails with the cause. A job is a function, or returns what is to be awaited; it takes a worker from its beginning
/// to its end. Its answer or exception is its future's. A job may wait for futures of its own pool in any form: what has not begun
/// begins then, in its place; and where it submits without there being room, that job runs at once and it goes on afterwards. So neither
/// deadlocks; a wait for something else that a job must do first can. Coroutines use the async_ forms: their jobs are known by them.
/// Jobs are tasks of a runtime; if that has fewer workers than the pool, each worker of the pool that runs functions has its own thread.
/// Use this for a stream of independent jobs; use errgroup for tasks that fail together, go or async where nothing is to be limited.
/// Thread safety: all members. Lifetime: its destructor closes it and waits for its jobs, which may submit meanwhile (channel_closed), and
/// for calls that wait for room (the same); all others are to have returned before. Cost: a job and its future are one allocation.
/// Synchronizes: submit happens before its job, that before its future is ready and wait() returns. Example: examples/worker_pool.cpp
class worker_pool {
 public:
  explicit worker_pool(worker_pool_options options = {}) : worker_pool(context(), std::move(options)) {}
  /// Jobs that take a const context& get this one. Throws: std::bad_alloc, std::system_error if there is no thread for a deadline.
  explicit worker_pool(const context& ctx, worker_pool_options options = {})
      : core_(ctx, options.workers != 0 ? options.workers : detail::cpu_count(), options.queue,
              options.on != nullptr ? detail::runtime_access::scheduler_of(*options.on) : detail::scheduler::current(),
              std::move(options.on_unhandled)),
        ending_(ctx, [this] { core_.end_by_context(); }) {}
  template <class Parent>
    requires std::same_as<std::remove_const_t<Parent>, scoped_context>
  explicit worker_pool(Parent&& ctx, worker_pool_options options = {}) = delete;  // it would be canceled at the semicolon
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  ~worker_pool() {
    RUNNEL_ASSERT(!core_.is_inside());
    core_.close();
    core_.wait_for(detail::pool_core::rest::unused, detail::never);
  }

  /// Runs f(args...), or if there is none f(const context&, args...) with the pool's context, by a worker. What is called are copies that
  /// are made here. Blocks: while all workers run and as many wait as may; then first come, first served. Returns: the answer's future.
  /// Throws: channel_closed after close(); context_error when the pool's context is done; what copying f and args throws; std::bad_alloc or
  /// std::system_error if there is no thread. Nothing is moved from, and nothing is submitted, then.
  template <class F, class... Args>
    requires detail::pool_function<F, Args...>
  future<detail::pool_answer_t<F, Args...>> submit(F&& f, Args&&... args) {
    std::optional<caller_pin> pin;
    const admission how = enter(pin, nullptr, detail::never);
    if (how != admission::place && how != admission::here) refuse("submit", how, nullptr);
    return accept(how, std::forward<F>(f), std::forward<Args>(args)...);
  }
  /// The same until a context is done, which f does not see. Throws: context_error if it is.
  template <class F, class... Args>
    requires detail::pool_function<F, Args...>
  future<detail::pool_answer_t<F, Args...>> submit(const context& ctx, F&& f, Args&&... args) {
    std::optional<caller_pin> pin;
    const admission how = enter(pin, &ctx, detail::never);
    if (how != admission::place && how != admission::here) refuse("submit", how, &ctx);
    return accept(how, std::forward<F>(f), std::forward<Args>(args)...);
  }
  /// The same without waiting. Returns: empty if there is no room now, or the pool is closed or its context done.
  template <class F, class... Args>
    requires detail::pool_function<F, Args...>
  [[nodiscard]] std::optional<future<detail::pool_answer_t<F, Args...>>> try_submit(F&& f, Args&&... args) {
    if (core_.try_enter() != admission::place) return std::nullopt;
    return accept(admission::place, std::forward<F>(f), std::forward<Args>(args)...);
  }
  /// The same up to a limit. Returns: why not: timed_out, closed, or how the pool's context ended.
  template <class Rep, class Period, class F, class... Args>
    requires detail::pool_function<F, Args...>
  [[nodiscard]] result<future<detail::pool_answer_t<F, Args...>>> try_submit_for(std::chrono::duration<Rep, Period> d, F&& f,
                                                                                 Args&&... args) {
    return submit_until(detail::deadline_after(d), std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class Clock, class Duration, class F, class... Args>
    requires detail::pool_function<F, Args...>
  [[nodiscard]] result<future<detail::pool_answer_t<F, Args...>>> try_submit_until(std::chrono::time_point<Clock, Duration> at,
                                                                                   F&& f, Args&&... args) {
    return submit_until(detail::deadline_at(at), std::forward<F>(f), std::forward<Args>(args)...);
  }
  /// For coroutines: `co_await pool.async_submit(f, args...)`. As the forms without async_. Cost: one allocation more, two if it waits.
  template <class F, class... Args>
    requires detail::pool_function<F, Args...>
  [[nodiscard]] task<future<detail::pool_answer_t<F, Args...>>> async_submit(F&& f, Args&&... args) {
    return submit_later<F, Args...>(nullptr, std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
    requires detail::pool_function<F, Args...>
  [[nodiscard]] task<future<detail::pool_answer_t<F, Args...>>> async_submit(const context& ctx, F&& f, Args&&... args) {
    return submit_later<F, Args...>(&ctx, std::forward<F>(f), std::forward<Args>(args)...);
  }

  /// No more jobs: submit throws, also where it waits. Those that were accepted run. Closing again changes nothing. Blocks: never.
  void close() noexcept { core_.close(); }

  /// Waits until all that was accepted has run; it may go on then. Throws: std::logic_error if a job of the pool calls it.
  void wait() { wait_until_drained("wait", detail::never); }
  /// The same, up to a limit. Returns: ok, or why not. Throws: as wait().
  [[nodiscard]] result<void> wait(const context& ctx) {
    core_.refuse_inside(core_.is_inside(), "wait");
    rest_event event(core_, rest::drained);
    return detail::sent(detail::wait_event(ctx, event));
  }
  [[nodiscard]] result<void> try_wait() {
    core_.refuse_inside(core_.is_inside(), "try_wait");
    rest_event event(core_, rest::drained);
    return detail::sent(detail::try_event(event));
  }
  template <class Rep, class Period>
  [[nodiscard]] result<void> try_wait_for(std::chrono::duration<Rep, Period> d) {
    return detail::sent(wait_until_drained("try_wait_for", detail::deadline_after(d)));
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<void> try_wait_until(std::chrono::time_point<Clock, Duration> at) {
    return detail::sent(wait_until_drained("try_wait_until", detail::deadline_at(at)));
  }
  /// For coroutines: `co_await pool.async_wait()`. As the forms without async_. Cost: one allocation.
  template <class = void>  // g++ compiles a coroutine that is no template in every file
  [[nodiscard]] task<> async_wait() {
    const bool is_job = co_await detail::pool_core::is_coroutine_of(&core_);
    core_.refuse_inside(is_job, "async_wait");
    co_await detail::happening_awaiter<rest_event>(core_, rest::drained);
  }
  template <class = void>
  [[nodiscard]] task<result<void>> async_wait(const context& ctx) {
    const bool is_job = co_await detail::pool_core::is_coroutine_of(&core_);
    core_.refuse_inside(is_job, "async_wait");
    auto ended = co_await detail::limited_happening_awaiter<rest_event>(ctx, core_, rest::drained);
    co_return ended;
  }

  /// Closes the pool and ends it: drain waits for all jobs, abandon for those that run, drain_for(d) so long for all and then for those.
  /// Blocks: until then. Returns: what has not begun, in the order in which it was submitted.
  /// Throws: std::logic_error if a job of the pool calls it, which would wait for itself; std::bad_alloc.
  std::vector<unstarted> shutdown(drain_t /*how*/) { return shut_down(detail::never); }
  std::vector<unstarted> shutdown(abandon_t /*how*/) { return shut_down(time_point::min()); }
  std::vector<unstarted> shutdown(drain_for_t limit) { return shut_down(limit.deadline); }

 private:
  friend struct detail::worker_pool_access;
  using admission = detail::admission;
  using caller_pin = detail::pool_core::caller_pin;
  using rest = detail::pool_core::rest;
  using rest_event = detail::pool_core::rest_event;

  admission enter(std::optional<caller_pin>& pin, const context* ctx, time_point deadline) {
    if (ctx != nullptr && ctx->done()) return ctx->err() == status::timed_out ? admission::timed_out : admission::canceled;
    const admission now = core_.try_enter();
    return now == admission::full ? core_.wait_for_place(pin, ctx, deadline) : now;
  }
  [[noreturn]] void refuse(const char* operation, admission how, const context* ctx) const {
    if (how == admission::closed) throw channel_closed(std::string("runnel::worker_pool::") + operation + ": the pool is closed");
    if (how != admission::ended) ctx->throw_if_done();
    core_.ctx().throw_if_done();
    throw std::logic_error("runnel::worker_pool: refused for no reason");
  }
  /// Makes the job and puts it where it runs. On failure its place is given back.
  template <class F, class... Args>
  auto make(admission how, std::optional<detail::start_ticket>& ticket, F&& f, Args&&... args) {
    using job = detail::pooled_call_of<F, Args...>;
    try {
      if (how == admission::place && core_.has_slot()) ticket.emplace(core_.on());
      return new job(core_, std::forward<F>(f), std::forward<Args>(args)...);
    } catch (...) {
      if (how == admission::place) core_.abandon_place();
      throw;
    }
  }
  template <class F, class... Args>
  future<detail::pool_answer_t<F, Args...>> accept(admission how, F&& f, Args&&... args) {
    std::optional<detail::start_ticket> ticket;
    auto* const job = make(how, ticket, std::forward<F>(f), std::forward<Args>(args)...);
    auto answer = detail::future_access::make<detail::pool_answer_t<F, Args...>>(*job);
    if (how == admission::place) {
      core_.add(*job, ticket);
    } else if (!job->is_coroutine()) {
      core_.run_beside(*job);
    } else {
      core_.start_beside(*job);
      answer.wait();
    }
    return answer;
  }
  template <class F, class... Args>
  result<future<detail::pool_answer_t<F, Args...>>> submit_until(time_point deadline, F&& f, Args&&... args) {
    using access = detail::result_access;
    using answer = future<detail::pool_answer_t<F, Args...>>;
    std::optional<caller_pin> pin;
    switch (const admission how = enter(pin, nullptr, deadline)) {
      case admission::place:
      case admission::here: return access::ok<answer>(accept(how, std::forward<F>(f), std::forward<Args>(args)...));
      case admission::closed: return access::failed<answer>(status::closed);
      case admission::ended:
        return access::failed<answer>(core_.ctx().err() == status::timed_out ? status::timed_out : status::canceled);
      default: return access::failed<answer>(status::timed_out);
    }
  }
  template <class F, class... Args>
  task<future<detail::pool_answer_t<F, Args...>>> submit_later(const context* ctx, F&& f, Args&&... args) {
    std::optional<caller_pin> pin;
    admission how = admission::full;
    if (ctx != nullptr && ctx->done()) ctx->throw_if_done();
    how = core_.try_enter();
    if (how == admission::full) how = co_await core_.async_wait_for_place(pin, ctx);
    if (how != admission::here) {
      if (how != admission::place) refuse("async_submit", how, ctx);
      co_return accept(how, std::forward<F>(f), std::forward<Args>(args)...);
    }
    std::optional<detail::start_ticket> none;
    auto* const job = make(how, none, std::forward<F>(f), std::forward<Args>(args)...);
    auto answer = detail::future_access::make<detail::pool_answer_t<F, Args...>>(*job);
    core_.start_beside(*job);
    co_await answer.async_wait();
    co_return std::move(answer);
  }

  status wait_until_drained(const char* operation, time_point deadline) {
    core_.refuse_inside(core_.is_inside(), operation);
    return core_.wait_for(rest::drained, deadline);
  }
  std::vector<unstarted> shut_down(time_point deadline) {
    core_.refuse_inside(core_.is_inside(), "shutdown");
    if (deadline == time_point::min()) core_.halt();  // first: what ends because the pool is closed makes nothing begin
    core_.close();
    std::vector<unstarted> left;
    if (core_.wait_for(rest::drained, deadline) == status::ok) return left;
    std::vector<detail::handed_back_ptr> jobs = core_.stop();
    left.reserve(jobs.size());
    for (detail::handed_back_ptr& job : jobs) left.push_back(unstarted(std::move(job), core_.ctx()));
    return left;
  }

  detail::pool_core core_;
  scoped_after_func ending_;
};

struct detail::worker_pool_access {
  /// How many calls wait for room.
  static std::size_t callers(const worker_pool& pool) noexcept { return pool.core_.callers(); }
};

}  // namespace runnel::inline RUNNEL_ABI
