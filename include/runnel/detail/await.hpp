// What a coroutine awaits: one event, alone or until a context is done, or the first of several. Nothing here spins.
//
// An event that has happened is taken at once, and the coroutine goes on. So that one whose events always have happened does not keep its
// place from others, it goes through the queue of its place after a while, if others wait there: see longest_turn.
#pragma once

#include <runnel/detail/scheduler.hpp>
#include <runnel/detail/select_engine.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// For a coroutine that need not wait: what it awaits has happened. Whether it lets others go first.
RUNNEL_LOOK_AT_THREAD bool gives_turn() noexcept { return --this_thread().operations_left == 0 && scheduler::turn_is_over(); }

/// Waits for one event that is alone in its wait. Derived classes add await_resume(), which calls finish() first.
template <class Event>
class event_awaiter {
 public:
  event_awaiter(const event_awaiter&) = delete;
  event_awaiter& operator=(const event_awaiter&) = delete;

  RUNNEL_ALWAYS_INLINE bool await_ready() { return is_ready() && goes_on(); }
  /// await_ready() without a thought for others.
  RUNNEL_ALWAYS_INLINE bool is_ready() { return event_.try_now() == attempt::done; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> h) {
    std::construct_at(&self_);
    self_.wait_as(h);
    if (stage_ == happened) {
      stage_ = posted;
      return self_.resume();  // behind the others; the frame may be gone now
    }
    stage_ = joined;
    if constexpr (noexcept(event_.join(self_))) {
      event_.join(self_);  // the frame may be gone now
    } else {
      try {
        event_.join(self_);  // likewise
      } catch (...) {
        stage_ = idle;
        std::destroy_at(&self_);
        throw;
      }
    }
  }

 protected:
  template <class... Args>
  explicit event_awaiter(Args&&... args) : event_(std::forward<Args>(args)...) {}
  ~event_awaiter() { destroy_waiting(); }
  /// For a wait that need not be one. False: the coroutine lets others go first.
  RUNNEL_ALWAYS_INLINE bool goes_on() noexcept {
    if (!gives_turn()) [[likely]]
      return true;
    stage_ = happened;
    return false;
  }
  /// For a coroutine that is destroyed: ends the wait. True: the event has happened.
  bool destroy_waiting() noexcept {
    if (stage_ < joined) return false;
    const bool has_happened = stage_ == posted || !event_.leave(self_);
    if (has_happened) self_.take_back();
    end_waiting(has_happened);
    return has_happened;
  }
  /// Takes over the outcome.
  Event& finish() noexcept {
    if (stage_ >= joined) end_waiting(true);
    return event_;
  }
  [[nodiscard]] Event& event() noexcept { return event_; }

 private:
  /// From `joined` on it waits: for the event, or, posted with what has happened already, for its turn.
  enum stage : std::uint8_t { idle, happened, joined, posted };

  void end_waiting(bool has_happened) noexcept {
    if (std::exchange(stage_, idle) == joined && has_happened) event_.finish(self_);
    std::destroy_at(&self_);
  }

  [[no_unique_address]] Event event_;
  stage stage_ = idle;
  union {
    lone_coroutine self_;  // while it waits
  };
};

/// Waits for the first of the events of a plan. Derived classes fill in the plan before await_ready(), and destroy_waiting() in their
/// destructors, while their events live.
class plan_awaiter : private plan_coroutine {
 public:
  plan_awaiter(const plan_awaiter&) = delete;
  plan_awaiter& operator=(const plan_awaiter&) = delete;

  bool await_ready() { return is_ready() && goes_on(); }
  /// await_ready() without a thought for others.
  bool is_ready() {
    if (plan_.stop != nullptr) plan_.stop->try_now();  // arms its deadline: nobody else waits for that here
    return engine_.start();
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    wait_as(h);
    waits_ = true;
    if (has_happened_) {
      post_unjoined();  // behind the others; the frame may be gone now
      return true;
    }
    try {
      return wait_round();
    } catch (...) {
      waits_ = false;  // what it had joined it has left
      throw;
    }
  }

 protected:
  plan_awaiter() noexcept : plan_coroutine(&go_on) {}
  ~plan_awaiter() { RUNNEL_ASSERT(!waits_); }  // whoever derives from it has called destroy_waiting()
  /// For a wait that need not be one. False: the coroutine lets others go first.
  bool goes_on() noexcept { return !(has_happened_ = gives_turn()); }
  /// For a coroutine that is destroyed, before what it waits for is: ends the wait. Returns: the case that has happened, or select_none.
  std::size_t destroy_waiting() noexcept {
    if (!std::exchange(waits_, false)) return select_none;
    if (has_happened_) {
      take_back();
      return engine_.outcome().index;
    }
    const bool too_late = !claim(select_engine::timeout_node);
    if (too_late) take_back();
    leave();
    if (!too_late || claimed_index() >= select_engine::stop_node) return select_none;
    select_entry& entry = plan_.entries[claimed_index()];
    return entry.event->finish(entry.node) ? claimed_index() : select_none;
  }
  [[nodiscard]] select_plan& plan() noexcept { return plan_; }
  /// How it ended. Throws: what trying the events once more has thrown.
  const select_outcome& finish() {
    waits_ = false;
    if (error_ != nullptr) std::rethrow_exception(std::move(error_));
    return engine_.outcome();
  }

 private:
  class timeout final : private timer_entry {
   public:
    timeout() noexcept : timer_entry(&due) {}
    /// Throws: std::system_error if there is no thread for timers.
    void prepare(waiter& owner) {
      owner_ = &owner;
      timer_queue::instance().start();
    }
    void arm(time_point at) noexcept {
      armed_ = true;
      timer_queue::instance().arm(*this, at);
    }
    void cancel() noexcept {
      if (std::exchange(armed_, false)) timer_queue::instance().cancel(*this);
    }

   private:
    static void due(timer_entry& entry) noexcept {
      waiter& owner = *static_cast<timeout&>(entry).owner_;
      if (owner.claim(select_engine::timeout_node)) owner.resume();
    }
    waiter* owner_ = nullptr;
    bool armed_ = false;
  };

  /// Joins, again and again, until it waits (true) or it has ended (false).
  bool wait_round() {
    for (;;) {
      start_joining();
      const time_point until = std::min(plan_.timeout, plan_.limit);
      const bool is_timed = !engine_.at_once() && until != never;
      if (is_timed) timeout_.prepare(*this);
      engine_.join_all(*this);
      if (is_timed && !is_claimed()) timeout_.arm(until);  // after all are joined: what is ready wins
      if (!engine_.at_once() || !claim(select_engine::timeout_node))
        if (stays_suspended()) return true;  // the frame may be gone now
      if (conclude() || engine_.start()) return false;
    }
  }
  bool conclude() {
    leave();
    return engine_.conclude(claimed_index());
  }
  void leave() noexcept {
    timeout_.cancel();
    engine_.leave_all();
  }
  static void go_on(work_item& item, bool runs) noexcept {
    auto& self = static_cast<plan_awaiter&>(static_cast<plan_coroutine&>(item));
    if (!self.begins_step(runs)) return;
    bool ended = true;
    try {
      ended = self.has_happened_ || self.conclude() || self.engine_.start() || !self.wait_round();
    } catch (...) {
      self.error_ = std::current_exception();
    }
    if (ended) self.resume_coroutine();
  }

  select_plan plan_;
  select_engine engine_{plan_};
  timeout timeout_;
  bool waits_ = false;
  bool has_happened_ = false;  // before it was joined, which it was not then
  std::exception_ptr error_;
};

/// Waits for one event until a context is done.
template <class Event>
class limited_awaiter : public plan_awaiter {
 protected:
  template <class... Args>
  explicit limited_awaiter(const context& ctx, Args&&... args) : event_(std::forward<Args>(args)...), stop_(ctx) {
    entry_.event = &event_;
    plan().entries = std::span(&entry_, 1);
    plan().stop = &stop_;
    plan().needs_hope = false;
  }
  ~limited_awaiter() { destroy_waiting(); }
  bool destroy_waiting() noexcept { return plan_awaiter::destroy_waiting() != select_none; }
  /// ok if the event has happened, else how the context ended.
  status finish() { return plan_awaiter::finish().why; }
  [[nodiscard]] Event& event() noexcept { return event_; }

 private:
  Event event_;
  done_event stop_;
  select_entry entry_;
};

/// Waits for one event. Answers nothing, or, with a context, how it ended.
template <class Event>
class happening_awaiter final : public event_awaiter<Event> {
 public:
  template <class... Args>
  explicit happening_awaiter(Args&&... args) : event_awaiter<Event>(std::forward<Args>(args)...) {}
  void await_resume() noexcept { this->finish(); }
};
template <class Event>
class limited_happening_awaiter final : public limited_awaiter<Event> {
 public:
  template <class... Args>
  explicit limited_happening_awaiter(const context& ctx, Args&&... args)
      : limited_awaiter<Event>(ctx, std::forward<Args>(args)...) {}
  [[nodiscard]] result<void> await_resume() { return sent(this->finish()); }
};

}  // namespace runnel::inline RUNNEL_ABI::detail
