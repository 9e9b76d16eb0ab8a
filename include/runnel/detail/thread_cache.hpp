// The threads that everything runs on: whoever needs one takes it from here, and a thread that is done waits a while for the next use.
//
// 1. A task never waits for a thread: an idle one takes it, else a new one. Tasks that block on one another do not starve.
// 2. A thread is on the idle list, changed only under the lock, or belongs to whoever took it off: one task, one hand-over.
// 3. The last one to become idle is the first to be taken: its caches are warm, and the others grow old and end.
// 4. A task is destroyed before its thread is idle again, and under no lock.
// 5. Nothing of this is ever destroyed: the end of main abandons the threads, whatever they are doing.
#pragma once

#include <runnel/detail/task_memory.hpp>

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace runnel::inline RUNNEL_ABI::detail {

/// What a cached thread runs: `run` runs the task and destroys it.
struct thread_task {
  using run_function = void (*)(thread_task*) noexcept;
  explicit thread_task(run_function f) noexcept : run(f) {}
  run_function run;
};

template <class F>
struct callable_task final : thread_task {
  template <class... Args>
  explicit callable_task(Args&&... args) : thread_task(&run_and_delete), f(std::forward<Args>(args)...) {}

  // noexcept: what escapes from a task ends the process.
  static void run_and_delete(thread_task* self) noexcept {
    const std::unique_ptr<callable_task> owner(static_cast<callable_task*>(self));
    std::move(owner->f)();
  }
  F f;
};

class thread_cache {
 public:
  /// One thread, as those who hand tasks to it see it.
  class worker {
   public:
    worker() noexcept = default;

    /// Gives the thread its next task, or none: then it becomes idle again. The last access to the worker.
    void hand_over(thread_task* task) noexcept {
      task_ = task;
      // [worker.word] acq_rel: the thread sees the task, and all that was done before it was started.
      if (word_.exchange(handed, acq_rel) == parked) unpark(&word_, 1);
    }

   private:
    friend class thread_cache;
    enum : std::uint32_t { waiting, parked, handed };

    /// Waits for the hand-over. False: the deadline has passed first.
    bool wait(time_point deadline) noexcept {
      for (int i = 0; i < pauses_before_park; ++i) {
        if (word_.load(acquire) == handed) return true;  // [worker.word] acquire: the task is there
        spin_hint();
      }
      if (yield_until([this] { return word_.load(acquire) == handed; })) return true;  // [worker.word] as above
      std::uint32_t seen = waiting;
      // [worker.word] acquire on both sides: `handed` may be what is seen. Whose time has come before is parked already.
      if (!word_.compare_exchange(seen, parked, acquire, acquire) && seen == handed) return true;
      for (;;) {
        park(word_, parked, deadline);
        if (word_.load(acquire) == handed) return true;  // [worker.word] as above
        if (deadline != never && now() >= deadline) return false;
      }
    }
    thread_task* take() noexcept {
      word_.store(waiting, relaxed);  // relaxed: nobody else knows the worker until it is on the list, under the lock
      return std::exchange(task_, nullptr);
    }

    atomic<std::uint32_t> word_{waiting};
    bool idle_ = false;  // on the list; read and written under the lock
    thread_task* task_ = nullptr;
    worker* newer_ = nullptr;
    worker* older_ = nullptr;
  };

  static thread_cache& instance() { return immortal<thread_cache>(); }

  /// Returns: a thread that waits for a hand-over, which the caller owes it.
  /// Throws: std::system_error or std::bad_alloc if there is none.
  worker& acquire_worker() {
    if (worker* idle = take_idle()) return *idle;
    auto fresh = std::make_unique<worker>();
    start_thread([this, w = fresh.get()]() noexcept { run(w); });
    return *fresh.release();
  }

 private:
  static constexpr std::chrono::seconds idle_time{5};

  template <class T>
  friend T& immortal();
  thread_cache() noexcept = default;

  worker* take_idle() noexcept {
    const scoped_lock lock(mutex_);
    worker* const w = newest_;
    if (w != nullptr) unlink(*w);
    return w;
  }
  void link(worker& w) noexcept {
    RUNNEL_ASSERT(!w.idle_ && w.task_ == nullptr);
    w.idle_ = true;
    w.newer_ = nullptr;
    w.older_ = newest_;
    if (newest_ != nullptr) newest_->newer_ = &w;
    newest_ = &w;
  }
  void unlink(worker& w) noexcept {
    RUNNEL_ASSERT(w.idle_ && (w.newer_ != nullptr || newest_ == &w));
    w.idle_ = false;
    (w.newer_ == nullptr ? newest_ : w.newer_->older_) = w.older_;
    if (w.older_ != nullptr) w.older_->newer_ = w.newer_;
  }

  void run(worker* self) noexcept {
    const std::unique_ptr<worker> owner(self);
    const task_cache memory;
    self->wait(never);  // whoever started the thread is about to hand it a task
    for (;;) {
      if (thread_task* task = self->take()) task->run(task);
      {
        const scoped_lock lock(mutex_);
        link(*self);
      }
      if (self->wait(deadline())) continue;
      {
        const scoped_lock lock(mutex_);
        if (self->idle_) return unlink(*self);
      }
      self->wait(never);  // somebody has taken this thread and hands it a task
    }
  }
  static time_point deadline() noexcept { return now() + idle_time; }

  mutex mutex_;
  worker* newest_ = nullptr;
};

/// Runs a decayed copy of f on a cached thread. An exception that escapes from it ends the process.
/// Throws: std::bad_alloc; std::system_error if there is no thread: f is then as it was.
/// Synchronizes: all that was done before is visible to f.
template <class F>
void start_task(F&& f) {
  auto node = std::make_unique<callable_task<std::decay_t<F>>>(std::forward<F>(f));
  thread_cache::instance().acquire_worker().hand_over(node.release());
}

}  // namespace runnel::inline RUNNEL_ABI::detail
