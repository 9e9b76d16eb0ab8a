// The lock of a guarded value, and the queue of those who wait until the value is as they need it.
//
// 1. `word_` says whether the guard is held, whether anybody is queued (then the holder unlocks slowly), whether a woken
//    locker is on its way, and whether somebody has queued since the holder last looked (`news`: it looks again before it
//    lets go). A bit but `held` changes under `mutex_`, or by the woken locker that takes the guard.
// 2. Lockers: the first in the queue is woken to compete with newcomers; once it has waited for `patience`, it is handed the
//    guard. One that was woken in vain waits in `retry_`, before all the others.
// 3. Predicate waiters: only the holder calls a predicate, with the guard held and `mutex_` free. The record is `testing`
//    then, and does not leave the queue: its owner, if it wants to leave, waits for the end of the call.
// 4. The guard is handed over held: the waiter is claimed, owner_ names its thread, and it is resumed under no lock.
#pragma once

#include <runnel/detail/time.hpp>
#include <runnel/detail/wait.hpp>

#include <exception>
#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI::detail {

/// What a call that waits for a guard leaves in its node's `value`.
struct guard_record {
  using test_function = bool (*)(void* predicate, void* value);

  const void* thread = this_thread_id();
  time_point since;
  test_function test = nullptr;  // null: a locker
  void* predicate = nullptr;
  void* value = nullptr;
  std::exception_ptr error;  // what the predicate threw; given away by whoever called it
  enum : std::uint32_t { idle, testing, awaited };
  atomic<std::uint32_t> state{idle};
};

class guard_core {
 public:
  guard_core() noexcept = default;
  guard_core(const guard_core&) = delete;
  guard_core& operator=(const guard_core&) = delete;
  ~guard_core() {
    // relaxed: nobody else has it any more. A waiter that gave up has left the queued bit behind.
    RUNNEL_ASSERT((word_.load(relaxed) & (held | woken)) == 0 && retry_ == nullptr && lockers_.empty() && predicates_.empty());
  }

  /// Throws: std::logic_error if this thread holds the guard.
  void lock(const char* operation) {
    if (!try_lock()) {
      refuse_owner(operation);
      lock_slow();
    }
  }
  bool try_lock() noexcept {
    std::uint32_t seen = 0;
    // [guard.word] acquire: sees what was done under the guard before.
    if (!word_.compare_exchange(seen, held, acquire, relaxed) && !barge(seen, 0)) return false;
    owner_.store(this_thread_id(), relaxed);  // relaxed: only this thread looks for its own id
    return true;
  }
  void unlock() noexcept { release_guard(nullptr); }
  /// Says which thread holds the guard, which this one has taken. Null: a coroutine does, which may be on another when it goes on.
  void belong_to(const void* thread) noexcept { owner_.store(thread, relaxed); }  // relaxed: as in try_lock

  void refuse_owner(const char* operation) const {
    // relaxed: the id of this thread is there only if this thread, or who handed the guard to it, has written it
    if (owner_.load(relaxed) == this_thread_id())
      throw std::logic_error(std::string("runnel::guarded::") + operation + ": this thread holds the guard already");
  }

  /// Calls the predicate of a record with the guard held by this thread. Whatever it throws, the guard is free then.
  bool test_held(guard_record& record) {
    try {
      if (record.test(record.predicate, record.value)) return true;
    } catch (...) {
      unlock();
      throw;
    }
    return false;
  }

  /// Queues a predicate waiter and lets go of the guard, which this thread holds and under which the predicate was false.
  void queue_and_unlock(wait_node& node) noexcept {
    {
      const scoped_lock lock(mutex_);
      push(predicates_, node);
      word_.fetch_or(queued, relaxed);  // relaxed: this thread is the one that unlocks next
    }
    release_guard(&node);
  }
  /// Queues a predicate waiter if the guard is held. False: it was free, and this thread holds it now.
  bool queue_unless_free(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (!mark_or_take(0)) return false;
    push(predicates_, node);
    return true;
  }
  bool leave(wait_node& node) noexcept {
    guard_record& record = record_of(node);
    for (;;) {
      {
        const scoped_lock lock(mutex_);
        std::uint32_t seen = guard_record::testing;
        // relaxed, all of them: `state` changes to and from idle under the lock, which orders everything else
        if (!record.state.compare_exchange(seen, guard_record::awaited, relaxed, relaxed) && seen == guard_record::idle) {
          if (!node.queued) return false;
          predicates_.remove(node);
          return true;  // the queued bit stays until the next unlock looks
        }
      }
      while (record.state.load(relaxed) == guard_record::awaited) park(record.state, guard_record::awaited);
    }
  }

 private:
  enum : std::uint32_t { held = 1, queued = 2, woken = 4, news = 8 };
  static constexpr std::chrono::milliseconds patience{1};

  static guard_record& record_of(const wait_node& node) noexcept { return *static_cast<guard_record*>(node.value); }
  static void push(wait_queue& queue, wait_node& node) noexcept {
    record_of(node).since = now();
    queue.push(node);
  }

  /// Takes the guard if it is free, whoever is queued; clears these bits with it.
  bool barge(std::uint32_t seen, std::uint32_t clear) noexcept {
    while ((seen & held) == 0)
      if (word_.compare_exchange(seen, (seen | held) & ~clear, acquire, relaxed)) return true;  // [guard.word] as in try_lock
    return false;
  }
  /// Under the lock: takes the guard if it is free (false), else says that somebody is queued (true). Clears these bits.
  bool mark_or_take(std::uint32_t clear) noexcept {
    std::uint32_t seen = word_.load(relaxed);  // relaxed: barge acquires
    for (;;) {
      if (barge(seen, clear)) {
        owner_.store(this_thread_id(), relaxed);  // relaxed: as in try_lock
        return false;
      }
      seen = word_.load(relaxed);
      if ((seen & held) == 0) continue;
      // relaxed: the holder takes the lock before it looks at the queues
      if (word_.compare_exchange(seen, (seen | queued | news) & ~clear, relaxed, relaxed)) return true;
    }
  }

  RUNNEL_NOINLINE void lock_slow() noexcept {
    guard_record record;
    std::uint32_t clear = 0;
    for (;;) {
      for (int i = 0; i < pauses_before_park; ++i) {
        // relaxed: barge acquires
        if (barge(word_.load(relaxed), clear)) {
          owner_.store(this_thread_id(), relaxed);  // relaxed: as in try_lock
          return;
        }
        spin_hint();
      }
      thread_waiter self(false);
      wait_node node;
      node.owner = &self;
      node.value = &record;
      {
        const scoped_lock lock(mutex_);
        if (!mark_or_take(clear)) return;
        if (clear != 0) {
          RUNNEL_ASSERT(retry_ == nullptr);
          retry_ = &node;
        } else {
          push(lockers_, node);
        }
      }
      self.wait();
      if (node.outcome == status::ok) return;  // handed over
      clear = woken;
    }
  }

  /// `last`: the node that queued itself just now; its predicate is known to be false.
  void release_guard(const wait_node* last) noexcept {
    wake_list wakes;
    // relaxed, here and in unlock_slow: whoever takes the guard next writes its own id; until then nobody's is there
    const void* const self = owner_.load(relaxed);
    std::uint32_t seen = held;
    if (last != nullptr) seen = unlock_slow(last, wakes);
    while (seen != 0) {
      owner_.store(nullptr, relaxed);
      // [guard.word] release: publishes what was done under the guard to the next holder's acquire. The guard may be gone then.
      if (word_.compare_exchange(seen, seen & ~held, release, relaxed)) break;
      owner_.store(self, relaxed);  // predicates that use the guard are refused
      seen = unlock_slow(nullptr, wakes);
    }
    wakes.resume_all();
  }

  /// Looks for somebody to hand the guard to, or to wake. Returns: 0, when that was done; else the word under which the guard
  /// can be let go, if it is still the same once the lock is dropped: nobody waits under the lock for a guard that is gone.
  RUNNEL_NOINLINE std::uint32_t unlock_slow(const wait_node* last, wake_list& wakes) noexcept {
    scoped_lock lock(mutex_);
    check_invariants();
    wait_node* locker = retry_ != nullptr ? retry_ : lockers_.front();
    const bool starving = locker != nullptr && now() - record_of(*locker).since >= patience;
    wait_node* const ready = first_true(lock, last, starving ? record_of(*locker).since : never, wakes);
    locker = retry_ != nullptr ? retry_ : lockers_.front();  // one that was woken before may have come back
    std::uint32_t next = word_.load(relaxed) & woken;  // relaxed: while the guard and the lock are held nobody else changes it
    const void* owner = nullptr;
    const bool wakes_locker = ready == nullptr && locker != nullptr && (starving || next == 0);
    if (wakes_locker) {
      if (locker == retry_)
        retry_ = nullptr;
      else
        lockers_.remove(*locker);
      locker->outcome = starving ? status::ok : status::would_block;
      wakes.add(*locker);
      next |= starving ? held : woken;
      if (starving) owner = record_of(*locker).thread;
    } else {
      next |= held;
      if (ready != nullptr) owner = record_of(*ready).thread;
    }
    if (retry_ != nullptr || !lockers_.empty() || !predicates_.empty()) next |= queued;
    const bool passed_on = wakes_locker || ready != nullptr;
    if (passed_on) owner_.store(owner, relaxed);
    word_.store(next, release);  // [guard.word] release: as in release_guard
    return passed_on ? 0 : next;
  }

  /// Claims the first predicate waiter, of those queued before the limit, whose predicate is true. Drops the lock meanwhile.
  wait_node* first_true(scoped_lock& lock, const wait_node* last, time_point limit, wake_list& wakes) noexcept {
    for (wait_node* node = predicates_.front(); node != nullptr;) {
      guard_record& record = record_of(*node);
      if (record.since > limit) break;
      if (node == last) {
        node = node->behind();
        continue;
      }
      record.state.store(guard_record::testing, relaxed);  // relaxed: under the lock
      lock.unlock();
      bool come_true = false;
      std::exception_ptr error;
      try {
        come_true = record.test(record.predicate, record.value);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock(mutex_);
      wait_node* const next = node->behind();
      const bool ends = come_true || error != nullptr;
      bool claimed = false;
      if (ends) {
        predicates_.remove(*node);
        record.error = std::move(error);  // also if it has given up: the exception is not destroyed here, under the lock
        claimed = claim(*node);
        if (claimed) {
          node->outcome = status::ok;
          wakes.add(*node);
        }
      }
      // relaxed: its owner takes the lock next, or is resumed
      const auto* const state = &record.state;
      if (record.state.exchange(guard_record::idle, relaxed) == guard_record::awaited) unpark(state, 1);
      if (claimed && come_true) return node;
      node = next;
    }
    return nullptr;
  }

  void check_invariants() const noexcept {
    RUNNEL_ASSERT((word_.load(relaxed) & held) != 0);  // relaxed, as below: asked by the holder
    RUNNEL_ASSERT((word_.load(relaxed) & queued) != 0 || (retry_ == nullptr && lockers_.empty() && predicates_.empty()));
  }

  atomic<std::uint32_t> word_{0};
  atomic<const void*> owner_{nullptr};
  mutex mutex_;
  wait_queue lockers_;
  wait_queue predicates_;
  wait_node* retry_ = nullptr;
};

/// The event that a predicate is true and the guard is free; when it has happened, the caller holds the guard or an exception.
class guard_event final : public selectable {
 public:
  guard_event(guard_core& core, guard_record::test_function test, void* predicate, void* value) noexcept : core_(&core) {
    record_.test = test;
    record_.predicate = predicate;
    record_.value = value;
  }

  attempt try_now() override {
    if (!core_->try_lock()) return attempt::not_yet;
    if (core_->test_held(record_)) {
      core_->belong_to(record_.thread);
      return attempt::done;
    }
    core_->unlock();
    return attempt::not_yet;
  }
  void join(wait_node& node) override {
    node.value = &record_;
    if (!core_->try_lock() && core_->queue_unless_free(node)) return;
    if (!core_->test_held(record_)) return core_->queue_and_unlock(node);
    if (!claim(node)) return core_->unlock();
    core_->belong_to(record_.thread);
    node.outcome = status::ok;
    node.owner->resume();
  }
  bool leave(wait_node& node) noexcept override { return core_->leave(node); }
  bool finish(wait_node&) noexcept override { return true; }

  /// For a coroutine, before it is tried: the guard is held by no thread.
  void wait_as_coroutine() noexcept { record_.thread = nullptr; }

  [[nodiscard]] bool failed() const noexcept { return record_.error != nullptr; }
  /// Throws what the predicate threw, if it did; then the guard is not held.
  void rethrow() {
    if (record_.error != nullptr) std::rethrow_exception(std::exchange(record_.error, nullptr));
  }

 private:
  guard_core* core_;
  guard_record record_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
