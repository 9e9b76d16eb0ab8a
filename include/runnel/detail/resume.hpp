// How a coroutine waits and goes on: the waiter of a coroutine, and the places where coroutines are resumed.
//
// 1. A coroutine is resumed at its place, by post(), never inside the call that completes what it waits for.
// 2. The outcome is written before the waiter is resumed; after the last join of a wait await_suspend does not touch the frame: the
//    coroutine may run on, or be gone.
// 3. A wait that joins several queues is resumed only once all are joined: until then its state says `joining`.
// 4. A coroutine that is destroyed while it waits leaves its queue. One that has been claimed has got what it waited for: it waits until
//    it has been posted, and takes itself back from its place. Nobody destroys a coroutine while it can be resumed elsewhere.
#pragma once

#include <runnel/detail/waiter.hpp>

#include <coroutine>

namespace runnel::inline RUNNEL_ABI {

/// One step of work for a place: a coroutine that goes on, or a task that begins. It is part of what it belongs to.
/// Whoever is given one calls run() or drop(), once for each post; it may be gone then.
class work_item {
 public:
  work_item(const work_item&) = delete;
  work_item& operator=(const work_item&) = delete;

  /// Goes on with what it belongs to. Blocks: as long as that does. Under no lock.
  void run() noexcept { step_(*this, true); }
  /// Says that it will never be run, for a place that ends.
  void drop() noexcept { step_(*this, false); }

  work_item* next = nullptr;      ///< for the place that has it
  work_item* previous = nullptr;  ///< likewise

 protected:
  using step_function = void (*)(work_item& self, bool runs) noexcept;
  explicit work_item(step_function step) noexcept : step_(step) {}
  ~work_item() = default;

  step_function step_;
};

/// Where coroutines go on after they have waited: the one customization point for executors.
///
/// A coroutine goes on at the place that its promise answers from `resume_place()`, a pointer, if it has that and it is not null; else on
/// the runtime whose task it is part of; else on the global runtime. A task goes on where whoever awaits it does.
/// Thread safety: post from any thread. Example: examples/resume_place.cpp
class resume_place {
 public:
  resume_place(const resume_place&) = delete;
  resume_place& operator=(const resume_place&) = delete;

  /// Runs the item soon, once, and not inside this call. Blocks: never.
  virtual void post(work_item& item) noexcept = 0;
  /// Takes back an item that was posted and has not begun. False: it is not here (yet), or will be run or dropped.
  virtual bool retract(work_item& item) noexcept = 0;

 protected:
  resume_place() noexcept = default;
  ~resume_place() = default;
};

namespace detail {

/// The place of whatever runs on this thread: its runtime, or the global one. Not inlined: a coroutine may be on another thread at each
/// look, and compilers keep the address of what is thread-local across a suspension. Defined with the runtime.
resume_place& current_place();

/// The place that a promise asks for, or null.
template <class Promise>
resume_place* asked_place(std::coroutine_handle<Promise> h) noexcept {
  if constexpr (requires {
                  { h.promise().resume_place() } -> std::convertible_to<runnel::resume_place*>;
                })
    return h.promise().resume_place();
  else
    return nullptr;
}

/// How far the wait of a coroutine has come: a class of its own, so that it takes a byte that the waiter leaves.
class coroutine_wait_state : public waiter {
 protected:
  enum stage : std::uint8_t { joining, suspended, posted, running, destroyed, released };

  coroutine_wait_state(resume_function how, bool several, stage first) noexcept : waiter(how, several), state_(first) {}
  ~coroutine_wait_state() = default;

  atomic<std::uint8_t> state_;
};

/// A coroutine that waits.
class coroutine_waiter : public coroutine_wait_state, public work_item {
 public:
  /// For a wait in one queue.
  coroutine_waiter() noexcept : coroutine_wait_state(&resume_one, false, suspended), work_item(&step_of_one) {}

  /// Says who waits; before anything is joined.
  template <class Promise>
  void wait_as(std::coroutine_handle<Promise> h) {
    handle_ = h;
    resume_place* const asked = asked_place(h);
    place_ = asked != nullptr ? asked : &current_place();
  }
  /// Where a waiter goes on, if it is a coroutine; else null. Before it is queued, or by whoever claimed it.
  static resume_place* place_of(const waiter& w) noexcept {
    const bool is_coroutine = w.is_resumed_by(&resume_one) || w.is_resumed_by(&resume_several);
    return is_coroutine ? static_cast<const coroutine_waiter&>(w).place_ : nullptr;
  }
  /// For a waiter that has been claimed, whose coroutine is being destroyed: returns when nobody will touch it any more.
  void take_back() noexcept {
    backoff pause;
    // [coroutine_waiter.state] acq_rel: the claimer has written its last, or its place has dropped it; begins_step sees the rest.
    for (std::uint8_t seen = posted; !state_.compare_exchange(seen, destroyed, acq_rel, acquire); seen = posted) {
      if (seen == released) return;
      pause.pause();
    }
    while (state_.load(acquire) != released && !place_->retract(*this)) pause.pause();  // [coroutine_waiter.state] as above
  }

 protected:
  /// For a wait in several queues: `step` is what the place runs.
  explicit coroutine_waiter(work_item::step_function step) noexcept
      : coroutine_wait_state(&resume_several, true, joining), work_item(step) {}

  /// The same for a wait that may have to be begun again. Only when it is in no queue.
  void start_joining() noexcept {
    reopen();
    state_.store(joining, relaxed);  // relaxed: nobody else knows it yet
  }
  /// After the last join of several. False: it has been resumed already, and goes on at once.
  bool stays_suspended() noexcept {
    std::uint8_t seen = joining;
    // [coroutine_waiter.state] acq_rel: sees the outcome, or shows the frame to whoever resumes it.
    return state_.compare_exchange(seen, suspended, acq_rel, acquire);
  }
  /// For the step of a place. Whether the coroutine goes on; false: it is being destroyed, and this object is not to be touched any more.
  bool begins_step(bool runs) noexcept {
    // No exchange: nobody destroys a coroutine while it can be resumed elsewhere (4).
    // [coroutine_waiter.state] acquire, release: with take_back
    const bool goes_on = runs && state_.load(acquire) != destroyed;
    state_.store(goes_on ? running : released, release);
    return goes_on;
  }
  void resume_coroutine() const { handle_.resume(); }

 private:
  static void resume_one(waiter& w) noexcept {
    auto& self = static_cast<coroutine_waiter&>(w);
    resume_place* const place = self.place_;
    self.state_.store(posted, release);  // [coroutine_waiter.state] release: with take_back. Its place orders the rest.
    place->post(self);
  }
  static void resume_several(waiter& w) noexcept {
    auto& self = static_cast<coroutine_waiter&>(w);
    resume_place* const place = self.place_;
    // [coroutine_waiter.state] acq_rel: whoever goes on sees what the claimer wrote, and the claimer the whole frame.
    if (self.state_.exchange(posted, acq_rel) == suspended) place->post(self);
  }
  static void step_of_one(work_item& item, bool runs) noexcept {
    auto& self = static_cast<coroutine_waiter&>(item);
    if (self.begins_step(runs)) self.handle_.resume();
  }

  resume_place* place_ = nullptr;
  std::coroutine_handle<> handle_;
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
