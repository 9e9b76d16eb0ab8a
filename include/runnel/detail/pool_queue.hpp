// The jobs of a worker_pool that have not begun.
//
// 1. A job is put into the inbox by anybody, and goes from there into the queue, in order. Whoever takes one out runs it, once.
// 2. The queue is changed under the pool's lock; the inbox is emptied under it.
// 3. No job is forgotten: who puts one in looks for a free worker afterwards, who becomes free looks at the inbox afterwards; all four
//    are seq_cst.
#pragma once

#include <runnel/context.hpp>
#include <runnel/detail/future_core.hpp>
#include <runnel/detail/work_inbox.hpp>
#include <runnel/task.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

class pool_core;

/// A job: a call and the future for its answer, in one object, of which whoever runs it is one owner.
class pool_job : public work_item {
 public:
  /// Calls the function and destroys it. Returns: what it threw.
  virtual std::exception_ptr call() noexcept = 0;
  /// For a function that returns what is to be awaited: the coroutine that does so and then ends the job. Once.
  virtual task<> take_body() noexcept = 0;
  /// Destroys what would have been called.
  virtual void drop_call() noexcept = 0;
  virtual future_core& answer() noexcept = 0;

  [[nodiscard]] bool is_coroutine() const noexcept { return is_coroutine_; }
  /// Ends the job. Drops the owner that ran it.
  void finish_job(std::exception_ptr&& error) noexcept {
    future_core& core = answer();
    if (!core.shared()) return core.drop_unshared();  // nobody will ask for the answer
    core.finish(std::move(error));
    core.drop();
  }
  /// Ends a job that will never run.
  void fail_job(std::exception_ptr&& error) noexcept {
    drop_call();
    finish_job(std::move(error));
  }

 protected:
  pool_job(pool_core& pool, const context& ctx, bool is_coroutine) noexcept
      : work_item(&step), pool_(&pool), ctx_(&ctx), is_coroutine_(is_coroutine) {}
  ~pool_job() = default;

  [[nodiscard]] pool_core* pool() const noexcept { return handed_back_ ? nullptr : pool_; }
  [[nodiscard]] const context& ctx() const noexcept { return *ctx_; }
  void prepare_wait_of(const waiter& who) noexcept;
  void run_in_waiter_of_pool() noexcept;

 private:
  friend class pool_core;
  friend class pool_queue;
  friend struct handed_back_job;
  enum class role : std::uint8_t { in_turn, out_of_turn, beside };  // beside: in the place of a job that submitted it

  static void step(work_item& item, bool runs) noexcept;
  void set_taken() noexcept { waits_.store(0, relaxed); }  // [pool_job.waits] relaxed: a hint

  pool_core* const pool_;  // to be used only while the pool lives: in the queue, or while it runs
  const context* ctx_;
  atomic<std::uint32_t> waits_{1};  // it has not been taken. A hint, but under the lock.
  role role_ = role::in_turn;
  bool queued_ = false;       // in the queue, not in the inbox; under the lock
  bool handed_back_ = false;  // by shutdown()
  const bool is_coroutine_;
};

/// A job that its pool will not run any more, and its owner.
struct handed_back_job {
  static void run(pool_job& job, const context& ctx) {
    job.ctx_ = &ctx;
    if (job.is_coroutine())
      sync_wait(job.take_body());
    else
      job.finish_job(job.call());
  }
  void operator()(pool_job* job) const noexcept {
    job->fail_job(make_context_error(status::canceled, "runnel: the pool was shut down before the job has begun"));
  }
};
using handed_back_ptr = std::unique_ptr<pool_job, handed_back_job>;

/// Under the pool's lock, but for what the inbox allows anybody.
class pool_queue {
 public:
  explicit pool_queue(work_inbox& inbox) noexcept : inbox_(inbox) {}
  pool_queue(const pool_queue&) = delete;
  pool_queue& operator=(const pool_queue&) = delete;
  ~pool_queue() { RUNNEL_ASSERT(first_ == nullptr); }

  /// The oldest job, taken out. Null: there is none.
  pool_job* take_first() noexcept {
    if (first_ == nullptr) refill();
    if (first_ == nullptr) return nullptr;
    auto& job = static_cast<pool_job&>(*first_);
    unlink(job);
    return &job;
  }
  /// Takes this job out. False: somebody has.
  bool take(pool_job& job) noexcept {
    refill();
    if (!job.queued_) return false;
    unlink(job);
    return true;
  }
  /// How many there are.
  [[nodiscard]] std::size_t size() noexcept {
    refill();
    return size_;
  }

 private:
  void refill() noexcept {
    if (inbox_.looks_empty()) return;  // those who have to see a job look at the inbox themselves
    size_ += inbox_.move_to(first_, last_, [](work_item& item) noexcept { static_cast<pool_job&>(item).queued_ = true; });
  }
  void unlink(pool_job& job) noexcept {
    (&job == first_ ? first_ : job.previous->next) = job.next;
    (&job == last_ ? last_ : job.next->previous) = job.previous;
    if (first_ == nullptr) last_ = nullptr;
    --size_;
    job.queued_ = false;
    job.set_taken();
  }

  work_inbox& inbox_;
  work_item* first_ = nullptr;
  work_item* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
