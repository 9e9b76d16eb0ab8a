// The frame of a task: who is told of its end, what it answered, and how it is gone to and come back from.
//
// 1. A frame has one owner: the task object, then whoever awaits or started it. It is destroyed by its owner, suspended at its end or
//    before its start. What only its end needs is its owner's, not the frame's: many frames wait, and few end at a time.
// 2. The end of a task is told from its final suspension, when the frame may be destroyed at once: nothing of it is touched after that.
// 3. Going to a task and coming back are transfers: the stack does not grow where the compiler makes them jumps. Where it does not
//    (g++ without optimization, or with a sanitizer) the stack is bounded all the same: every `transfers_inline`-th goes through the
//    queue of the place.
// 4. A task goes on where whoever awaits it does: it inherits the place that its awaiter asked for.
#pragma once

#include <runnel/detail/resume.hpp>
#include <runnel/detail/task_memory.hpp>

#include <array>
#include <concepts>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace runnel::inline RUNNEL_ABI {

template <class T = void>
class task;

namespace detail {

class task_promise_base;

/// What a task's end needs, where the task is owned.
struct task_end {
  task_end() noexcept = default;
  task_end(const task_end&) = delete;
  task_end& operator=(const task_end&) = delete;
  ~task_end() = default;

  void rethrow_failure() {
    if (error != nullptr) std::rethrow_exception(std::exchange(error, nullptr));
  }

  std::coroutine_handle<> next;  // who goes on; null: it is a task_owner
  std::exception_ptr error;
};

/// Somebody who is not a coroutine and is told when a task has ended.
class task_owner : public task_end {
 public:
  /// Called under no lock, where the task ended. Its frame may be destroyed from here on.
  virtual void ended(task_promise_base& task) noexcept = 0;
  /// The task has thrown this, and is about to end.
  virtual void failed(std::exception_ptr thrown) noexcept = 0;

 protected:
  task_owner() noexcept = default;
  ~task_owner() = default;
};

/// Where frames come from: the memory of tasks, or an allocator that is given as the coroutine's first parameters, after
/// std::allocator_arg. Behind the frame stands how it is given back, and the allocator.
class task_frame_memory {
 public:
  static void* operator new(std::size_t size) {
    void* const frame = allocate_for_task(release_offset(size) + sizeof(release_function));
    release_of(frame, size) = [](void* memory, std::size_t n) noexcept {
      release_for_task(memory, release_offset(n) + sizeof(release_function));
    };
    return frame;
  }
  // Inlined: g++ 12 takes a template that allocates for a mismatch of what gives the memory back.
  template <class Allocator, class... Args>
  RUNNEL_ALWAYS_INLINE static void* operator new(std::size_t size, std::allocator_arg_t /*tag*/, const Allocator& allocator,
                                                 Args&... /*args*/) {
    return allocate(size, allocator);
  }
  template <class This, class Allocator, class... Args>  // a member function
  RUNNEL_ALWAYS_INLINE static void* operator new(std::size_t size, This& /*self*/, std::allocator_arg_t /*tag*/,
                                                 const Allocator& allocator, Args&... /*args*/) {
    return allocate(size, allocator);
  }
  static void operator delete(void* frame, std::size_t size) noexcept { release_of(frame, size)(frame, size); }

 private:
  using release_function = void (*)(void* frame, std::size_t size) noexcept;
  struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) block {
    std::byte bytes[__STDCPP_DEFAULT_NEW_ALIGNMENT__];
  };

  static std::size_t round_up(std::size_t size, std::size_t to) noexcept { return (size + to - 1) / to * to; }
  static std::size_t release_offset(std::size_t size) noexcept { return round_up(size, alignof(release_function)); }
  static release_function& release_of(void* frame, std::size_t size) noexcept {
    return *reinterpret_cast<release_function*>(static_cast<std::byte*>(frame) + release_offset(size));
  }
  template <class Allocator>
  static void* allocate(std::size_t size, const Allocator& allocator) {
    using blocks = typename std::allocator_traits<Allocator>::template rebind_alloc<block>;
    static_assert(alignof(blocks) <= alignof(block));
    const auto allocator_of = [](void* frame, std::size_t n) noexcept {
      const std::size_t offset = round_up(release_offset(n) + sizeof(release_function), alignof(blocks));
      return reinterpret_cast<blocks*>(static_cast<std::byte*>(frame) + offset);
    };
    const auto count = [](std::size_t n) noexcept {
      return (round_up(release_offset(n) + sizeof(release_function), alignof(blocks)) + sizeof(blocks)) / sizeof(block) + 1;
    };
    blocks source(allocator);
    void* const frame = std::allocator_traits<blocks>::allocate(source, count(size));
    std::construct_at(allocator_of(frame, size), std::move(source));
    release_of(frame, size) = [](void* memory, std::size_t n) noexcept {
      constexpr decltype(allocator_of) find{};
      constexpr decltype(count) blocks_of{};
      blocks* const kept = find(memory, n);
      blocks last(std::move(*kept));
      std::destroy_at(kept);
      std::allocator_traits<blocks>::deallocate(last, static_cast<block*>(memory), blocks_of(n));
    };
    return frame;
  }
};

inline constexpr unsigned transfers_inline = 64;

class task_promise_base : public work_item, public task_frame_memory {
  struct end_awaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) const noexcept {
      task_promise_base& self = h.promise();
      if (self.end_->next != nullptr) return self.transfer(self.end_->next, &step_to_next);
      static_cast<task_owner*>(self.end_)->ended(self);
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

 public:
  task_promise_base() noexcept : work_item(nullptr) {}
  ~task_promise_base() {
    if (step_ != nullptr) [[unlikely]]
      take_back();
  }

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] auto final_suspend() const noexcept { return end_awaiter{}; }
  void unhandled_exception() noexcept {
    if (end_->next != nullptr)
      end_->error = std::current_exception();
    else
      static_cast<task_owner*>(end_)->failed(std::current_exception());
  }
  /// Where the task goes on after it has waited, or null: where it runs.
  [[nodiscard]] runnel::resume_place* resume_place() const noexcept { return place_; }

  /// From its next wait on it goes on there, and what it awaits too.
  void go_on_at(runnel::resume_place* place) noexcept { place_ = place; }

  /// Starts the coroutine of this promise for one that waits for its end, which owns `end`. Returns: where to go.
  template <class Promise, class Awaiting>
  static std::coroutine_handle<> start(std::coroutine_handle<Promise> frame, task_end& end,
                                       std::coroutine_handle<Awaiting> awaiting) noexcept {
    end.next = awaiting;
    frame.promise().belong_to(end, detail::asked_place(awaiting));
    return frame.promise().transfer(frame, &step_to<Promise>);
  }

  // For a task that nobody awaits.

  /// Makes it a step that a place can run: the first one, by this function.
  template <class Promise>
  static task_promise_base& as_root(std::coroutine_handle<Promise> frame, step_function first_step) noexcept {
    frame.promise().step_ = first_step;
    return frame.promise();
  }
  /// By the first step: it is in no queue any more.
  void leave_queue() noexcept { step_ = nullptr; }
  /// Whose it is, before it begins.
  void belong_to(task_end& end, runnel::resume_place* place) noexcept {
    end_ = &end;
    place_ = place;
  }

 private:
  template <class Promise>
  static void step_to(work_item& item, bool runs) noexcept {
    static_cast<Promise&>(item).leave_queue();
    if (runs) std::coroutine_handle<Promise>::from_promise(static_cast<Promise&>(item)).resume();
  }
  static void step_to_next(work_item& item, bool runs) noexcept {
    auto& self = static_cast<task_promise_base&>(item);
    self.leave_queue();
    if (runs) self.end_->next.resume();
  }
  /// On its way through a queue: nobody resumes what is being destroyed.
  RUNNEL_NOINLINE void take_back() noexcept {
    for (backoff pause; step_ != nullptr && !place_->retract(*this); pause.pause()) {
    }
  }
  /// Goes to a coroutine: at once, or by a step through the queue of its place. Not inlined: as current_place().
  RUNNEL_NOINLINE std::coroutine_handle<> transfer(std::coroutine_handle<> to, step_function step) noexcept {
    return ++this_thread().transfers % transfers_inline != 0 ? to : transfer_by_queue(step);
  }
  RUNNEL_NOINLINE std::coroutine_handle<> transfer_by_queue(step_function step) noexcept {
    if (place_ == nullptr) place_ = &current_place();  // from here on: that is where it is found
    step_ = step;
    place_->post(*this);  // the frame may be gone now
    return std::noop_coroutine();
  }

  // step_ is not null while it is in a queue: that of place_, once it has begun.
  task_end* end_ = nullptr;                // once it has begun
  runnel::resume_place* place_ = nullptr;  // that of whoever awaits it, or began it
};

/// The answer of a task whose type asks for more alignment than frames have: aligned when the task runs, in storage that is large enough.
template <class T>
class aligned_answer {
 public:
  aligned_answer() noexcept = default;
  aligned_answer(const aligned_answer&) = delete;
  aligned_answer& operator=(const aligned_answer&) = delete;
  ~aligned_answer() { reset(); }

  template <class U>
  void emplace(U&& value) {
    reset();
    void* at = room_.data();
    std::size_t left = room_.size();
    value_ = ::new (std::align(alignof(T), sizeof(T), at, left)) T(std::forward<U>(value));
  }
  T& operator*() noexcept { return *value_; }

 private:
  void reset() noexcept {
    if (value_ != nullptr) std::destroy_at(std::exchange(value_, nullptr));
  }

  T* value_ = nullptr;
  std::array<std::byte, sizeof(T) + alignof(T) - 1> room_;
};
template <class T>
using task_answer_storage =
    std::conditional_t<(alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__), aligned_answer<T>, std::optional<T>>;

/// What a task of a T may return: what becomes one by itself, and any T.
template <class U, class T>
concept returned_as =
    std::convertible_to<U, T> || (std::same_as<std::remove_cvref_t<U>, std::remove_cv_t<T>> && std::constructible_from<T, U>);

template <class T>
class task_promise final : public task_promise_base {
 public:
  task<T> get_return_object() noexcept;
  template <class U = T>
    requires returned_as<U, T>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() { return std::move(*value_); }

 private:
  task_answer_storage<T> value_;
};
template <class T>
class task_promise<T&> final : public task_promise_base {
 public:
  task<T&> get_return_object() noexcept;
  void return_value(T& value) noexcept { value_ = std::addressof(value); }
  T& take() noexcept { return *value_; }

 private:
  T* value_ = nullptr;
};
template <>
class task_promise<void> final : public task_promise_base {
 public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

/// Owns a frame, starts it, and goes on when it has ended.
template <class T>
class task_awaiter {
 public:
  using handle = std::coroutine_handle<task_promise<T>>;

  explicit task_awaiter(handle frame) noexcept : frame_(frame) {}
  task_awaiter(const task_awaiter&) = delete;
  task_awaiter& operator=(const task_awaiter&) = delete;
  ~task_awaiter() { frame_.destroy(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    return task_promise_base::start(frame_, end_, awaiting);
  }
  T await_resume() {
    end_.rethrow_failure();
    return frame_.promise().take();
  }

 private:
  handle frame_;
  task_end end_;
};

struct task_access {
  template <class T>
  static void refuse_empty(const task<T>& t, const char* operation) {
    if (t.frame_ == nullptr) throw std::logic_error(std::string("runnel::") + operation + ": the task was moved from");
  }
  template <class T>
  static task<T> make(task_promise<T>& promise) noexcept {
    return task<T>(std::coroutine_handle<task_promise<T>>::from_promise(promise));
  }
  template <class T>
  static std::coroutine_handle<task_promise<T>> release(task<T>& t) noexcept {
    return std::exchange(t.frame_, nullptr);
  }
};

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  return task_access::make(*this);
}
template <class T>
task<T&> task_promise<T&>::get_return_object() noexcept {
  return task_access::make(*this);
}

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
