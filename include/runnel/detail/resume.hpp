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

/// A coroutine that waits: who, and where it goes on.
class coroutine_waiter : public coroutine_wait_state {
 public:
  /// Says who waits; before anything is joined.
  template <class Promise>
  void wait_as(std::coroutine_handle<Promise> h) {
    handle_ = h;
    resume_place* const asked = detail::asked_place(h);
    place_ = asked != nullptr ? asked : &current_place();
  }
  /// Where a waiter goes on, if it is a coroutine; else null. Before it is queued, or by whoever claimed it.
  static resume_place* place_of(const waiter& w) noexcept;

 protected:
  using coroutine_wait_state::coroutine_wait_state;

  /// For a waiter that has been claimed, whose coroutine is being destroyed: returns when nobody will touch it any more.
  void take_back(work_item& item) noexcept {
    backoff pause;
    // [coroutine_waiter.state] acq_rel: the claimer has written its last, or its place has dropped it; begins_step sees the rest.
    for (std::uint8_t seen = posted; !state_.compare_exchange(seen, destroyed, acq_rel, acquire); seen = posted) {
      if (seen == released) return;
      pause.pause();
    }
    while (state_.load(acquire) != released && !place_->retract(item)) pause.pause();  // [coroutine_waiter.state] as above
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
  [[nodiscard]] resume_place& own_place() const noexcept { return *place_; }

 private:
  resume_place* place_ = nullptr;
  std::coroutine_handle<> handle_;
};

/// One that waits in one queue. Its node there is what its place runs.
class lone_coroutine final : public coroutine_waiter, public wait_node {
 public:
  lone_coroutine() noexcept : coroutine_waiter(&resume_one, false, suspended), wait_node(&step_of_one) { owner = this; }
  void take_back() noexcept { coroutine_waiter::take_back(*this); }

 private:
  friend class coroutine_waiter;
  static void resume_one(waiter& w) noexcept {
    auto& self = static_cast<lone_coroutine&>(w);
    resume_place& place = self.own_place();
    self.state_.store(posted, release);  // [coroutine_waiter.state] release: with take_back. Its place orders the rest.
    place.post(self);
  }
  static void step_of_one(work_item& item, bool runs) noexcept {
    auto& self = static_cast<lone_coroutine&>(item);
    if (self.begins_step(runs)) self.resume_coroutine();
  }
};

/// One that waits in several queues: `step` is what the place runs.
class plan_coroutine : public coroutine_waiter, public work_item {
 protected:
  explicit plan_coroutine(work_item::step_function step) noexcept
      : coroutine_waiter(&resume_several, true, joining), work_item(step) {}
  ~plan_coroutine() = default;

  void take_back() noexcept { coroutine_waiter::take_back(*this); }
  /// The same for a wait that may have to be begun again. Only when it is in no queue.
  void start_joining() noexcept {
    reopen();
    state_.store(joining, relaxed);  // relaxed: nobody else knows it yet
  }
  /// Goes through the queue of its place, joined to nothing: whoever destroys the coroutine meanwhile takes it back.
  void post_unjoined() noexcept {
    state_.store(posted, release);  // [coroutine_waiter.state] release: with take_back. Its place orders the rest.
    own_place().post(*this);
  }
  /// After the last join of several. False: it has been resumed already, and goes on at once.
  bool stays_suspended() noexcept {
    std::uint8_t seen = joining;
    // [coroutine_waiter.state] acq_rel: sees the outcome, or shows the frame to whoever resumes it.
    return state_.compare_exchange(seen, suspended, acq_rel, acquire);
  }

 private:
  friend class coroutine_waiter;
  static void resume_several(waiter& w) noexcept {
    auto& self = static_cast<plan_coroutine&>(w);
    resume_place& place = self.own_place();
    // [coroutine_waiter.state] acq_rel: whoever goes on sees what the claimer wrote, and the claimer the whole frame.
    if (self.state_.exchange(posted, acq_rel) == suspended) place.post(self);
  }
};

inline resume_place* coroutine_waiter::place_of(const waiter& w) noexcept {
  const bool is_coroutine = w.is_resumed_by(&lone_coroutine::resume_one) || w.is_resumed_by(&plan_coroutine::resume_several);
  return is_coroutine ? static_cast<const coroutine_waiter&>(w).place_ : nullptr;
}

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
