// task: a coroutine that runs when it is awaited, or when a runtime, a group or sync_wait starts it.
#pragma once

#include <runnel/detail/scheduler.hpp>

#include <stdexcept>

namespace runnel::inline RUNNEL_ABI {

/// A lazy coroutine that answers a T. Move-only; it owns its frame.
///
/// States: made -> (co_await, go, sync_wait) running -> ended. It runs once; nothing runs before it is started. Awaiting it starts it in
/// the thread of whoever awaits it, which goes on when it has ended, with its value or its exception. Dropping one that was not started
/// destroys its frame. A frame is one allocation; if the coroutine's first parameters are std::allocator_arg and an allocator, it is made
/// with that. Depth: any number of awaits in a row, and any depth of nesting, take a bounded stack, whatever the compiler does.
/// `co_return v;` is for a T and what converts to one implicitly: `co_return 5;` does not make a vector of five.
/// Alignment: the answer has what its type asks for. What the compiler puts into the frame, parameters and locals, has it where the
/// compiler sees to that: g++ 12 does not, for types that ask for more than operator new gives. Keep such a local behind a pointer there.
/// Use this for work that waits: a task that waits costs its frame and no thread.
/// Thread safety: none; one owner. Lifetime: parameters by reference must outlive it, so take them by value where a task is started and
/// not awaited at once. Example: examples/task.cpp
template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    task old(std::move(*this));
    frame_ = std::exchange(other.frame_, nullptr);
    return *this;
  }
  ~task() {
    if (frame_ != nullptr) frame_.destroy();
  }

  /// Awaits its end. Throws: what it threw; std::logic_error if it is empty.
  [[nodiscard]] auto operator co_await() && {
    if (frame_ == nullptr) throw std::logic_error("runnel::task: awaited, and moved from before");
    return detail::task_awaiter<T>(std::exchange(frame_, nullptr));
  }

 private:
  friend struct detail::task_access;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {
inline task<void> task_promise<void>::get_return_object() noexcept { return task_access::make(*this); }

/// A thread that waits for the end of a task. In a function of a runtime it is told, too, when that is abandoned: the task goes on there.
class waiting_owner final : public task_owner {
 public:
  waiting_owner() noexcept : here_(scheduler::here_or_null()), waiter_(here_ != nullptr) {}
  void ended(task_promise_base& /*task*/) noexcept override {
    if (here_ == nullptr || waiter_.claim(by_end)) waiter_.resume();
  }
  void failed(std::exception_ptr thrown) noexcept override { error = std::move(thrown); }
  /// After its first step. False: it will never end, and nobody else has to do with it any more.
  bool wait_for_end() noexcept {
    if (here_ == nullptr || waiter_.is_claimed()) {
      waiter_.wait();
      return true;
    }
    wait_node node;
    node.owner = &waiter_;
    node.index = by_abandon;
    if (!here_->enter_wait(node) && waiter_.claim(by_abandon)) return false;
    waiter_.wait();
    here_->leave_wait(node);
    return waiter_.claimed_index() == by_end;
  }

 private:
  enum : std::uint32_t { by_end, by_abandon };

  scheduler* const here_;
  thread_waiter waiter_;
};

}  // namespace detail

/// Runs a task and waits for its end. Blocks: the thread, until then. Returns: what it answers. Throws: what it threw; context_error if the
/// runtime whose function this is has been abandoned, and the task waits: it is destroyed then.
/// It begins in this thread, and goes on at its places. Not for coroutines: they await it.
template <class T>
T sync_wait(task<T> work) {
  detail::task_access::refuse_empty(work, "sync_wait");
  const auto frame = detail::task_access::release(work);
  const detail::task_awaiter<T> owner(frame);
  detail::waiting_owner end;
  frame.promise().belong_to(end, nullptr);
  frame.resume();
  if (!end.wait_for_end())
    std::rethrow_exception(detail::make_context_error(status::canceled, "runnel::sync_wait: the task's runtime was abandoned"));
  end.rethrow_failure();
  return frame.promise().take();
}

}  // namespace runnel::inline RUNNEL_ABI
