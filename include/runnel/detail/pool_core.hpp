// What a worker_pool, its jobs and those who wait for it share.
//
// 1. A job has a place from before it is put in until it has ended and its call is destroyed, before its future is ready.
// 2. A job that is taken in its turn has a slot, which goes to the next one when it ends; there are as many as workers. A job that
//    another one of the pool waits for runs at once, in the slot of that one.
// 3. No job is forgotten: who puts one in looks for a free slot afterwards, who gives a slot up looks for news afterwards; all seq_cst.
// 4. Jobs and handlers run, contexts are looked at and futures made ready under no lock.
// 5. The unlock after a slot was given up is the last access of its job to the pool.
#pragma once

#include <runnel/detail/group_scope.hpp>
#include <runnel/detail/pool_places.hpp>
#include <runnel/detail/pool_queue.hpp>
#include <runnel/detail/start_task.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

class pool_core final : public resume_place, public pool_places {
 public:
  using handler_function = std::function<void(std::exception_ptr)>;

  pool_core(const context& ctx, std::size_t workers, std::size_t queue, scheduler& on, handler_function handler)
      : pool_places(ctx, std::min(workers, most) + std::min(queue, most)),
        workers_(workers),
        on_(on),
        handler_(std::move(handler)) {}
  ~pool_core() { RUNNEL_ASSERT(rest_.empty() && inbox_.looks_empty()); }

  [[nodiscard]] scheduler& on() const noexcept { return on_; }
  /// Whether there is a slot for one more job.
  [[nodiscard]] bool has_slot() const noexcept {
    return running_.load(seq_cst) < workers_;
  }  // [pool.running] seq_cst: after the push (3)
  /// Whether this thread runs a function of the pool.
  [[nodiscard]] bool is_inside() const noexcept { return group_scope::is_inside(this); }
  void refuse_inside(bool inside, const char* operation) const {
    if (inside)
      throw std::logic_error(std::string("runnel::worker_pool::") + operation +
                             ": called by a job of the pool, which would wait for itself");
  }

  // The coroutines of jobs go on here: so that what waits can be told to be a job's.

  void post(work_item& item) noexcept override { on_.post(item); }
  bool retract(work_item& item) noexcept override { return on_.retract(item); }

  // Those who come for a place.

  /// Takes one if there is one, and nobody waits for it.
  admission try_enter() noexcept { return unless_ended(try_take()); }

  /// Says that a call waits for room, which is to have left before the pool goes, until this is destroyed.
  class caller_pin {
   public:
    explicit caller_pin(pool_core& pool) noexcept : pool_(pool) {
      const scoped_lock lock(pool_.mutex_);
      ++pool_.callers_;
    }
    caller_pin(const caller_pin&) = delete;
    caller_pin& operator=(const caller_pin&) = delete;
    ~caller_pin() {
      wake_list wakes;
      {
        const scoped_lock lock(pool_.mutex_);
        --pool_.callers_;
        pool_.wake_rested(wakes);
      }
      wakes.resume_all();
    }

   private:
    pool_core& pool_;
  };
  /// Waits for a place where there was none. `ctx` may be null.
  admission wait_for_place(std::optional<caller_pin>& pin, const context* ctx, time_point deadline) {
    if (deadline == time_point::min()) return admission::timed_out;
    if (is_inside()) return admission::here;
    pin.emplace(*this);
    room_event room(*this);
    const status s = ctx == nullptr ? wait_event(room, deadline) : wait_event(*ctx, room);
    return unless_ended(admitted(s == status::ok ? room.outcome() : s));
  }
  template <class = void>  // g++ compiles a coroutine that is no template in every file
  task<admission> async_wait_for_place(std::optional<caller_pin>& pin, const context* ctx) {
    const bool is_job = co_await is_coroutine_of(this);
    if (is_job) co_return admission::here;
    pin.emplace(*this);
    status s = status::ok;
    if (ctx == nullptr)
      s = co_await room_awaiter(*this);
    else
      s = co_await limited_room_awaiter(*ctx, *this);
    co_return unless_ended(admitted(s));
  }
  [[nodiscard]] std::size_t callers() const noexcept {
    const scoped_lock lock(mutex_);
    return callers_;
  }
  /// Gives back the place of a job that could not be made.
  void abandon_place() noexcept {
    leave_place();
    tell_rest();
  }
  /// No place is given any more.
  void close() noexcept {
    forbid();
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      turn_away(wakes, status::closed);
    }
    wakes.resume_all();
  }

  // Jobs.

  /// Puts in a job that has a place. A ticket that was given is used if it begins now. The job may be gone then.
  void add(pool_job& job, std::optional<start_ticket>& ticket) noexcept {
    inbox_.push(job);
    if (!has_slot() && (alerts_.load(seq_cst) & ended) == 0) return;  // [pool.alerts] seq_cst: with end_by_context
    pool_job* next = nullptr;
    wake_list wakes;
    scoped_lock lock(mutex_);
    const bool fails = (alerts_.load(relaxed) & ended) != 0;  // relaxed: under the lock
    if (!stopped_ && !fails && running_.load(relaxed) < workers_) {
      next = queue_.take_first();
      if (next != nullptr) running_.fetch_add(1, seq_cst);  // [pool.running] seq_cst: as in next_of
    }
    if (stopped_) wake_rested(wakes);
    lock.unlock();
    wakes.resume_all();
    if (fails) fail_all();
    if (next == nullptr) return;
    if (ticket)
      ticket->start(*next);
    else
      on_.post(*next);
  }
  /// Runs a function, that will have a future, in the slot of the job that calls this.
  void run_beside(pool_job& job) noexcept { run(job, false); }
  /// Starts a job in the slot of the one that submits it, and waits for it.
  void start_beside(pool_job& job) noexcept {
    job.role_ = pool_job::role::beside;
    job.set_taken();
    {
      const scoped_lock lock(mutex_);
      ++extras_;
    }
    on_.post(job);
  }
  /// Starts a job that another one of the pool waits for, unless it has been taken.
  void start_awaited(pool_job& job) noexcept {
    {
      const scoped_lock lock(mutex_);
      if (!queue_.take(job)) return;
      job.role_ = pool_job::role::out_of_turn;
      ++extras_;
    }
    on_.post(job);
  }
  /// Runs a function that a function of the pool waits for, unless it has been taken.
  void run_awaited(pool_job& job) noexcept {
    {
      const scoped_lock lock(mutex_);
      if (!queue_.take(job)) return;
    }
    run(job, true);
  }
  /// A step of the runtime that begins with this job.
  void run_from(pool_job& first, bool runs) noexcept {
    if (!runs) return lose(first);
    pool_job* const coroutine = run_functions(&first);
    if (coroutine == nullptr) return;
    task<> body = coroutine->take_body();
    const group_scope inside(this);  // up to its first wait, for those of its calls that block
    task_promise_base::as_root(task_access::release(body), &begin_root).run();
  }
  /// The end of a coroutine, or its loss.
  void end_coroutine(pool_job& job, std::exception_ptr&& error, bool lost) noexcept {
    const pool_job::role role = job.role_;
    scheduler& on = on_;
    end(job, std::move(error), role != pool_job::role::beside, !lost);
    pool_job* const next = next_of(role);
    if (next == nullptr) return;
    if (lost)
      lose(*next);
    else
      on.post(*next);
  }

  // The end.

  enum class rest : std::uint8_t { drained, stopped, unused };

  /// The event that nothing of the pool is left (drained), that nothing runs (stopped), or that nobody is in it either (unused).
  class rest_event final : public selectable {
   public:
    rest_event(pool_core& pool, rest what) noexcept : pool_(&pool), what_(what) {}
    attempt try_now() override {
      const scoped_lock lock(pool_->mutex_);
      return pool_->is_at(what_) ? attempt::done : attempt::not_yet;
    }
    void join(wait_node& node) override {
      node.value = &what_;
      {
        const scoped_lock lock(pool_->mutex_);
        if (!pool_->is_at(what_)) return pool_->rest_.push(node);
      }
      if (!claim(node)) return;
      node.outcome = status::ok;
      node.owner->resume();
    }
    bool leave(wait_node& node) noexcept override {
      const scoped_lock lock(pool_->mutex_);
      if (!node.queued) return false;
      pool_->rest_.remove(node);
      return true;
    }
    bool finish(wait_node&) noexcept override { return true; }

   private:
    pool_core* pool_;
    rest what_;
  };

  status wait_for(rest what, time_point deadline) {
    rest_event event(*this, what);
    return wait_event(event, deadline);
  }
  /// Lets nothing begin any more, but what a job that runs waits for.
  void halt() noexcept {
    const scoped_lock lock(mutex_);
    stopped_ = true;
  }
  /// Takes out what has not begun, once nothing runs any more: until then what runs may wait for it, and so begin it.
  /// Throws: std::bad_alloc.
  std::vector<handed_back_ptr> stop() {
    halt();
    wait_for(rest::stopped, never);
    std::vector<handed_back_ptr> jobs;
    scoped_lock lock(mutex_);
    for (std::size_t waiting = queue_.size(); jobs.capacity() < waiting; waiting = queue_.size()) {
      lock.unlock();
      jobs.reserve(waiting);
      lock.lock(mutex_);
    }
    while (pool_job* const job = queue_.take_first()) {
      job->handed_back_ = true;
      jobs.emplace_back(job);
    }
    give_back(jobs.size());
    lock.unlock();
    tell_rest();
    return jobs;
  }
  /// The pool's context is done: what has not begun fails, and nobody waits for room.
  void end_by_context() noexcept {
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      alerts_.fetch_or(ended, seq_cst);  // [pool.alerts] seq_cst: a job that is put in later is seen, or sees it
      turn_away(wakes, status::would_block);
    }
    wakes.resume_all();
    fail_all();
  }

  /// For await: whether the coroutine is part of a job of this pool.
  class is_coroutine_of {
   public:
    explicit is_coroutine_of(const pool_core* pool) noexcept : pool_(pool) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
      inside_ = detail::asked_place(h) == pool_;
      return false;
    }
    [[nodiscard]] bool await_resume() const noexcept { return inside_; }

   private:
    const pool_core* pool_;
    bool inside_ = false;
  };

 private:
  static constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 8;
  static constexpr unsigned jobs_in_step = 16;  // before others have their turn at this place

  /// Gives a place back if the context is done, for which alone it may have been free.
  admission unless_ended(admission now) noexcept {
    if ((now != admission::place && now != admission::full) || !ctx().done()) return now;
    if (now == admission::place) abandon_place();
    return admission::ended;
  }

  // Under the lock.

  void wake_rested(wake_list& wakes) noexcept {
    for (wait_node* node = rest_.front(); node != nullptr;) {
      wait_node* const next = node->behind();
      if (is_at(*static_cast<const rest*>(node->value))) {
        rest_.remove(*node);
        if (claim(*node)) {
          node->outcome = status::ok;
          wakes.add(*node);
        }
      }
      node = next;
    }
  }
  void tell_rest() noexcept {
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      wake_rested(wakes);
    }
    wakes.resume_all();
  }

  [[nodiscard]] bool is_at(rest what) noexcept {
    if (running_.load(relaxed) != 0 || extras_ != 0) return false;  // relaxed: under the lock
    const std::size_t waiting = queue_.size();
    if (taken() != waiting) return false;  // a call has a place and is about to put its job in
    return what == rest::stopped || (waiting == 0 && (what == rest::drained || callers_ == 0));
  }

  // Running.

  /// The next job for the slot of one that has ended and had this role. Null: there is no slot any more, and the pool may be gone.
  pool_job* next_of(pool_job::role role) noexcept {
    wake_list wakes;
    scoped_lock lock(mutex_);
    if (role != pool_job::role::in_turn) {
      --extras_;
    } else if (!stopped_) {
      for (;;) {
        if (pool_job* const job = queue_.take_first()) return job;
        running_.fetch_sub(1, seq_cst);  // [pool.running] seq_cst: before the look for news (3)
        if (inbox_.empty()) break;
        running_.fetch_add(1, seq_cst);
      }
    } else {
      running_.fetch_sub(1, seq_cst);
    }
    wake_rested(wakes);
    lock.unlock();
    wakes.resume_all();
    return nullptr;
  }
  /// Runs functions, one after another. Returns: a coroutine that is to begin in the slot, or null, and the pool may be gone.
  pool_job* run_functions(pool_job* job) noexcept {
    if (begins_coroutine(*job)) return job;
    const scheduler::function_scope function;
    const group_scope inside(this);
    std::optional<blocking_scope> beside;
    if (workers_ > on_.places()) beside.emplace();  // more than fit into its runtime: each has a thread, and may block in anything
    for (unsigned n = 1; job != nullptr && !begins_coroutine(*job); ++n) {
      const pool_job::role role = job->role_;
      run(*job, role != pool_job::role::beside);
      job = next_of(role);
      if (job != nullptr && n % jobs_in_step == 0 && on_.give_way(*job)) return nullptr;
    }
    return job;
  }
  [[nodiscard]] bool begins_coroutine(const pool_job& job) const noexcept { return job.is_coroutine() && !ctx().done(); }
  void run(pool_job& job, bool has_place) noexcept {
    if (!ctx().done()) return end(job, job.call(), has_place, true);
    job.drop_call();
    end(job, ctx().cause(), has_place, false);
  }
  /// `threw`: the error, if there is one, is what the job threw.
  void end(pool_job& job, std::exception_ptr&& error, bool has_place, bool threw) noexcept {
    if (has_place) leave_place();
    if (threw && error != nullptr && handler_ && !job.answer().shared()) handler_(std::exchange(error, nullptr));
    job.finish_job(std::move(error));
  }
  void fail_all() noexcept {
    for (;;) {
      pool_job* job = nullptr;
      {
        const scoped_lock lock(mutex_);
        job = queue_.take_first();
        if (job != nullptr) ++extras_;
      }
      if (job == nullptr) return;
      job->drop_call();
      end(*job, ctx().cause(), true, false);
      next_of(pool_job::role::out_of_turn);
    }
  }
  /// The runtime is gone: this job and all that are queued will never run.
  void lose(pool_job& first) noexcept {
    for (pool_job* job = &first; job != nullptr;) {
      const pool_job::role role = job->role_;
      job->drop_call();
      end(*job, make_context_error(status::canceled, "runnel: a job of the pool will never run"), role != pool_job::role::beside,
          false);
      job = next_of(role);
    }
  }

  // Beside the lock: what each job changes under it.
  pool_queue queue_{inbox_};
  std::size_t extras_ = 0;  // jobs that run, or fail, without a slot
  bool stopped_ = false;
  alignas(cache_line) work_inbox inbox_;
  // Read by each job, and changed seldom.
  alignas(cache_line) atomic<std::size_t> running_{0};  // slots; changed under the lock
  const std::size_t workers_;
  scheduler& on_;
  const handler_function handler_;
  std::size_t callers_ = 0;
  wait_queue rest_;
};

inline void pool_job::step(work_item& item, bool runs) noexcept {
  auto& job = static_cast<pool_job&>(item);
  job.pool_->run_from(job, runs);
}
// [pool_job.waits] relaxed: a hint. The pool is used only if this thread, or coroutine, is part of a job of it that runs.
inline void pool_job::prepare_wait_of(const waiter& who) noexcept {
  if (waits_.load(relaxed) == 0) return;
  if (group_scope::is_inside(pool_) || coroutine_waiter::place_of(who) == pool_) pool_->start_awaited(*this);
}
inline void pool_job::run_in_waiter_of_pool() noexcept {
  // [pool_job.waits] relaxed: as above
  if (waits_.load(relaxed) != 0 && !is_coroutine_ && group_scope::is_inside(pool_)) pool_->run_awaited(*this);
}

}  // namespace runnel::inline RUNNEL_ABI::detail
