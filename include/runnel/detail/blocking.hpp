// What a thread that runs tasks does about its place among them while it waits for something.
#pragma once

#include <runnel/detail/sync.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// A thread that runs tasks for a runtime. All members are called by this thread.
class task_thread {
 public:
  task_thread(const task_thread&) = delete;
  task_thread& operator=(const task_thread&) = delete;

  /// The thread is about to wait: others may run in its place.
  void begin_blocking() noexcept {
    if (depth_++ == 0) give_place_up();
  }
  /// It goes on, in a place if there is one.
  void end_blocking() noexcept {
    if (--depth_ == 0) take_place_again();
  }

 protected:
  task_thread() noexcept = default;
  ~task_thread() = default;

 private:
  virtual void give_place_up() noexcept = 0;
  virtual void take_place_again() noexcept = 0;

  unsigned depth_ = 0;
};

/// Gives the place of this thread up while it waits. Nothing on a thread that runs no tasks.
class blocking_scope {
 public:
  blocking_scope() noexcept : thread_(tasks_of_this_thread()) {
    if (thread_ != nullptr) thread_->begin_blocking();
  }
  blocking_scope(const blocking_scope&) = delete;
  blocking_scope& operator=(const blocking_scope&) = delete;
  ~blocking_scope() {
    if (thread_ != nullptr) thread_->end_blocking();
  }

 private:
  // Not inlined: a coroutine may be on another thread at each look, and compilers keep the address of what is thread-local.
  RUNNEL_NOINLINE static task_thread* tasks_of_this_thread() noexcept { return this_thread().tasks; }

  task_thread* thread_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
