// rate_limiter: so many events a second, and a few at once.
#pragma once

#include <runnel/context.hpp>
#include <runnel/task.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI {

/// A bucket of tokens that fills at a steady rate, up to `burst`. Each event takes one, or several, and waits until they are there.
///
/// Use this to keep calls to something outside within a rate; use semaphore to limit how much is done at the same time. Who comes
/// first is served first: a call takes its tokens when it comes, also those that are not there yet, and then sleeps until they are.
/// There is no case for select: waiting in one would keep tokens from others for an event that may not happen. Reserve, and
/// choose on_deadline(r.at()); cancel() if another case was chosen.
/// It must outlive every call of its members, and its reservations.
/// Thread safety: all members. Cost: one lock and a look at the clock. Times are never early; a bucket is full at first.
/// Semantics: Go's golang.org/x/time/rate. Differs: a rate or a burst of zero, and a wait for more than the burst, are errors of the
/// program; tokens that are there win over a context that is done. Example: examples/rate_limiter.cpp
class rate_limiter {
 public:
  /// Tokens that were taken ahead of time. Dropping it keeps them taken. Move-only, so that they are given back once; one that was moved
  /// from has none.
  class reservation {
   public:
    reservation(reservation&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)), tokens_(other.tokens_), at_(std::exchange(other.at_, detail::never)) {}
    reservation& operator=(reservation&& other) noexcept {
      from_ = std::exchange(other.from_, nullptr);
      tokens_ = other.tokens_;
      at_ = std::exchange(other.at_, detail::never);
      return *this;
    }
    ~reservation() = default;
    /// Whether there is one: false if more were asked for than the burst.
    [[nodiscard]] bool ok() const noexcept { return from_ != nullptr; }
    /// When the event may happen; the end of time if it may not.
    [[nodiscard]] time_point at() const noexcept { return at_; }
    /// How long until then; zero if it may happen now, duration::max() if never.
    [[nodiscard]] duration delay() const noexcept {
      if (at_ == detail::never) return duration::max();
      return std::max(at_ - detail::now(), duration::zero());
    }
    /// Gives the tokens back, as far as nobody has reserved later ones because of them. Nothing once its time has passed, or the second
    /// time. Those who wait already keep their times. Blocks: never.
    void cancel() noexcept {
      if (from_ != nullptr) from_->give_back(*this);
      tokens_ = 0;
    }

   private:
    friend class rate_limiter;
    reservation() noexcept = default;
    reservation(rate_limiter* source, double tokens, time_point at) noexcept : from_(source), tokens_(tokens), at_(at) {}

    rate_limiter* from_ = nullptr;
    double tokens_ = 0;
    time_point at_ = detail::never;
  };

  /// An infinite rate lets everything through. Throws: std::invalid_argument for a rate that is not above zero, or if nothing could ever
  /// happen, with a burst of zero.
  rate_limiter(double per_second, std::size_t burst) : rate_(per_second), burst_(static_cast<double>(burst)), tokens_(burst_) {
    if (!(per_second > 0))
      throw std::invalid_argument("runnel::rate_limiter: a rate of " + std::to_string(per_second) +
                                  " a second; it must be above zero");
    if (burst == 0 && !unlimited())
      throw std::invalid_argument("runnel::rate_limiter: a burst of 0, with which nothing may happen");
  }
  rate_limiter(const rate_limiter&) = delete;
  rate_limiter& operator=(const rate_limiter&) = delete;

  /// Takes n tokens if they are there and nobody came before. Blocks: never.
  [[nodiscard]] bool allow(std::size_t n = 1) noexcept { return take(n, time_point::min()).ok(); }
  /// Takes n tokens, which may come later, and says when. Blocks: never.
  [[nodiscard]] reservation reserve(std::size_t n = 1) noexcept { return take(n, detail::never); }

  /// Takes n tokens and waits until they are there. Throws: std::logic_error for more than the burst: they never are.
  void wait(std::size_t n = 1) {
    refuse_more_than_burst("wait", n);
    sleep_until(take(n, detail::never).at());
  }
  /// The same, up to a limit. Returns: ok; canceled; or timed_out, at once, if the tokens would come after it: then none were taken. One
  /// that is canceled while it waits gives its tokens back, as reservation::cancel. What is there wins over a context that is done, which a
  /// loop looks at itself. Throws: as above.
  [[nodiscard]] result<void> wait(const context& ctx, std::size_t n = 1) {
    refuse_more_than_burst("wait", n);
    pending mine(take(n, latest(ctx)));
    if (!mine.ok()) return detail::sent(why_not(ctx));
    if (mine.is_due()) return mine.keep();
    const auto slept = sleep_until(ctx, mine.at());
    return slept ? mine.keep() : slept;
  }
  [[nodiscard]] result<void> try_wait(std::size_t n = 1) { return detail::sent(allow(n) ? status::ok : status::would_block); }
  template <class Rep, class Period>
  [[nodiscard]] result<void> try_wait_for(std::chrono::duration<Rep, Period> d, std::size_t n = 1) {
    return wait_until("try_wait_for", detail::deadline_after(d), n);
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<void> try_wait_until(std::chrono::time_point<Clock, Duration> at, std::size_t n = 1) {
    return wait_until("try_wait_until", detail::deadline_at(at), n);
  }
  /// For coroutines: `co_await limit.async_wait()`. As the forms without async_; one that is destroyed while it waits gives its tokens
  /// back. Cost: a frame.
  template <class = void>
  [[nodiscard]] task<> async_wait(std::size_t n = 1) {
    refuse_more_than_burst("async_wait", n);
    return wait_as_coroutine(*this, n);
  }
  template <class = void>
  [[nodiscard]] task<result<void>> async_wait(const context& ctx, std::size_t n = 1) {
    refuse_more_than_burst("async_wait", n);
    return wait_as_coroutine(ctx, *this, n);
  }

 private:
  /// The reservation of somebody who waits for it: given back unless it is kept.
  class pending {
   public:
    explicit pending(reservation&& r) noexcept : reservation_(std::move(r)) {}
    pending(const pending&) = delete;
    pending& operator=(const pending&) = delete;
    ~pending() { reservation_.cancel(); }
    [[nodiscard]] bool ok() const noexcept { return reservation_.ok(); }
    [[nodiscard]] time_point at() const noexcept { return reservation_.at(); }
    [[nodiscard]] bool is_due() const noexcept { return reservation_.delay() == duration::zero(); }
    result<void> keep() noexcept {
      reservation_.from_ = nullptr;
      return detail::sent(status::ok);
    }

   private:
    reservation reservation_;
  };

  [[nodiscard]] bool unlimited() const noexcept { return std::isinf(rate_); }
  void refuse_more_than_burst(const char* operation, std::size_t n) const {
    if (static_cast<double>(n) > burst_ && !unlimited())
      throw std::logic_error(std::string("runnel::rate_limiter::") + operation + ": " + std::to_string(n) +
                             " tokens, more than the burst: they would never be there");
  }

  /// Until when who waits with this context would wait.
  static time_point latest(const context& ctx) noexcept {
    return ctx.done() ? time_point::min() : ctx.deadline().value_or(detail::never);
  }
  static status why_not(const context& ctx) noexcept {
    return ctx.err() == status::canceled ? status::canceled : status::timed_out;
  }

  result<void> wait_until(const char* operation, time_point deadline, std::size_t n) {
    refuse_more_than_burst(operation, n);
    const reservation mine = take(n, deadline);
    if (!mine.ok()) return detail::sent(status::timed_out);
    sleep_until(mine.at());
    return detail::sent(status::ok);
  }
  template <class = void>  // g++ compiles a coroutine that is no template in every file
  static task<> wait_as_coroutine(rate_limiter& source, std::size_t n) {
    pending mine(source.take(n, detail::never));
    if (!mine.is_due()) co_await async_sleep_until(mine.at());
    mine.keep();
  }
  template <class = void>
  static task<result<void>> wait_as_coroutine(context ctx, rate_limiter& source, std::size_t n) {
    pending mine(source.take(n, latest(ctx)));
    if (!mine.ok()) co_return detail::sent(why_not(ctx));
    if (mine.is_due()) co_return mine.keep();
    const auto slept = co_await async_sleep_until(ctx, mine.at());
    if (slept) mine.keep();
    co_return slept;
  }

  /// How long so many tokens take. What is less than a thousandth of a tick comes of rounding.
  [[nodiscard]] duration time_for(double tokens) const noexcept {
    const double ticks = std::ceil(tokens / rate_ * duration::period::den / duration::period::num - 0.001);
    if (ticks >= static_cast<double>(duration::max().count())) return duration::max();
    return duration(static_cast<duration::rep>(std::max(ticks, 0.0)));
  }
  [[nodiscard]] double tokens_of(duration d) const noexcept { return std::chrono::duration<double>(d).count() * rate_; }

  /// Fills the bucket with what has come until now. Under the lock.
  void advance(time_point now) noexcept {
    if (now <= last_) return;
    // The first look at the clock finds the bucket full.
    tokens_ = last_ == time_point::min() ? burst_ : std::min(burst_, tokens_ + tokens_of(now - last_));
    last_ = now;
  }
  /// Takes n tokens, if they are there now or at the latest at this time.
  reservation take(std::size_t n, time_point latest) noexcept {
    const auto tokens = static_cast<double>(n);
    if (unlimited()) return {this, 0, detail::now()};
    if (tokens > burst_) return {};
    const detail::scoped_lock lock(mutex_);
    const time_point now = detail::now();  // under the lock, so that times are in the order of calls
    advance(now);
    const double left = tokens_ - tokens;
    const duration ahead = left < 0 ? time_for(-left) : duration::zero();
    const time_point at = detail::saturating_add(now, ahead);
    if (ahead > duration::zero() && at > latest) return {};
    tokens_ = left;
    last_event_ = at;
    return {this, tokens, at};
  }
  void give_back(const reservation& r) noexcept {
    if (r.tokens_ == 0) return;
    const detail::scoped_lock lock(mutex_);
    const time_point now = detail::now();
    if (r.at_ < now) return;
    // Tokens for later events were promised at times that count on these: they stay taken.
    const double restored = r.tokens_ - tokens_of(last_event_ - r.at_);
    if (restored <= 0) return;
    advance(now);
    tokens_ = std::min(burst_, tokens_ + restored);
    if (r.at_ != last_event_) return;
    if (const time_point before = r.at_ - time_for(r.tokens_); before >= now) last_event_ = before;
  }

  const double rate_;
  const double burst_;
  detail::mutex mutex_;
  double tokens_;  // below zero: taken ahead
  time_point last_ = time_point::min();
  time_point last_event_ = time_point::min();
};

}  // namespace runnel::inline RUNNEL_ABI
