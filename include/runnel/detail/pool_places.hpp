// The places of a worker_pool for jobs, and who waits for one.
//
// 1. taken_ counts the places that were taken, ended_ those that were given back; both only grow, and at most limit_ are taken at
//    once. Once taken_ says closed, none is.
// 2. Room goes to whoever waits for it, first come, first served: who gives a place back looks at alerts_ afterwards, who waits says so
//    there and looks for room afterwards; all four are seq_cst.
// 3. Contexts are looked at under no lock. Where one is done, what has not begun gives its place back: who gets a place looks whether the
//    context is done afterwards, and sees it if the place was free because of that.
#pragma once

#include <runnel/context.hpp>
#include <runnel/detail/await.hpp>
#include <runnel/detail/event_wait.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// How a call that submits a job was answered.
enum class admission : std::uint8_t { place, here, full, closed, ended, canceled, timed_out };

class pool_places {
 public:
  pool_places(const pool_places&) = delete;
  pool_places& operator=(const pool_places&) = delete;

  [[nodiscard]] const context& ctx() const noexcept { return ctx_; }

  /// Gives one back.
  void leave_place() noexcept {
    ended_.fetch_add(1, seq_cst);                               // [pool.ended] seq_cst: before the look whether anybody waits (2)
    if ((alerts_.load(seq_cst) & crowded) != 0) serve_crowd();  // [pool.alerts] seq_cst: as in (2)
  }

 protected:
  enum : std::uint32_t { crowded = 1, ended = 2 };  // in alerts_: somebody waits for room; the context is done

  pool_places(context ctx, std::size_t limit) : ctx_(std::move(ctx)), limit_(static_cast<std::int64_t>(limit)) {}
  ~pool_places() { RUNNEL_ASSERT(waiters_.empty()); }

  /// The event that a place was taken, or will never be.
  class room_event final : public selectable {
   public:
    explicit room_event(pool_places& pool) noexcept : pool_(&pool) {}
    /// There was none just now, and joining looks again, under the lock.
    attempt try_now() override { return attempt::not_yet; }
    void join(wait_node& node) override {
      wake_list wakes;
      {
        const scoped_lock lock(pool_->mutex_);
        pool_->waiters_.push(node);
        pool_->alerts_.fetch_or(crowded, seq_cst);  // [pool.alerts] seq_cst: as in (2)
        pool_->serve(wakes);
      }
      wakes.resume_all();
    }
    bool leave(wait_node& node) noexcept override {
      const scoped_lock lock(pool_->mutex_);
      if (!node.queued) return false;
      pool_->waiters_.remove(node);
      pool_->say_whether_crowded();
      return true;
    }
    bool finish(wait_node& node) noexcept override {
      outcome_ = node.outcome;
      return true;
    }
    /// Of a wait that the event has ended.
    [[nodiscard]] status outcome() const noexcept { return outcome_; }
    /// Gives back what was taken for nobody.
    void give_back() noexcept { pool_->leave_place(); }

   private:
    pool_places* pool_;
    status outcome_ = status::ok;
  };
  class room_awaiter final : public event_awaiter<room_event> {
   public:
    explicit room_awaiter(pool_places& pool) : event_awaiter<room_event>(pool) {}
    ~room_awaiter() {
      if (destroy_waiting() && event().outcome() == status::ok) event().give_back();
    }
    status await_resume() noexcept { return finish().outcome(); }
  };
  class limited_room_awaiter final : public limited_awaiter<room_event> {
   public:
    limited_room_awaiter(const context& ctx, pool_places& pool) : limited_awaiter<room_event>(ctx, pool) {}
    ~limited_room_awaiter() {
      if (destroy_waiting() && event().outcome() == status::ok) event().give_back();
    }
    status await_resume() {
      const status s = finish();
      return s == status::ok ? event().outcome() : s;
    }
  };

  static status outcome_of(admission a) noexcept {
    if (a == admission::place) return status::ok;
    return a == admission::closed ? status::closed : status::would_block;
  }
  static admission admitted(status s) noexcept {
    switch (s) {
      case status::ok: return admission::place;
      case status::closed: return admission::closed;
      case status::would_block: return admission::ended;
      case status::canceled: return admission::canceled;
      default: return admission::timed_out;
    }
  }

  /// How many places are taken. Under the lock, for who has seen that nothing runs.
  [[nodiscard]] std::uint64_t taken() const noexcept {
    return taken_.load(acquire) / one_place - ended_.load(seq_cst);  // [pool.taken] acquire, [pool.ended] seq_cst: as below
  }
  /// Takes a place, unless there is none, or others wait for one.
  admission try_take() noexcept {
    const bool is_closed = (taken_.load(relaxed) & closed) != 0;                       // relaxed: compared when it is changed
    if (!is_closed && (alerts_.load(seq_cst) & crowded) != 0) return admission::full;  // [pool.alerts] seq_cst: as in (2)
    return take_place();
  }
  void forbid() noexcept { taken_.fetch_or(closed, acq_rel); }                // [pool.taken] acq_rel: as in take_place
  void give_back(std::uint64_t n) noexcept { ended_.fetch_add(n, seq_cst); }  // [pool.ended] seq_cst: as in leave_place

  // Under the lock.

  void serve(wake_list& wakes) noexcept {
    while (wait_node* const first = waiters_.front()) {
      const bool has_ended = (alerts_.load(relaxed) & ended) != 0;  // relaxed: changed under the lock
      const admission now = has_ended ? admission::ended : take_place();
      if (now == admission::full) return;
      waiters_.remove(*first);
      if (claim(*first)) {
        first->outcome = outcome_of(now);
        wakes.add(*first);
      } else if (now == admission::place) {
        ended_.fetch_add(1, seq_cst);  // [pool.ended] seq_cst: as in leave_place
      }
    }
    say_whether_crowded();
  }
  void turn_away(wake_list& wakes, status outcome) noexcept {
    wakes.add_all(waiters_, outcome);
    say_whether_crowded();
  }
  void say_whether_crowded() noexcept {
    const std::uint32_t now = alerts_.load(relaxed);  // relaxed, both: changed under the lock
    if (waiters_.empty() && (now & crowded) != 0) alerts_.store(now & ~crowded, relaxed);
  }

 private:
  static constexpr std::uint64_t closed = 1;  // in taken_
  static constexpr std::uint64_t one_place = 2;

  /// Takes a place if there is one.
  admission take_place() noexcept {
    std::uint64_t seen = taken_.load(relaxed);  // relaxed: compared when it is changed
    while ((seen & closed) == 0) {
      if (!fits(seen, known_ended_.load(acquire))) {     // [pool.known] acquire: as if ended_ had been looked at (3)
        const std::uint64_t now = ended_.load(seq_cst);  // [pool.ended] seq_cst: as in (2)
        known_ended_.store(now, release);                // [pool.known] release: with the next call's look
        if (!fits(seen, now)) {
          const std::uint64_t again = taken_.load(relaxed);
          if (again == seen) return admission::full;
          seen = again;
          continue;
        }
      }
      // [pool.taken] acq_rel: whoever closes sees what was taken before
      if (taken_.compare_exchange(seen, seen + one_place, acq_rel, relaxed)) return admission::place;
    }
    return admission::closed;
  }
  [[nodiscard]] bool fits(std::uint64_t taken, std::uint64_t given_back) const noexcept {
    return static_cast<std::int64_t>(taken / one_place - given_back) < limit_;
  }
  RUNNEL_NOINLINE void serve_crowd() noexcept {
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      serve(wakes);
    }
    wakes.resume_all();
  }

  const context ctx_;
  const std::int64_t limit_;
  wait_queue waiters_;

 protected:
  atomic<std::uint32_t> alerts_{0};  // changed under the lock, seldom

 private:
  alignas(cache_line) atomic<std::uint64_t> taken_{0};
  atomic<std::uint64_t> known_ended_{0};  // no more than ended_
  alignas(cache_line) atomic<std::uint64_t> ended_{0};

 protected:
  alignas(cache_line) mutable mutex mutex_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
