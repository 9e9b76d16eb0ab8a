// The watch over the places of a runtime: a thread that looks now and then whether work waits in a place that could run elsewhere.
//
// 1. It takes what has been in a next slot for a period while one step took all the time.
// 2. It offers all of a queue whose oldest has waited for a period, and wakes somebody for it. So what is kept waits behind a long step for
//    two periods at most, and behind short ones for one more for each that was before it.
// 3. It says how much may be kept: what is over before another thread has woken up, if steps last as long as before. Long ones: nothing.
// 4. One at a time. A hand-over that sees none starts it, and it ends when all places are idle: one of the two sees the other.
#pragma once

#include <runnel/detail/task_places.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

class watched_places : public task_places {
 protected:
  watched_places(unsigned count, void* memory) noexcept : task_places(count, memory) {}
  ~watched_places() = default;

  [[nodiscard]] bool is_watched() const noexcept {
    // [scheduler.watching] seq_cst: a watch that ends after this look sees that the place of whoever looks is not idle.
    return watching_.load(seq_cst) != 0;
  }
  RUNNEL_NOINLINE void start_watch() noexcept {
    if (watching_.exchange(1, acq_rel) != 0) return;  // [scheduler.watching] acq_rel: one at a time
    try {
      thread_cache::instance().acquire_worker().hand_over(&watch_);
    } catch (...) {
      watching_.store(0, release);  // [scheduler.watching] as above. No thread for it now: the next hand-off tries again.
    }
  }

 private:
  struct watch final : thread_task {
    explicit watch(watched_places& p) noexcept : thread_task(&run_watch), owner(&p) {}
    watched_places* owner;
  };

  virtual void put_found(work_item& item) noexcept = 0;
  virtual void wake_for_offer() noexcept = 0;

  static void run_watch(thread_task* task) noexcept {
    watched_places& self = *static_cast<watch*>(task)->owner;
    for (;;) {
      std::uint32_t before = self.sum_of_steps();
      for (duration period = watch_period; self.idle_.load(seq_cst) != self.count_;
           self.watch_for(period)) {  // seq_cst: as in post
        const std::uint32_t steps = self.sum_of_steps();
        const duration longer = period < longest_watch_period ? 2 * period : period;
        period = std::exchange(before, steps) != steps ? watch_period : longer;
      }
      self.watching_.store(0, seq_cst);  // [scheduler.watching] seq_cst: with post
      if (self.idle_.load(seq_cst) == self.count_ || self.watching_.exchange(1, seq_cst) != 0) return;  // as in post
    }
  }
  /// Sleeps, and then sees to what has stayed where it was meanwhile.
  void watch_for(duration period) noexcept {
    look_at_places();
    const time_point until = now() + period;
    const atomic<std::uint32_t> nobody{0};
    while (now() < until) park(nobody, 0, until);
    for (unsigned i = 0; i < count_; ++i) {
      place& p = places_[i];
      const std::uint32_t steps = p.steps.load(relaxed) - p.watched_steps;  // relaxed: compared, not used
      p.keeps.store(most_kept(steps, period), relaxed);                     // relaxed: a hint
      if (work_item* const item = take_stuck(p)) put_found(*item);
      if (!p.queue.waits_since(p.watched_position)) continue;
      p.queue.offer_for_owner();
      wake_for_offer();
    }
  }

  static constexpr std::chrono::milliseconds watch_period{1};
  static constexpr std::chrono::milliseconds longest_watch_period{8};
  /// How many steps are over before a thread has woken up and brought over what it needs, if they last as long as those of the period.
  static std::uint64_t most_kept(std::uint32_t steps, duration period) noexcept {
    const auto periods = static_cast<std::uint64_t>(period / time_to_wake);
    return steps < tasks_kept_together * periods ? steps / periods : tasks_kept_together;
  }

  static constexpr std::chrono::microseconds time_to_wake{20};

  watch watch_{*this};
  atomic<std::uint32_t> watching_{0};
};

}  // namespace runnel::inline RUNNEL_ABI::detail
