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
    {
      const scoped_lock lock(mutex_);
      root.previous = nullptr;
      root.next = std::exchange(first_, &root);
      if (root.next != nullptr) root.next->previous = &root;
    }
    root.begin(*this, &place);
  }
  // noexcept: what escapes from a task that nobody awaits ends the process.
  void ended(task_promise_base& root) noexcept override {
    root.rethrow_failure();
    destroy(root);
    told_(owner_);
  }
  [[nodiscard]] bool empty() const noexcept {
    const scoped_lock lock(mutex_);
    return first_ == nullptr && being_destroyed_ == 0;
  }
  /// Destroys all that are here, and that nobody can resume any more.
  void destroy_all() noexcept {
    for (;;) {
      mutex_.lock();
      work_item* const root = first_;
      mutex_.unlock();
      if (root == nullptr) return;
      destroy(static_cast<task_promise_base&>(*root));
    }
  }

 private:
  void destroy(task_promise_base& root) noexcept {
    {
      const scoped_lock lock(mutex_);
      (root.previous == nullptr ? first_ : root.previous->next) = root.next;
      if (root.next != nullptr) root.next->previous = root.previous;
      ++being_destroyed_;
    }
    root.destroy_frame();
    const scoped_lock lock(mutex_);
    --being_destroyed_;
  }

  mutable mutex mutex_;
  work_item* first_ = nullptr;
  std::size_t being_destroyed_ = 0;
  void* owner_ = nullptr;
  ended_function told_ = nullptr;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
