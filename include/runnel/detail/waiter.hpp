// One blocked call, and its place in a queue.
//
// A `waiter` is one call that waits; a `wait_node` is its place in one queue. A receive is one waiter and one node, a
// select over n cases one waiter and n nodes. Both live on the caller's stack or in its coroutine frame: waiting never
// allocates. Threads, coroutines and whatever comes next differ in `resume_` alone.
//
// 1. A node is on at most one queue, changed only under the lock of what the queue belongs to.
// 2. A waiter is claimed once. Whoever claims it writes the outcome into the claimed node, and then resumes it, once.
// 3. To claim a waiter with one node is to unlink the node. One with several (`multi`) is claimed by its claim word:
//    open -> claimed(i), or open -> locked -> claimed(i) or back to open where the claimer must first see whether its
//    operation succeeds. `locked` spans only steps that do not block.
// 4. resume() is the last access to a waiter and its nodes, and never happens under a lock.
#pragma once

#include <runnel/detail/blocking.hpp>
#include <runnel/detail/work_item.hpp>
#include <runnel/status.hpp>

#include <compare>

namespace runnel::inline RUNNEL_ABI::detail {

class waiter {
 public:
  using resume_function = void (*)(waiter&) noexcept;

  waiter(resume_function how, bool several) noexcept : resume_(how), multi_(several) {}
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  [[nodiscard]] bool multi() const noexcept { return multi_; }
  [[nodiscard]] bool is_resumed_by(resume_function how) const noexcept { return resume_ == how; }

  /// Claims the waiter for the node with this index. False: it was claimed before. Waits while another claimer has it locked.
  RUNNEL_NOINLINE bool claim(std::uint32_t index) noexcept {
    for (;;) {
      std::uint32_t seen = open;
      // [waiter.claim] acq_rel: the claimer sees what the owner wrote before it queued, the owner whose index this is.
      if (claim_.compare_exchange(seen, claimed + index, acq_rel, acquire)) return true;
      if (seen >= claimed) return false;
      wait_unlocked(seen);
    }
  }

  /// Locks the waiter: nobody else can claim it until commit() or abandon(). False: it is claimed.
  bool lock() noexcept {
    for (;;) {
      std::uint32_t seen = open;
      if (claim_.compare_exchange(seen, locked, acq_rel, acquire)) return true;  // [waiter.claim] as in claim
      if (seen >= claimed) return false;
      wait_unlocked(seen);
    }
  }
  void commit(std::uint32_t index) noexcept { set_unlocked(claimed + index); }
  void abandon() noexcept { set_unlocked(open); }

  [[nodiscard]] bool is_claimed() const noexcept { return claim_.load(acquire) >= claimed; }  // [waiter.claim] with claim
  /// The index of the claimed node; only once it is claimed.
  [[nodiscard]] std::uint32_t claimed_index() const noexcept { return claim_.load(acquire) - claimed; }

  /// Makes it one that was never claimed. Only by its owner, when it is in no queue.
  void reopen() noexcept { claim_.store(open, relaxed); }  // relaxed: whoever claims it finds it in a queue, under that one's lock

  /// Lets the owner go on. The last access to it; under no lock.
  void resume() noexcept { resume_(*this); }

 private:
  enum : std::uint32_t { open, locked, contended, claimed };

  void set_unlocked(std::uint32_t next) noexcept {
    // [waiter.claim] release: whoever waits for the unlock sees the operation that was made under it.
    if (claim_.exchange(next, acq_rel) == contended) unpark(&claim_, std::numeric_limits<int>::max());
  }
  RUNNEL_NOINLINE void wait_unlocked(std::uint32_t seen) noexcept {
    for (int i = 0; i < pauses_before_park && (seen == locked || seen == contended); ++i) {
      spin_hint();
      seen = claim_.load(relaxed);  // relaxed: a hint, the caller looks again
    }
    // relaxed: only says that somebody is parked here
    if (seen == locked && claim_.compare_exchange(seen, contended, relaxed, relaxed)) seen = contended;
    if (seen == contended) park(claim_, contended);
  }

  resume_function resume_;
  atomic<std::uint32_t> claim_{open};
  bool multi_;
};

/// A waiter's place in one queue, what it offers there, and how it ended. Its links are the queue's, then those of whoever wakes it. A
/// coroutine that waits in one queue is in a place with the same links, once it has been resumed.
struct wait_node : work_item {
  explicit wait_node(step_function step = nullptr) noexcept : work_item(step) {}
  /// The one behind it, in a queue or a wake_list.
  [[nodiscard]] wait_node* behind() const noexcept { return static_cast<wait_node*>(next); }

  waiter* owner = nullptr;
  void* value = nullptr;        // where the value is, to send, or goes, to receive
  std::uint32_t index = 0;      // which case of the waiter this is
  status outcome = status::ok;  // written by the claimer
  bool queued = false;          // on a queue; read and written under its lock
};

/// Claims the waiter of a node that is being taken off its queue, for that node.
inline bool claim(wait_node& node) noexcept { return !node.owner->multi() || node.owner->claim(node.index); }

/// How claiming two waiters together has ended.
enum class both_claimed : std::uint8_t { both, not_first, not_second };
/// Claims two waiters together or neither. Two selects are locked in the order of their addresses: no cycle of waits.
inline both_claimed claim_both(wait_node& first, wait_node& second) noexcept {
  waiter& a = *first.owner;
  waiter& b = *second.owner;
  if (!a.multi()) return claim(second) ? both_claimed::both : both_claimed::not_second;
  if (!b.multi()) return claim(first) ? both_claimed::both : both_claimed::not_first;
  const bool in_order = std::compare_three_way{}(&a, &b) < 0;
  waiter& low = in_order ? a : b;
  waiter& high = in_order ? b : a;
  if (!low.lock()) return in_order ? both_claimed::not_first : both_claimed::not_second;
  if (!high.lock()) {
    low.abandon();
    return in_order ? both_claimed::not_second : both_claimed::not_first;
  }
  a.commit(first.index);
  b.commit(second.index);
  return both_claimed::both;
}

/// First come, first served. Every call is made under the lock of what the queue belongs to.
class wait_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] wait_node* front() const noexcept { return static_cast<wait_node*>(head_); }
  /// For tests: goes through all of it.
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t count = 0;
    for (const work_item* node = head_; node != nullptr; node = node->next) ++count;
    return count;
  }

  void push(wait_node& node) noexcept {
    RUNNEL_ASSERT(!node.queued);
    node.next = nullptr;
    node.previous = tail_;
    (tail_ == nullptr ? head_ : tail_->next) = &node;
    tail_ = &node;
    node.queued = true;
  }
  void remove(wait_node& node) noexcept {
    RUNNEL_ASSERT(node.queued);
    (node.previous == nullptr ? head_ : node.previous->next) = node.next;
    (node.next == nullptr ? tail_ : node.next->previous) = node.previous;
    node.queued = false;
  }
  wait_node* pop() noexcept {
    wait_node* const node = front();
    if (node != nullptr) pop_front();
    return node;
  }
  /// Takes the first one off, where there is one.
  void pop_front() noexcept {
    front()->queued = false;
    head_ = head_->next;
    (head_ == nullptr ? tail_ : head_->previous) = nullptr;
  }

 private:
  work_item* head_ = nullptr;
  work_item* tail_ = nullptr;
};

/// Waiters that were claimed under a lock and are to be resumed once it is dropped, in order.
class wake_list {
 public:
  wake_list() noexcept = default;
  wake_list(const wake_list&) = delete;
  wake_list& operator=(const wake_list&) = delete;
  ~wake_list() { RUNNEL_ASSERT(head_ == nullptr); }

  /// Takes a node that is off its queue, claimed, and has its outcome.
  void add(wait_node& node) noexcept {
    node.next = nullptr;
    (head_ == nullptr ? head_ : last_->next) = &node;
    last_ = &node;
  }
  /// Claims every waiter of a queue with this outcome, and takes them all off it.
  void add_all(wait_queue& queue, status outcome) noexcept {
    while (wait_node* node = queue.pop()) {
      if (!claim(*node)) continue;
      node->outcome = outcome;
      add(*node);
    }
  }
  /// Resumes them. Under no lock.
  void resume_all() noexcept {
    for (auto* node = static_cast<wait_node*>(std::exchange(head_, nullptr)); node != nullptr;) {
      wait_node* next = node->behind();
      node->owner->resume();
      node = next;
    }
  }

 private:
  work_item* head_ = nullptr;
  work_item* last_ = nullptr;
};

/// A thread that waits: it pauses and yields for a bounded while, then parks.
class thread_waiter : public waiter {
 public:
  explicit thread_waiter(bool multi) noexcept : waiter(&resume_thread, multi) {}

  /// Waits until it was resumed (true), or the deadline has passed (false; it may still be resumed).
  bool wait(time_point deadline) noexcept {
    if (has_passed(deadline)) return state_.load(acquire) == done;  // [thread_waiter.state] as below
    // [thread_waiter.state] acquire: sees what the claimer wrote before it resumed this waiter.
    for (int left = this_thread().pauses; state_.load(acquire) != done; --left) {
      if (left <= 0) return wait_slow(deadline);
      spin_hint();
    }
    return true;
  }
  void wait() noexcept {
    while (!wait(never)) {
    }
  }

 private:
  enum : std::uint32_t { waiting, sleeping, done };

  static bool has_passed(time_point deadline) noexcept { return deadline != never && now() >= deadline; }

  /// Yields, and sleeps if that does not help; now and then sleeps at once: see waits_before_parting.
  RUNNEL_NOINLINE bool wait_slow(time_point deadline) noexcept {
    thread_slot& self = this_thread();
    const bool parts = self.waits_on_one_core >= self.parts_after;
    if (!wait_without_pauses(deadline, parts)) return false;
    const int here = this_core();
    const bool on_one_core = here >= 0 && here == resumed_on_;
    self.pauses = on_one_core ? 0 : pauses_before_park;
    self.waits_on_one_core = on_one_core && !parts ? self.waits_on_one_core + 1 : 0;
    if (!on_one_core)
      self.parts_after = waits_before_parting;
    else if (parts && self.parts_after < most_waits_before_parting)
      self.parts_after += waits_before_parting;
    return true;
  }
  bool wait_without_pauses(time_point deadline, bool parts) noexcept {
    // Yields help where the counterparty shares this core or is about to come.
    if (!parts &&
        yield_until([&] { return state_.load(acquire) == done || has_passed(deadline); }))  // [thread_waiter.state] as above
      if (state_.load(acquire) == done) return true;
    const blocking_scope blocking;
    std::uint32_t seen = waiting;
    // [thread_waiter.state] acquire on both sides: `done` may be what is seen. A waiter that timed out before is sleeping already.
    if (!state_.compare_exchange(seen, sleeping, acquire, acquire) && seen == done) return true;
    for (;;) {
      park(state_, sleeping, deadline);
      if (state_.load(acquire) == done) return true;  // [thread_waiter.state] as above
      if (has_passed(deadline)) return false;
    }
  }

  static void resume_thread(waiter& self) noexcept {
    auto& state = static_cast<thread_waiter&>(self).state_;
    static_cast<thread_waiter&>(self).resumed_on_ = this_core();
    // [thread_waiter.state] acq_rel: the owner sees all that was written for it; after this it may be gone.
    if (state.exchange(done, acq_rel) == sleeping) unpark(&state, 1);
  }

  atomic<std::uint32_t> state_{waiting};
  int resumed_on_ = -1;  // the core of whoever resumed it, which wrote it before `done`
};

}  // namespace runnel::inline RUNNEL_ABI::detail
