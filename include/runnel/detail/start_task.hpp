// How tasks are started on a scheduler: functions, and coroutines that nobody awaits.
#pragma once

#include <runnel/detail/scheduler.hpp>
#include <runnel/task.hpp>

#include <memory>

namespace runnel::inline RUNNEL_ABI::detail {

/// Room for a task that is about to be started: there is, or will be, a thread that runs it. Made before the task is, so that nothing
/// has been done if there is none.
class start_ticket {
 public:
  /// Throws: std::system_error or std::bad_alloc if nobody runs tasks and there is no thread to be had; std::logic_error if the
  /// runtime was shut down.
  explicit start_ticket(scheduler& s) : scheduler_(s), place_(s.reserve(worker_)) {}
  start_ticket(const start_ticket&) = delete;
  start_ticket& operator=(const start_ticket&) = delete;
  ~start_ticket() {
    if (worker_ != nullptr) worker_->hand_over(place_);  // whatever happens, the thread gets its hand-over
  }
  /// Starts the task, in the order of starts where it can be had.
  void start(work_item& item) noexcept { scheduler_.put(item, worker_ != nullptr); }

 private:
  scheduler& scheduler_;
  thread_cache::worker* worker_ = nullptr;
  thread_task* place_;
};

/// A function and the step that runs it. Dropped, it is destroyed without having run.
template <class F>
class function_task final : public work_item, public in_task_memory {
 public:
  template <class... Args>
  explicit function_task(Args&&... args) : work_item(&step), f_(std::forward<Args>(args)...) {}

 private:
  // noexcept: what escapes from a task ends the process.
  static void step(work_item& item, bool runs) noexcept {
    const std::unique_ptr<function_task> self(static_cast<function_task*>(&item));
    if (!runs) return;
    const scheduler::function_scope inside;
    std::move(self->f_)();
  }

  F f_;
};

/// Starts Task(args...)() as a task. One allocation. An exception that escapes from the task ends the process.
/// Throws: what the allocation and Task's constructor throw; std::system_error if nobody runs tasks and there is no thread to be had;
/// std::logic_error if the runtime was shut down: args are then as they were.
/// Synchronizes: all that was done before is visible to the task.
template <class Task, class... Args>
void emplace_task(scheduler& on, Args&&... args) {
  using node = function_task<Task>;
  const auto give_back = [](void* memory) { release_for_task(memory, sizeof(node), alignof(node)); };
  std::unique_ptr<void, decltype(give_back)> memory(allocate_for_task(sizeof(node), alignof(node)), give_back);
  start_ticket ticket(on);
  node* const made = ::new (memory.get()) node(std::forward<Args>(args)...);
  memory.release();
  ticket.start(*made);
}

/// The first step of a task that nobody awaits.
inline void begin_root(work_item& item, bool runs) noexcept {
  auto& root = static_cast<task_promise_base&>(item);
  root.leave_queue();
  if (!runs) return root_list::frame_of(root).destroy();
  scheduler& here = scheduler::current();
  here.roots().begin(root, here);
}
/// Starts a task that nobody awaits. An exception that escapes from it ends the process.
inline void start_root(start_ticket& ticket, task<>& work) noexcept {
  ticket.start(task_promise_base::as_root(task_access::release(work), &begin_root));
}
/// The same. Throws: as emplace_task; the task is as it was then.
inline void start_root(scheduler& on, task<>& work) {
  task_access::refuse_empty(work, "go");
  start_ticket ticket(on);
  start_root(ticket, work);
}

}  // namespace runnel::inline RUNNEL_ABI::detail
