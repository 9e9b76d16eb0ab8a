// Things that happen at a time: one heap, and one thread that is started by the first of them.
//
// 1. An entry is on the heap (`queued`) or not, changed only under the lock; the heap is a pairing heap of the entries themselves.
// 2. No entry is earlier than its parent in the heap: the root is the next to be due.
// 3. While the thread sleeps, `wake_at_` is when it will look again, and no entry on the heap is earlier.
// 4. An entry fires off the heap and under no lock; after its callback it is not touched: the callback may have ended it.
// 5. cancel() returns when the entry is off the heap and its callback is not running, except to the callback itself.
// 6. A callback never blocks and never runs the user's code: it ends a context, offers a value, or starts a task.
// 7. Arming allocates nothing. The thread and the heap are never destroyed: the end of main abandons them.
#pragma once

#include <runnel/detail/sync.hpp>

#include <utility>

namespace runnel::inline RUNNEL_ABI::detail {

/// One thing that is to happen at a time; part of what it happens to.
class timer_entry {
 public:
  using callback = void (*)(timer_entry&) noexcept;

  explicit timer_entry(callback fire) noexcept : fire_(fire) {}
  timer_entry(const timer_entry&) = delete;
  timer_entry& operator=(const timer_entry&) = delete;

 protected:
  ~timer_entry() { RUNNEL_ASSERT(!queued_); }

 private:
  friend class timer_heap;
  friend class timer_queue;

  callback fire_;
  time_point at_;
  timer_entry* child_ = nullptr;     // the first of those below
  timer_entry* next_ = nullptr;      // the next of those below the same one
  timer_entry* previous_ = nullptr;  // the one before among those, for the first the one above
  bool queued_ = false;
};

/// The entries in the order in which they are due: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", 1986.
class timer_heap {
 public:
  [[nodiscard]] timer_entry* first() const noexcept { return root_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  void insert(timer_entry& entry) noexcept {
    RUNNEL_ASSERT(!entry.queued_);
    entry.child_ = entry.next_ = entry.previous_ = nullptr;
    entry.queued_ = true;
    root_ = meld(root_, &entry);
    ++size_;
    check_invariants();
  }
  void remove(timer_entry& entry) noexcept {
    RUNNEL_ASSERT(entry.queued_);
    timer_entry* const below = meld_all(entry.child_);
    if (&entry == root_) {
      root_ = below;
    } else {
      (entry.previous_->child_ == &entry ? entry.previous_->child_ : entry.previous_->next_) = entry.next_;
      if (entry.next_ != nullptr) entry.next_->previous_ = entry.previous_;
      root_ = meld(root_, below);
    }
    entry.queued_ = false;
    --size_;
    check_invariants();
  }

 private:
  static timer_entry* meld(timer_entry* a, timer_entry* b) noexcept {
    if (a == nullptr || b == nullptr) return a == nullptr ? b : a;
    if (b->at_ < a->at_) std::swap(a, b);
    b->previous_ = a;
    b->next_ = a->child_;
    if (b->next_ != nullptr) b->next_->previous_ = b;
    a->child_ = b;
    a->next_ = a->previous_ = nullptr;
    return a;
  }
  /// One heap of all that stand in a row: in pairs from the left, then these together from the right.
  static timer_entry* meld_all(timer_entry* row) noexcept {
    timer_entry* pairs = nullptr;
    while (row != nullptr) {
      timer_entry* const a = row;
      timer_entry* const b = a->next_;
      row = b == nullptr ? nullptr : b->next_;
      a->next_ = a->previous_ = nullptr;
      if (b != nullptr) b->next_ = b->previous_ = nullptr;
      timer_entry* const pair = meld(a, b);
      pair->next_ = pairs;
      pairs = pair;
    }
    timer_entry* all = nullptr;
    while (pairs != nullptr) {
      timer_entry* const pair = std::exchange(pairs, pairs->next_);
      pair->next_ = nullptr;
      all = meld(all, pair);
    }
    return all;
  }
  void check_invariants() const noexcept {
    RUNNEL_ASSERT((root_ == nullptr) == (size_ == 0));
    RUNNEL_ASSERT(root_ == nullptr || (root_->queued_ && root_->previous_ == nullptr && root_->next_ == nullptr));
    RUNNEL_ASSERT(root_ == nullptr || root_->child_ == nullptr ||
                  (root_->child_->previous_ == root_ && root_->at_ <= root_->child_->at_));
  }

  timer_entry* root_ = nullptr;
  std::size_t size_ = 0;
};

class timer_queue {
 public:
  static timer_queue& instance() { return immortal<timer_queue>(); }

  /// Starts the thread unless it runs. Whoever arms has called this before. Throws: std::system_error if there is no thread.
  void start() {
    if (started_.load(acquire)) return;  // [timer_queue.started] acquire: the thread has been started
    const scoped_lock lock(mutex_);
    if (started_.load(relaxed)) return;  // relaxed: written under the lock
    start_thread([this]() noexcept { run(); });
    started_.store(true, release);  // [timer_queue.started] release: as above
  }

  /// Fires the entry, which is not armed, on the timer thread at this time; `never` is no time.
  void arm(timer_entry& entry, time_point at) noexcept {
    if (at == never) return;
    scoped_lock lock(mutex_);
    entry.at_ = at;
    heap_.insert(entry);
    if (at >= wake_at_) return;
    wake_at_ = at;
    // [timer_queue.changes] relaxed: parking compares the number; what changed is read under the lock.
    changes_.fetch_add(1, relaxed);
    lock.unlock();
    unpark(&changes_, 1);
  }

  /// Takes the entry off the heap. True: it was armed. Does not wait for a callback that runs.
  bool disarm(timer_entry& entry) noexcept {
    const scoped_lock lock(mutex_);
    return remove(entry);
  }

  /// Takes the entry off the heap and waits for its callback, should it be running. True: it was armed.
  bool cancel(timer_entry& entry) noexcept {
    scoped_lock lock(mutex_);
    bool armed = remove(entry);
    while (running_ == &entry && !on_thread()) {
      ++waiting_;
      const std::uint32_t seen = finished_.load(relaxed);  // [timer_queue.finished] relaxed: as changes_
      lock.unlock();
      park(finished_, seen);
      lock.lock(mutex_);
      --waiting_;
      armed = remove(entry) || armed;  // the callback may have armed it again
    }
    return armed;
  }

  /// Whether the caller is the timer thread, in a callback.
  [[nodiscard]] static bool on_thread() noexcept { return this_thread().runs_timers; }
  /// How many entries are armed, and whether the thread was started: for tests.
  [[nodiscard]] std::size_t armed() noexcept {
    const scoped_lock lock(mutex_);
    return heap_.size();
  }
  [[nodiscard]] bool started() const noexcept { return started_.load(acquire); }  // [timer_queue.started] as in start

 private:
  template <class T>
  friend T& immortal();
  timer_queue() noexcept = default;

  bool remove(timer_entry& entry) noexcept {
    if (!entry.queued_) return false;
    heap_.remove(entry);
    return true;
  }

  void run() noexcept {
    this_thread().runs_timers = true;
    scoped_lock lock(mutex_);
    for (;;) {
      timer_entry* const first = heap_.first();
      if (first != nullptr && first->at_ <= now()) {
        fire(*first, lock);
        continue;
      }
      wake_at_ = first == nullptr ? never : first->at_;
      const time_point until = wake_at_;
      const std::uint32_t seen = changes_.load(relaxed);  // [timer_queue.changes] relaxed: as in arm
      lock.unlock();
      park(changes_, seen, until);
      lock.lock(mutex_);
      wake_at_ = time_point::min();  // awake: nobody needs to wake this thread
    }
  }
  void fire(timer_entry& entry, scoped_lock& lock) noexcept {
    heap_.remove(entry);
    running_ = &entry;
    lock.unlock();
    entry.fire_(entry);
    lock.lock(mutex_);
    running_ = nullptr;
    if (waiting_ == 0) return;
    finished_.fetch_add(1, relaxed);  // [timer_queue.finished] relaxed: as changes_
    lock.unlock();
    unpark(&finished_, std::numeric_limits<int>::max());
    lock.lock(mutex_);
  }

  mutex mutex_;
  timer_heap heap_;
  timer_entry* running_ = nullptr;
  std::uint32_t waiting_ = 0;  // calls of cancel() that wait for a callback
  time_point wake_at_ = time_point::min();
  atomic<std::uint32_t> changes_{0};
  atomic<std::uint32_t> finished_{0};
  atomic<bool> started_{false};
};

}  // namespace runnel::inline RUNNEL_ABI::detail
