// The tasks of a runtime that have begun and have not ended, and that nobody awaits.
#pragma once

#include <runnel/detail/task_promise.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// They are here so that somebody refers to their frames, and can destroy them.
class root_list final : public task_owner {
 public:
  using ended_function = void (*)(void* owner) noexcept;

  /// Each end is told to the owner.
  void set_owner(void* owner, ended_function told) noexcept {
    owner_ = owner;
    told_ = told;
  }
  /// Begins a task, which is destroyed when it has ended.
  void begin(task_promise_base& root, resume_place& place) {
    lock_.lock();
    root.previous = nullptr;
    root.next = std::exchange(first_, &root);
    if (root.next != nullptr) root.next->previous = &root;
    lock_.unlock(0);
    root.belong_to(*this, &place);
    frame_of(root).resume();
  }
  /// Of a task that nobody awaits: it answers nothing.
  static std::coroutine_handle<task_promise<void>> frame_of(task_promise_base& root) noexcept {
    return std::coroutine_handle<task_promise<void>>::from_promise(static_cast<task_promise<void>&>(root));
  }
  void ended(task_promise_base& root) noexcept override {
    destroy(root);
    told_(owner_);
  }
  // noexcept: what escapes from a task that nobody awaits ends the process.
  void failed(std::exception_ptr thrown) noexcept override { std::rethrow_exception(std::move(thrown)); }
  [[nodiscard]] bool empty() const noexcept {
    lock_.lock();
    const bool all_gone =
        first_ == nullptr && taken_out_ == destroyed_.load(seq_cst);  // [root_list.destroyed] seq_cst: after [scheduler.draining]
    lock_.unlock(0);
    return all_gone;
  }
  /// Destroys the one that has begun last, and that nobody can resume any more. One thread at a time calls this, or waits in the frame that
  /// it destroys. False: there is none.
  bool destroy_newest() noexcept {
    lock_.lock();
    work_item* const root = first_;
    lock_.unlock(0);
    if (root != nullptr) destroy(static_cast<task_promise_base&>(*root));
    return root != nullptr;
  }

 private:
  void destroy(task_promise_base& root) noexcept {
    lock_.lock();
    (root.previous == nullptr ? first_ : root.previous->next) = root.next;
    if (root.next != nullptr) root.next->previous = root.previous;
    ++taken_out_;
    lock_.unlock(0);
    frame_of(root).destroy();
    destroyed_.fetch_add(1, seq_cst);  // [root_list.destroyed] seq_cst: before the look at [scheduler.draining]; with empty
  }

  mutable flag_lock lock_;  // without flags: its unlock is a store
  work_item* first_ = nullptr;
  std::size_t taken_out_ = 0;         // to be destroyed; under the lock
  atomic<std::size_t> destroyed_{0};  // of these
  void* owner_ = nullptr;
  ended_function told_ = nullptr;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
