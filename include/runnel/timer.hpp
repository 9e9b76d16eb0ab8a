// Timers: channels that carry the time at which they were due, and functions that start at a time. Go's package time.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/detail/tick_source.hpp>

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI {

/// A channel that carries one value, the time at which it was due, and is closed then.
///
/// Effects: zero and below are due at once; duration::max() never is. When the last receiver is dropped, the timer is gone at
/// once, memory and all. One timer thread, which the first that needs it starts, serves all timers.
/// Use this for a limit on one wait of a select; on_timeout and the try_x_for forms need no channel; use timer to stop or reset it.
/// Throws: std::bad_alloc; std::system_error if there is no thread for timers. Semantics: Go's time.After. Differs: it closes.
template <class Rep, class Period>
[[nodiscard]] recv_channel<time_point> after(std::chrono::duration<Rep, Period> d) {
  return detail::single_tick::make(detail::saturate(d));
}

/// One thing that happens after a while, unless it is stopped: a value in a channel, or a function that runs.
///
/// States: waiting -> (due) -> idle -> (reset) waiting; stop() makes it idle. The value is the time at which it was due, and
/// stays on offer until it is received. Neither copied nor moved. Destroying it stops it, closes its channel, and waits for an f
/// that runs, unless it is f that destroys it; an f that resets it meanwhile resets nothing.
/// Thread safety: all members, from any number of threads. Example: examples/timer.cpp
/// Semantics: Go's time.Timer since 1.23, NewTimer and AfterFunc.
class timer {
 public:
  /// Zero and below are due at once; duration::max() never is.
  /// Throws: std::bad_alloc; std::system_error if there is no thread for timers.
  template <class Rep, class Period>
  explicit timer(std::chrono::duration<Rep, Period> d) : ticks_(std::in_place) {
    start(detail::saturate(d));
  }
  /// Runs f() when it is due, elsewhere; after a reset, again, and then perhaps beside a run before. An exception that
  /// escapes from f ends the process. Throws: as above, and what copying f throws.
  template <class Rep, class Period, class F>
    requires detail::plain_function<std::decay_t<F>&>
  timer(std::chrono::duration<Rep, Period> d, F&& f)
      : function_(new detail::timed_function_of<std::decay_t<F>>(std::forward<F>(f))) {
    start(detail::saturate(d));  // f may use this timer from here on
  }
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer() {
    if (function_ == nullptr) return;
    {
      const detail::scoped_lock lock(mutex_);
      function_->retire();
    }
    function_->wait();
  }

  /// The channel of the value; nil for a timer with a function.
  [[nodiscard]] recv_channel<time_point> channel() const noexcept {
    return ticks_ ? ticks_->channel() : recv_channel<time_point>();
  }

  /// Returns: true if the value was not yet received, or f not yet started: now it never will be. False if it has, or was stopped.
  /// Blocks: never for long; does not wait for an f that runs.
  bool stop() noexcept {
    const detail::scoped_lock lock(mutex_);
    return stop_locked();
  }
  /// Stops it, and starts it anew. Returns: as stop(). Throws: std::system_error if there is no thread for timers.
  template <class Rep, class Period>
  bool reset(std::chrono::duration<Rep, Period> d) {
    const detail::scoped_lock lock(mutex_);
    const bool stopped = stop_locked();
    start(detail::saturate(d));
    return stopped;
  }

 private:
  bool stop_locked() noexcept { return ticks_ ? ticks_->stop() : function_->stop(); }
  void start(duration d) {
    if (!ticks_) return function_->start(d);
    const time_point at = detail::saturating_add(detail::now(), std::max(d, duration::zero()));
    ticks_->start(at, duration::zero(), missed::skip);
  }

  detail::mutex mutex_;  // one stop or reset at a time
  std::optional<detail::tick_source> ticks_;
  std::unique_ptr<detail::timed_function, detail::background_release> function_;  // in its place
};

/// A channel that carries a value each period: the times at which they were due.
///
/// A tick waits for its receiver, and the next ones for it: none is buffered. What becomes of those that were due meanwhile is
/// said by `missed`. Neither copied nor moved. Destroying it closes the channel.
/// Thread safety: all members, from any number of threads. Example: examples/timer.cpp
/// Semantics: Go's time.Ticker. Differs: destroying it closes the channel; `missed` (Go: skip) is as in Tokio's Interval.
class ticker {
 public:
  /// The first tick is due a period from now. Throws: std::invalid_argument if the period is not above zero; std::bad_alloc;
  /// std::system_error if there is no thread for timers.
  template <class Rep, class Period>
  explicit ticker(std::chrono::duration<Rep, Period> period, missed late = missed::skip) : late_(late) {
    start(checked(detail::saturate(period), "ticker"));
  }
  ticker(const ticker&) = delete;
  ticker& operator=(const ticker&) = delete;

  [[nodiscard]] recv_channel<time_point> channel() const noexcept { return ticks_.channel(); }

  /// Ticks with this period from now on, also after stop(). No tick of before is received any more.
  /// Throws: std::invalid_argument if the period is not above zero: then it ticks on as before.
  template <class Rep, class Period>
  void reset(std::chrono::duration<Rep, Period> period) {
    const duration length = checked(detail::saturate(period), "ticker::reset");
    const detail::scoped_lock lock(mutex_);
    ticks_.stop();
    start(length);
  }
  /// No tick is received any more, until a reset. The channel stays open.
  void stop() noexcept {
    const detail::scoped_lock lock(mutex_);
    ticks_.stop();
  }

 private:
  static duration checked(duration period, const char* operation) {
    if (period > duration::zero()) return period;
    throw std::invalid_argument(std::string("runnel::") + operation + ": a period of " + std::to_string(period.count()) +
                                " ns; it must be above zero");
  }
  void start(duration period) { ticks_.start(detail::saturating_add(detail::now(), period), period, late_); }

  detail::mutex mutex_;  // one stop or reset at a time
  missed late_;
  detail::tick_source ticks_;
};

}  // namespace runnel::inline RUNNEL_ABI
