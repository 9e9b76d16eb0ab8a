// The jobs of a worker_pool: calls, and the coroutines that some of them answer.
#pragma once

#include <runnel/detail/pool_core.hpp>
#include <runnel/detail/task_outcome.hpp>
#include <runnel/go.hpp>

#include <memory>
#include <tuple>

namespace runnel::inline RUNNEL_ABI::detail {

/// A call, with the pool's context in front of its arguments if it cannot be made without.
template <class F, class... Args>
struct pool_invoke {
  static constexpr bool takes_context = !std::invocable<F, Args...>;
  static decltype(auto) call(const context& ctx, F&& f, Args&&... args) {
    if constexpr (takes_context)
      return std::invoke(std::move(f), ctx, std::move(args)...);
    else
      return std::invoke(std::move(f), std::move(args)...);
  }
};
template <class F, class... Args>
concept pool_callable = std::invocable<F, Args...> || std::invocable<F, const context&, Args...>;
template <class F, class... Args>
struct pool_result {};
template <class F, class... Args>
  requires pool_callable<F, Args...>
struct pool_result<F, Args...> {
  using returned =
      decltype(pool_invoke<F, Args...>::call(std::declval<const context&>(), std::declval<F>(), std::declval<Args>()...));
  using type = typename answer_of<returned>::type;
};
/// What submit takes: copies of these can be called, and what the call answers can be kept.
template <class F, class... Args>
concept pool_function = std::constructible_from<std::decay_t<F>, F> && (std::constructible_from<std::decay_t<Args>, Args> && ...) &&
                        pool_callable<std::decay_t<F>, std::decay_t<Args>...> &&
                        !std::is_reference_v<typename pool_result<std::decay_t<F>, std::decay_t<Args>...>::type>;
template <class F, class... Args>
using pool_answer_t = typename pool_result<std::decay_t<F>, std::decay_t<Args>...>::type;

/// A job is the shared state of its future, too.
template <class F, class... Args>
class pooled_call final : public future_state<typename pool_result<F, Args...>::type>, public pool_job, public in_task_memory {
  using returned = typename pool_result<F, Args...>::returned;
  static constexpr bool is_awaited = awaitable<returned>;

 public:
  template <class G, class... Ts>
  explicit pooled_call(pool_core& pool, G&& f, Ts&&... args)
      : pool_job(pool, pool.ctx(), is_awaited), parts_(std::in_place, std::forward<G>(f), std::forward<Ts>(args)...) {
    if constexpr (is_awaited) body_.emplace(run_coroutine(this));
  }

 private:
  /// Ends the job, also if its coroutine is destroyed before it has ended.
  class body_end {
   public:
    explicit body_end(pooled_call& job) noexcept : job_(&job) {}
    body_end(const body_end&) = delete;
    body_end& operator=(const body_end&) = delete;
    ~body_end() {
      if (job_ != nullptr) end(make_context_error(status::canceled, "runnel: a job of the pool will never end"), true);
    }
    void end(std::exception_ptr&& error, bool lost = false) noexcept {
      pooled_call& job = *std::exchange(job_, nullptr);
      job.parts_.reset();
      if (pool_core* const pool = job.pool())
        pool->end_coroutine(job, std::move(error), lost);
      else
        job.finish_job(std::move(error));
    }

   private:
    pooled_call* job_;
  };
  class going_on_at {
   public:
    explicit going_on_at(resume_place* place) noexcept : place_(place) {}
    [[nodiscard]] bool await_ready() const noexcept { return place_ == nullptr; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) const noexcept {
      h.promise().go_on_at(place_);
      return false;
    }
    void await_resume() const noexcept {}

   private:
    resume_place* place_;
  };

  returned invoke() {
    return std::apply(
        [this](auto&&... parts) -> returned {
          return pool_invoke<F, Args...>::call(ctx(), std::forward<decltype(parts)>(parts)...);
        },
        std::move(*parts_));
  }
  static task<> run_coroutine(pooled_call* self) {
    body_end ending(*self);
    co_await going_on_at(self->pool());
    std::exception_ptr error;
    try {
      if constexpr (std::is_void_v<typename answer_of<returned>::type>)
        co_await self->invoke();
      else
        self->set(co_await self->invoke());
    } catch (...) {
      error = std::current_exception();
    }
    ending.end(std::move(error));
  }

  std::exception_ptr call() noexcept override {
    std::exception_ptr error;
    if constexpr (!is_awaited) {
      try {
        const auto invoked = [this]() -> returned { return invoke(); };
        this->evaluate(invoked);
      } catch (...) {
        error = std::current_exception();
      }
    }
    parts_.reset();
    return error;
  }
  task<> take_body() noexcept override {
    task<> body = std::move(*body_);
    body_.reset();
    return body;
  }
  void drop_call() noexcept override {
    body_.reset();
    parts_.reset();
  }
  future_core& answer() noexcept override { return *this; }
  void prepare_wait(const waiter& who) noexcept override { prepare_wait_of(who); }
  void run_in_waiter() noexcept override { run_in_waiter_of_pool(); }

  std::optional<std::tuple<F, Args...>> parts_;
  std::optional<task<>> body_;
};
template <class F, class... Args>
using pooled_call_of = pooled_call<std::decay_t<F>, std::decay_t<Args>...>;

}  // namespace runnel::inline RUNNEL_ABI::detail
