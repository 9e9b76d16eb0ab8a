// semaphore: permits that are acquired by weight, first come, first served.
#pragma once

#include <runnel/detail/await.hpp>
#include <runnel/detail/select_cases.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI {
class semaphore;

namespace detail {

/// The event that so many permits have been acquired.
class semaphore_event final : public selectable {
 public:
  semaphore_event(semaphore& from, std::int64_t permits) noexcept : from_(&from), permits_(permits) {}
  // inline here already: as in detail/cancel_tree.hpp
  inline attempt try_now() override;
  inline void join(wait_node& node) override;
  inline bool leave(wait_node& node) noexcept override;
  bool finish(wait_node&) noexcept override { return true; }
  /// Gives back what has been acquired for nobody.
  void give_back() noexcept;

 private:
  semaphore* from_;
  std::int64_t permits_;
};

template <bool Limited>
class acquire_awaiter;
template <class F>
struct acquire_case;

}  // namespace detail

/// A number of permits. acquire() takes some and waits while there are too few; release() gives them back.
///
/// Use this to limit how much of something is done at once, where tasks need more or less of it; use errgroup's limit if each task
/// takes one from its beginning to its end, and guarded if there is one of what they share. First come, first served: a call that
/// waits for many permits is not overtaken by those that need few, and while anybody waits the try_ forms take none either.
/// It must outlive every call of its members and those who hold permits.
/// Thread safety: all members. Cost: without waiting one exchange; a wait allocates nothing.
/// Synchronizes: each release() happens before the return of every acquire() that its permits go to.
/// Semantics: Go's golang.org/x/sync/semaphore. Differs: misuse throws std::logic_error; waits may be limited in any form, and be
/// cases of a select. Example: examples/semaphore.cpp
class semaphore {
 public:
  /// Throws: std::invalid_argument for less than none, or more than 2^61.
  explicit semaphore(std::int64_t permits) : permits_(checked("semaphore", permits)), word_(permits * one) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore() { RUNNEL_ASSERT(waiters_.empty()); }

  /// Takes n permits. Blocks: until they are there, and everybody who came before has theirs.
  /// Throws: std::logic_error if there never were so many, std::invalid_argument for less than none.
  void acquire(std::int64_t n = 1) {
    refuse_more_than_all("acquire", n);
    if (take_if_nobody_waits(n)) return;
    detail::semaphore_event event(*this, n);
    detail::wait_event_after_try(event, detail::never);
  }
  /// The same, up to a limit. Returns: ok, or why not; then none were taken. What is there wins over a limit that has passed. More than
  /// all permits are waited for until the limit, and block nobody. Throws: std::invalid_argument for less than none.
  [[nodiscard]] result<void> acquire(const context& ctx, std::int64_t n = 1) {
    detail::semaphore_event event(*this, checked("acquire", n));
    return detail::sent(detail::wait_event(ctx, event));
  }
  [[nodiscard]] bool try_acquire(std::int64_t n = 1) { return checked("try_acquire", n) <= permits_ && take_if_nobody_waits(n); }
  template <class Rep, class Period>
  [[nodiscard]] result<void> try_acquire_for(std::chrono::duration<Rep, Period> d, std::int64_t n = 1) {
    return acquire_until("try_acquire_for", detail::deadline_after(d), n);
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<void> try_acquire_until(std::chrono::time_point<Clock, Duration> at, std::int64_t n = 1) {
    return acquire_until("try_acquire_until", detail::deadline_at(at), n);
  }
  /// For coroutines: `co_await permits.async_acquire()`. As the forms without async_. One that is destroyed has acquired nothing.
  [[nodiscard]] detail::acquire_awaiter<false> async_acquire(std::int64_t n = 1);
  [[nodiscard]] detail::acquire_awaiter<true> async_acquire(const context& ctx, std::int64_t n = 1);

  /// Gives n permits back, and lets go whoever has what they wait for now. Blocks: never.
  /// Throws: std::logic_error if so many are not held: nothing is given back; std::invalid_argument for less than none.
  void release(std::int64_t n = 1) {
    checked("release", n);
    std::int64_t seen = word_.load(detail::relaxed);  // relaxed: compared when it is changed
    while ((seen & queued) == 0 && fits(seen, n)) {
      // [semaphore.word] acq_rel: whoever acquires them sees what was done before. The last access.
      if (word_.compare_exchange(seen, seen + n * one, detail::acq_rel, detail::relaxed)) return;
    }
    detail::wake_list wakes;
    detail::scoped_lock lock(mutex_);
    for (;;) {
      if (!fits(seen, n)) {
        lock.unlock();
        throw std::logic_error("runnel::semaphore::release: more permits than are held");
      }
      if (word_.compare_exchange(seen, seen + n * one, detail::acq_rel, detail::relaxed)) break;  // [semaphore.word] as above
    }
    serve(wakes);
    lock.unlock();
    wakes.resume_all();
  }

 private:
  friend class detail::semaphore_event;
  template <class F>
  friend struct detail::acquire_case;

  static constexpr std::int64_t queued = 1;  // in word_: somebody waits, and all that follows is done under the lock
  static constexpr std::int64_t one = 2;     // permit

  static std::int64_t checked(const char* operation, std::int64_t n) {
    if (n < 0 || n > std::int64_t{1} << 61)
      throw std::invalid_argument(std::string("runnel::semaphore::") + operation + ": no number of permits");
    return n;
  }
  void refuse_more_than_all(const char* operation, std::int64_t n) const {
    if (checked(operation, n) > permits_)
      throw std::logic_error(std::string("runnel::semaphore::") + operation +
                             ": more permits than there are, which would wait for ever");
  }
  result<void> acquire_until(const char* operation, time_point deadline, std::int64_t n) {
    detail::semaphore_event event(*this, checked(operation, n));
    return detail::sent(detail::wait_event(event, deadline));
  }

  /// Whether n can be given back while the word is this.
  [[nodiscard]] bool fits(std::int64_t word, std::int64_t n) const noexcept { return n <= permits_ - word / one; }
  /// Takes n from what is free, if the word has none of these bits.
  bool take(std::int64_t n, std::int64_t unless) noexcept {
    std::int64_t seen = word_.load(detail::relaxed);  // relaxed: compared when it is changed
    while ((seen & unless) == 0 && seen / one >= n)
      if (word_.compare_exchange(seen, seen - n * one, detail::acq_rel, detail::relaxed))
        return true;  // [semaphore.word] as in release
    return false;
  }
  bool take_if_nobody_waits(std::int64_t n) noexcept { return take(n, queued); }
  /// Lets go who is first as long as there is enough. Under the lock.
  void serve(detail::wake_list& wakes) noexcept {
    while (detail::wait_node* const first = waiters_.front()) {
      const std::int64_t n = *static_cast<const std::int64_t*>(first->value);
      if (!take(n, 0)) return;
      waiters_.remove(*first);
      if (claim(*first)) {
        first->outcome = status::ok;
        wakes.add(*first);
      } else {
        word_.fetch_add(n * one, detail::acq_rel);  // [semaphore.word] as in release
      }
    }
    // relaxed, both: the bit changes under the lock
    if ((word_.load(detail::relaxed) & queued) != 0) word_.fetch_sub(queued, detail::relaxed);
  }

  const std::int64_t permits_;
  detail::atomic<std::int64_t> word_;
  detail::mutex mutex_;
  detail::wait_queue waiters_;
};

namespace detail {

inline attempt semaphore_event::try_now() {
  if (permits_ > from_->permits_) return attempt::never;
  return from_->take_if_nobody_waits(permits_) ? attempt::done : attempt::not_yet;
}
inline void semaphore_event::join(wait_node& node) {
  if (permits_ > from_->permits_) return;
  node.value = &permits_;
  wake_list wakes;
  {
    const scoped_lock lock(from_->mutex_);
    from_->waiters_.push(node);
    from_->word_.fetch_or(semaphore::queued, relaxed);  // relaxed: looked at under the lock from here on
    from_->serve(wakes);
  }
  wakes.resume_all();
}
inline bool semaphore_event::leave(wait_node& node) noexcept {
  if (permits_ > from_->permits_) return true;
  wake_list wakes;
  {
    const scoped_lock lock(from_->mutex_);
    if (!node.queued) return false;
    from_->waiters_.remove(node);
    from_->serve(wakes);  // those behind it may need less
  }
  wakes.resume_all();
  return true;
}
inline void semaphore_event::give_back() noexcept { from_->release(permits_); }

/// Waits for permits. Answers nothing, or, with a context, how it ended.
template <>
class acquire_awaiter<false> final : public event_awaiter<semaphore_event> {
 public:
  acquire_awaiter(semaphore& from, std::int64_t n) : event_awaiter<semaphore_event>(from, n) {}
  ~acquire_awaiter() {
    if (destroy_waiting()) event().give_back();
  }
  void await_resume() noexcept { finish(); }
};
template <>
class acquire_awaiter<true> final : public limited_awaiter<semaphore_event> {
 public:
  acquire_awaiter(const context& ctx, semaphore& from, std::int64_t n) : limited_awaiter<semaphore_event>(ctx, from, n) {}
  ~acquire_awaiter() {
    if (destroy_waiting()) event().give_back();
  }
  [[nodiscard]] result<void> await_resume() { return sent(finish()); }
};

template <class F>
struct acquire_case : case_base {
  acquire_case(semaphore& s, std::int64_t n, F&& f)
      : from(&s), permits(semaphore::checked("on_acquire", n)), handler(std::forward<F>(f)) {}
  using kept = acquire_case<kept_handler<F>>;
  [[nodiscard]] nothing hold() const noexcept { return {}; }

  semaphore* from;
  std::int64_t permits;
  F handler;
};
template <class F>
class active_case<acquire_case<F>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : event_(*c.from, c.permits), handler_(std::forward<Case>(c)) {}
  void begin(select_plan& plan, std::size_t index) { plan.entries[index].event = &event_; }
  void run() { handler_(); }

 private:
  semaphore_event event_;
  plain_handler<F> handler_;
};

}  // namespace detail

inline detail::acquire_awaiter<false> semaphore::async_acquire(std::int64_t n) {
  refuse_more_than_all("async_acquire", n);
  return {*this, n};
}
inline detail::acquire_awaiter<true> semaphore::async_acquire(const context& ctx, std::int64_t n) {
  return {ctx, *this, checked("async_acquire", n)};
}

/// A case of select: n permits of a semaphore, which are held when it is chosen. More than all of them are never there. The
/// semaphore must outlive a selector that has the case.
template <class F = detail::no_handler>
[[nodiscard]] detail::acquire_case<F> on_acquire(semaphore& from, std::int64_t n = 1, F&& f = {}) {
  return {from, n, std::forward<F>(f)};
}

}  // namespace runnel::inline RUNNEL_ABI
