// How the coroutines of an abandoned runtime are destroyed: those that nobody awaits, and with them what they await.
//
// 1. A frame may wait while it is destroyed, begun or not, for a task of the runtime that only this end destroys: an errgroup in it waits
//    for its tasks, which are at any place. Which frame waits for which is not known before, and no order is right for all: a group may
//    have been given to a coroutine that has begun after its tasks.
// 2. So one thread at a time destroys. One that is about to sleep hands the rest on to another thread, finishes its frame when it has come
//    back, and leaves the rest to that one. Whoever is waited for is destroyed meanwhile, whatever the order.
// 3. The order only keeps the threads few: of each place the newest first, for tasks mostly begin after the frame that waits for them; and
//    after one that waits the next place, where what it waits for is if it has begun later.
// 4. A function that waits for a coroutine which goes on here (sync_wait) is told once no step can go on: it owns that coroutine, and
//    destroys it.
#pragma once

#include <runnel/detail/task_watch.hpp>
#include <runnel/detail/waiter.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

class scheduler;

/// A thread that has to do with a scheduler: see there.
struct scheduled_thread : task_thread {
  scheduled_thread(scheduler* s, task_place* p) noexcept : owner(s), here(p) {}

  scheduler* owner;                      // null: as a thread that runs no tasks
  task_place* here;                      // null: it waits, or it came back from a wait and found none idle
  bool loose = false;                    // it counts as one that left its place in a coroutine's step
  atomic<std::uint32_t> in_function{0};  // for abandon

 protected:
  ~scheduled_thread() = default;
};

class destroyed_places : public watched_places {
 public:
  /// For a function that waits for a coroutine: its node is claimed, with canceled, when that cannot go on any more. False: it cannot now.
  bool enter_wait(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (steps_are_over_) return false;
    waits_.push(node);
    return true;
  }
  void leave_wait(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (node.queued) waits_.remove(node);
  }

 protected:
  destroyed_places(unsigned count, void* memory) noexcept : watched_places(count, memory) {}
  ~destroyed_places() = default;

  RUNNEL_NOINLINE static void run_elsewhere(thread_task& task) noexcept {
    thread_cache::worker* worker = nullptr;
    for (backoff pause; worker == nullptr; pause.pause()) {
      try {
        worker = &thread_cache::instance().acquire_worker();
      } catch (...) {
        worker =
            nullptr;  // no thread to be had now: those that run go on, and this one tries again, for somebody has to come for it
      }
    }
    worker->hand_over(&task);
  }
  /// A thread while it destroys, as what its frames wait with sees it.
  class destroyer final : public scheduled_thread {
   public:
    destroyer(destroyed_places& p, scheduler* caller) noexcept
        : scheduled_thread(caller, nullptr), destroys_(p), outer_(std::exchange(this_thread().tasks, this)) {}
    destroyer(const destroyer&) = delete;
    destroyer& operator=(const destroyer&) = delete;
    ~destroyer() { this_thread().tasks = outer_; }

    /// Whether it is the one that destroys.
    [[nodiscard]] bool goes_on() const noexcept { return goes_on_; }

   private:
    void give_place_up() noexcept override {
      if (std::exchange(goes_on_, false)) destroys_.destroy_elsewhere();
      if (outer_ != nullptr) outer_->begin_blocking();
    }
    void take_place_again() noexcept override {
      if (outer_ != nullptr) outer_->end_blocking();
    }

    destroyed_places& destroys_;
    task_thread* const outer_;
    bool goes_on_ = true;
  };

  /// Destroys all that is left. Blocks: until it is done. `caller`: whose tasks this thread runs, or null.
  void destroy_all(scheduler* caller) noexcept {
    {
      const destroyer me(*this, caller);
      destroy_rest(me);
    }
    std::uint32_t left = destroyers_.load(acquire);  // [places.destroyers] acquire: all that they have done is over.
    if (left == 0) return;
    const blocking_scope blocking;
    for (; left != 0; left = destroyers_.load(acquire)) park(destroyers_, left);
  }
  /// Says that a thread is about to destroy something, before it is seen to be at rest.
  void begin_destroying() noexcept { destroyers_.fetch_add(1, relaxed); }  // relaxed: what shows that it is at rest comes later
  /// The last access but for the address: the runtime may be used again.
  void end_destroying() noexcept {
    if (destroyers_.fetch_sub(1, acq_rel) == 1) unpark(&destroyers_, 1);  // [places.destroyers] release: as in destroy_all
  }
  /// No step can go on: tells the functions that wait for one.
  void end_waits() noexcept {
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      steps_are_over_ = true;
      wakes.add_all(waits_, status::canceled);
    }
    wakes.resume_all();
  }
  /// Under the lock: for another runtime.
  void begin_again() noexcept { steps_are_over_ = false; }
  /// Drops what is queued, which may destroy a frame that has not begun.
  void drop_work(const destroyer& me) noexcept {
    while (me.goes_on()) {
      work_item* const item = take_any();
      if (item == nullptr) return;
      item->drop();
    }
  }
  /// Destroys all roots, which nobody can resume any more.
  void destroy_roots(const destroyer& me) noexcept {
    for (unsigned left = count_; me.goes_on() && left != 0;) {
      if (places_[at_].roots.destroy_newest()) continue;
      at_ = (at_ + 1) % count_;
      --left;
    }
  }

 private:
  /// What another thread is handed.
  struct rest final : thread_task {
    explicit rest(destroyed_places& p) noexcept : thread_task(&run_rest), owner(&p) {}
    destroyed_places* owner;
  };

  static void run_rest(thread_task* task) noexcept {
    destroyed_places& self = *static_cast<rest*>(task)->owner;
    {
      const destroyer me(self, nullptr);
      self.destroy_rest(me);
    }
    self.end_destroying();
  }
  /// All of it, or as far as `me` goes on; from the beginning each time, for what is done already is done at once.
  virtual void destroy_rest(const destroyer& me) noexcept = 0;
  void destroy_elsewhere() noexcept {
    at_ = (at_ + 1) % count_;
    begin_destroying();
    run_elsewhere(rest_);
  }

  wait_queue waits_;             // of functions; under the lock
  bool steps_are_over_ = false;  // likewise
  rest rest_{*this};
  unsigned at_ = 0;                      // of whoever destroys
  atomic<std::uint32_t> destroyers_{0};  // besides the thread that ends the runtime
};

}  // namespace runnel::inline RUNNEL_ABI::detail
