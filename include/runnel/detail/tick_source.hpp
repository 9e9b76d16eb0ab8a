// What makes timers tick: a value that is offered in a channel when it is due, and a function that starts when it is due.
//
// 1. A tick_source is idle, waiting (its entry is armed, or its time is `never`), or offered (its node is queued to send, or has
//    been taken and is about to be resumed). The phase changes under the lock.
// 2. Its channel has no buffer: an offer that is withdrawn was not received and never will be.
// 3. Whoever receives an offer runs taken(), which makes the next one wait; the timer thread offers, or start() itself.
// 4. stop() returns when no callback and no taken() is running, and none will. start() and stop() are called one at a time.
// 5. A `single_tick` belongs to whoever takes its node off the channel's queue: the timer when it is due, the channel when its last
//    receiver has gone.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/detail/background_function.hpp>
#include <runnel/detail/time.hpp>
#include <runnel/detail/timer_queue.hpp>

#include <functional>
#include <memory>

namespace runnel::inline RUNNEL_ABI {

/// What a ticker does about a tick that is received after the next one was due.
enum class missed {
  skip,   ///< the ticks that were missed are left out; the next is due where it would have been
  burst,  ///< none is left out: they follow one upon another until it has caught up
  delay   ///< the next is due a period after the late one was received, and the others after it
};

namespace detail {

class tick_source final : private timer_entry, private waiter {
 public:
  tick_source() : timer_entry(&due), waiter(&taken, false), ends_(make_channel<time_point>()) {
    node_.owner = this;
    node_.value = &due_;
  }
  ~tick_source() { stop(); }

  [[nodiscard]] const recv_channel<time_point>& channel() const noexcept { return ends_.recv; }

  /// Offers a value when it is due, before it returns if that is now, and, with a period, others after it. Only when idle.
  /// Throws: std::system_error if there is no thread for timers: then it stays idle.
  void start(time_point first, duration period, missed late) {
    const bool at_once = first <= now();
    if (first != never && (!at_once || period != duration::zero())) timer_queue::instance().start();
    scoped_lock lock(mutex_);
    RUNNEL_ASSERT(phase_ == phase::idle);
    due_ = first;
    period_ = period;
    late_ = late;
    stopped_ = false;
    if (!at_once) return wait_for_due();
    phase_ = phase::offered;
    lock.unlock();
    core().join_senders(node_);
  }
  /// Makes it idle. True: a value was still to come.
  bool stop() noexcept {
    scoped_lock lock(mutex_);
    stopped_ = true;
    lock.unlock();
    timer_queue::instance().cancel(*this);
    lock.lock(mutex_);
    backoff wait;
    while (phase_ == phase::offered) {
      if (core().leave_senders(node_)) {
        phase_ = phase::waiting;  // it was not received: as if it had not been due
        break;
      }
      lock.unlock();  // it has been received: taken() is on its way
      wait.pause();
      lock.lock(mutex_);
    }
    return std::exchange(phase_, phase::idle) == phase::waiting;
  }

 private:
  enum class phase : std::uint8_t { idle, waiting, offered };

  [[nodiscard]] channel_core<time_point>& core() const noexcept { return *channel_access::core(ends_.send); }

  /// Under the lock.
  void wait_for_due() noexcept {
    phase_ = phase::waiting;
    timer_queue::instance().arm(*this, due_);
  }

  static void due(timer_entry& entry) noexcept {
    auto& self = static_cast<tick_source&>(entry);
    {
      const scoped_lock lock(self.mutex_);
      if (self.stopped_) return;
      self.phase_ = phase::offered;
    }
    self.core().join_senders(self.node_);  // under no lock: a receiver may be waiting, and runs taken()
  }

  static void taken(waiter& w) noexcept {
    auto& self = static_cast<tick_source&>(w);
    const scoped_lock lock(self.mutex_);  // dropping it is the last access
    self.phase_ = phase::idle;
    if (self.period_ == duration::zero()) return;
    self.due_ = self.next_due();
    if (self.stopped_) return;
    self.wait_for_due();
  }
  [[nodiscard]] time_point next_due() const noexcept {
    const time_point on_time = saturating_add(due_, period_);
    if (late_ == missed::burst) return on_time;
    const time_point received = now();
    if (received < on_time) return on_time;
    if (late_ == missed::delay) return saturating_add(received, period_);
    return saturating_add(received, period_ - (received - due_) % period_);
  }

  mutex mutex_;
  phase phase_ = phase::idle;
  bool stopped_ = true;
  missed late_ = missed::skip;
  duration period_{};
  time_point due_;
  wait_node node_;
  channel_ends<time_point> ends_;
};

/// The one value of after(). Until it is due its node is the first of those queued to receive, and receives nothing: so it
/// learns when the last receiver has gone, and takes itself off the timer queue.
class single_tick final : private timer_entry, private waiter {
 public:
  static recv_channel<time_point> make(duration d) {
    channel_ends<time_point> ends = make_channel<time_point>(1);
    if (d <= duration::zero()) {
      static_cast<void>(ends.send.try_send(now()));
      return std::move(ends.recv);
    }
    const time_point at = saturating_add(now(), d);
    if (at != never) timer_queue::instance().start();
    auto* const tick = new single_tick(std::move(ends.send), at);
    tick->core().join_receivers(tick->node_);
    timer_queue::instance().arm(*tick, at);
    return std::move(ends.recv);
  }

 private:
  single_tick(send_channel<time_point> send, time_point at) noexcept
      : timer_entry(&due), waiter(&receivers_gone, false), at_(at), send_(std::move(send)) {
    node_.owner = this;
    node_.value = &nothing_;
  }

  [[nodiscard]] channel_core<time_point>& core() const noexcept { return *channel_access::core(send_); }

  static void due(timer_entry& entry) noexcept {
    auto* const self = static_cast<single_tick*>(&entry);
    if (!self->core().leave_receivers(self->node_)) return;  // its receivers have gone: receivers_gone() waits for this
    const std::unique_ptr<single_tick> owner(self);
    static_cast<void>(self->send_.try_send(self->at_));  // and then closes, as the last that can send goes
  }
  static void receivers_gone(waiter& w) noexcept {
    const std::unique_ptr<single_tick> owner(static_cast<single_tick*>(&w));
    timer_queue::instance().cancel(*owner);
  }

  friend std::default_delete<single_tick>;
  ~single_tick() = default;

  time_point at_;
  time_point nothing_;
  wait_node node_;
  send_channel<time_point> send_;
};

/// A function that starts when it is due. Destroyed when its owner has dropped it and no run is under way.
/// One call at a time: its owner has a lock for that.
class timed_function : public background_function, private timer_entry {
 public:
  /// Throws: std::system_error if there is no thread for timers, or for a run that is due now: then it stays stopped. Only when stopped.
  void start(duration d) {
    if (retired_) return;
    if (d <= duration::zero()) return start_run();
    const time_point at = saturating_add(now(), d);
    if (at != never) timer_queue::instance().start();
    unlimited_ = at == never;
    timer_queue::instance().arm(*this, at);
  }
  /// True: a start was still to come.
  bool stop() noexcept { return timer_queue::instance().cancel(*this) || std::exchange(unlimited_, false); }
  /// Stops it for good: a run that is under way may still try to start it anew.
  void retire() noexcept {
    retired_ = true;
    stop();
  }

 protected:
  timed_function() noexcept : timer_entry(&due) {}

 private:
  static constexpr std::chrono::milliseconds thread_wait{10};

  static void due(timer_entry& entry) noexcept {
    auto& self = static_cast<timed_function&>(entry);
    try {
      self.start_run();
    } catch (...) {
      // No thread to be had: a while later. Run here it would hold up every timer, and could wait for itself in stop().
      timer_queue::instance().arm(self, saturating_add(now(), thread_wait));
    }
  }

  bool unlimited_ = false;  // waits for ever: on no heap
  bool retired_ = false;
};

template <class F>
class timed_function_of final : public timed_function {
 public:
  template <class G>
  explicit timed_function_of(G&& f) : f_(std::forward<G>(f)) {}

 private:
  void call() override { std::invoke(f_); }
  F f_;
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
