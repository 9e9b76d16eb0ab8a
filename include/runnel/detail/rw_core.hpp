// The lock of an rw_guarded value: many readers or one writer.
//
// 1. `word_` says whether a writer is inside, how many readers are, whether anybody is queued, and whether a woken writer is on its way.
//    While somebody is queued no reader comes in but through the queue, and all changes are made under `mutex_`, save that a reader who
//    is not the last one leaves, and that a writer takes the lock while it is free.
// 2. At rest, somebody is queued only while somebody is inside, or on its way: whoever leaves last sees to the next ones.
// 3. Phases: a writer who leaves lets in all readers who have queued; the last reader who leaves lets in the first writer. So a writer
//    waits for the readers before it, a reader for one writer, however many of either come.
// 4. From writer to writer the lock is not handed over, where only threads want it: the first that waits is woken, and competes with those
//    who run already; when it has waited for `patience`, it gets it. One that was woken in vain waits in front of all others.
// 5. Who is let in is counted as inside, claimed, and resumed under no lock. Nobody who leaves touches the lock after that.
#pragma once

#include <runnel/detail/wait.hpp>

#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI::detail {

/// What a call that waits leaves in its node's `value`.
struct rw_record {
  const void* thread;     // who waits; null for a coroutine
  bool competes = false;  // a thread that takes the lock itself when it is woken
  time_point since;
};

class rw_core {
 public:
  rw_core() noexcept = default;
  rw_core(const rw_core&) = delete;
  rw_core& operator=(const rw_core&) = delete;
  ~rw_core() {
    RUNNEL_ASSERT(word_.load(relaxed) == 0 && readers_.empty() && first_writer() == nullptr);  // relaxed: nobody else has it
  }

  bool try_read() noexcept {
    std::uint32_t seen = word_.load(relaxed);  // relaxed: compared when it is changed
    return try_read(seen);
  }
  bool try_write() noexcept {
    std::uint32_t seen = 0;
    // [rw.word] acquire: sees what was done under the lock before.
    if (!word_.compare_exchange(seen, writing, acquire, relaxed) && !barge(seen, 0)) return false;
    owner_.store(this_thread_id(), relaxed);  // relaxed: only this thread looks for its own id
    return true;
  }
  /// For a thread, which competes for the lock. Blocks: until it has it.
  RUNNEL_NOINLINE void write() noexcept {
    rw_record record{this_thread_id(), true, now()};
    for (std::uint32_t clear = 0;;) {
      for (int i = 0; i < pauses_before_park; ++i) {
        if (barge(word_.load(relaxed), clear)) return owner_.store(record.thread, relaxed);  // relaxed: as in try_write
        spin_hint();
      }
      thread_waiter self(false);
      wait_node node;
      node.owner = &self;
      node.value = &record;
      if (!queue_writer(node, clear)) return;
      self.wait();
      if (node.outcome == status::ok) return;  // handed over
      clear = woken;
    }
  }

  void end_read() noexcept {
    for (;;) {
      std::uint32_t seen = word_.load(relaxed);  // relaxed: compared when it is changed
      while (seen / one_reader > 1 || (seen & queued) == 0) {
        // [rw.word] release: the next writer sees that the value was read. The lock may be gone then.
        if (word_.compare_exchange(seen, seen - one_reader, release, relaxed)) return;
      }
      if (pass_on(one_reader)) return;
    }
  }
  void end_write() noexcept {
    owner_.store(nullptr, relaxed);  // relaxed: as in try_write
    for (;;) {
      std::uint32_t seen = writing;
      while ((seen & queued) == 0) {
        // [rw.word] release: publishes what was done under the lock. It may be gone then.
        if (word_.compare_exchange(seen, seen - writing, release, relaxed)) return;
      }
      if (pass_on(writing)) return;
    }
  }
  /// Says which thread writes, where this one has come in. Null: a coroutine does, which may be on another when it goes on.
  void belong_to(const void* thread) noexcept { owner_.store(thread, relaxed); }  // relaxed: as in try_write

  /// Throws: std::logic_error if this thread is inside, as far as that is known: to write, or to read in a function.
  void refuse_inside(const char* operation) const;

  // What waits; the node's value is its record.

  void join_read(wait_node& node) noexcept {
    {
      const scoped_lock lock(mutex_);
      std::uint32_t seen = word_.load(relaxed);  // relaxed: compared when it is changed
      while (!try_read(seen)) {
        // relaxed: whoever is inside takes the lock before it lets somebody in
        if (word_.compare_exchange(seen, seen | queued, relaxed, relaxed)) return readers_.push(node);
      }
    }
    if (claim(node)) return resume(node);
    end_read();
  }
  void join_write(wait_node& node) noexcept {
    if (queue_writer(node, 0)) return;
    if (claim(node)) return resume(node);
    end_write();
  }
  bool leave_read(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (!node.queued) return false;
    readers_.remove(node);
    forget_queues();
    return true;
  }
  bool leave_write(wait_node& node) noexcept {
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      if (!node.queued) return false;
      writers_.remove(node);
      // Readers may have waited for this writer alone. relaxed: the readers inside stay while somebody is queued, all but the last
      if (first_writer() == nullptr && word_.load(relaxed) / one_reader != 0) word_.fetch_add(let_readers_in(wakes), relaxed);
      forget_queues();
    }
    wakes.resume_all();
    return true;
  }

 private:
  enum : std::uint32_t { writing = 1, queued = 2, woken = 4, one_reader = 8 };
  static constexpr std::chrono::milliseconds patience{1};

  static const rw_record& record_of(const wait_node& node) noexcept { return *static_cast<const rw_record*>(node.value); }

  /// Takes the lock if nobody is inside, whoever is queued; clears these bits with it.
  bool barge(std::uint32_t seen, std::uint32_t clear) noexcept {
    while ((seen & writing) == 0 && seen / one_reader == 0)
      if (word_.compare_exchange(seen, (seen | writing) & ~clear, acquire, relaxed)) return true;  // [rw.word] as in try_write
    return false;
  }
  /// Queues a writer, in front if it was woken in vain. False: it is inside now. Clears these bits.
  RUNNEL_NOINLINE bool queue_writer(wait_node& node, std::uint32_t clear) noexcept {
    const scoped_lock lock(mutex_);
    for (std::uint32_t seen = word_.load(relaxed);;) {  // relaxed: compared when it is changed
      if (barge(seen, clear)) {
        owner_.store(record_of(node).thread, relaxed);  // relaxed: as in try_write
        return false;
      }
      seen = word_.load(relaxed);  // relaxed: as above
      if ((seen & writing) == 0 && seen / one_reader == 0) continue;
      // relaxed: whoever is inside takes the lock before it lets somebody in
      if (!word_.compare_exchange(seen, (seen | queued) & ~clear, relaxed, relaxed)) continue;
      RUNNEL_ASSERT(clear == 0 || retry_ == nullptr);
      if (clear == 0)
        writers_.push(node);
      else
        retry_ = &node;
      return true;
    }
  }
  [[nodiscard]] wait_node* first_writer() const noexcept { return retry_ != nullptr ? retry_ : writers_.front(); }

  /// Comes in unless a writer is there, or waits. False: `seen` is what stood in the way.
  bool try_read(std::uint32_t& seen) noexcept {
    while ((seen & (writing | queued)) == 0)
      if (word_.compare_exchange(seen, seen + one_reader, acquire, relaxed)) return true;  // [rw.word] acquire: as in try_write
    return false;
  }
  static void resume(wait_node& node) noexcept {
    node.outcome = status::ok;
    node.owner->resume();
  }
  /// The last one inside leaves, and sees to the next ones. False: it is not the last one, or nobody waits. It is still inside then: a lock
  /// that it left with the mutex held might be gone before it has let go of that.
  RUNNEL_NOINLINE bool pass_on(std::uint32_t who) noexcept {
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      // [rw.word] acquire: the next writer sees that the other readers have read the value
      const std::uint32_t seen = word_.load(acquire);
      if ((seen & queued) == 0 || seen / one_reader > 1) return false;
      // Nobody else changes the word now: it keeps readers and writers out.
      std::uint32_t next = seen & woken;
      if (who == writing || first_writer() == nullptr) next += let_readers_in(wakes);
      if (next / one_reader == 0) next = let_writer_in(wakes, next, who == writing);
      if (next == 0) next = let_readers_in(wakes);  // the writers that they have waited for have all given up
      if (first_writer() != nullptr || !readers_.empty()) next |= queued;
      word_.store(next, release);  // [rw.word] release: publishes what was done under the lock
    }
    wakes.resume_all();
    return true;
  }
  /// Hands the lock to the first writer, or wakes it. Returns: the word as it is then.
  std::uint32_t let_writer_in(wake_list& wakes, std::uint32_t next, bool after_writer) noexcept {
    while (wait_node* const writer = first_writer()) {
      const rw_record& record = record_of(*writer);
      const bool competes = after_writer && record.competes && now() - record.since < patience;
      if (competes && (next & woken) != 0) return next;  // one is on its way
      if (writer == retry_)
        retry_ = nullptr;
      else
        writers_.remove(*writer);
      if (!claim(*writer)) continue;
      writer->outcome = competes ? status::would_block : status::ok;
      wakes.add(*writer);
      if (!competes) owner_.store(record.thread, relaxed);  // relaxed: as in try_write
      return next | (competes ? woken : writing);
    }
    return next;
  }
  /// Returns: how many they are, in the word.
  std::uint32_t let_readers_in(wake_list& wakes) noexcept {
    std::uint32_t count = 0;
    while (wait_node* const reader = readers_.pop()) {
      if (!claim(*reader)) continue;
      count += one_reader;
      reader->outcome = status::ok;
      wakes.add(*reader);
    }
    return count;
  }
  void forget_queues() noexcept {
    // relaxed, both: the bit changes under the lock
    if (readers_.empty() && first_writer() == nullptr && (word_.load(relaxed) & queued) != 0) word_.fetch_sub(queued, relaxed);
  }

  atomic<std::uint32_t> word_{0};
  atomic<const void*> owner_{nullptr};
  mutex mutex_;
  wait_queue readers_;
  wait_queue writers_;
  wait_node* retry_ = nullptr;
};

/// Says that this thread reads, in a function. On its stack.
class read_scope {
 public:
  explicit read_scope(const rw_core& what) noexcept : what_(&what), outer_(std::exchange(this_thread().reads, this)) {}
  read_scope(const read_scope&) = delete;
  read_scope& operator=(const read_scope&) = delete;
  ~read_scope() { this_thread().reads = outer_; }

  /// Not inlined: a coroutine may be on another thread at each look.
  RUNNEL_NOINLINE static bool is_inside(const rw_core& what) noexcept {
    const read_scope* at = this_thread().reads;
    while (at != nullptr && at->what_ != &what) at = at->outer_;
    return at != nullptr;
  }

 private:
  const rw_core* what_;
  const read_scope* outer_;
};

inline void rw_core::refuse_inside(const char* operation) const {
  // relaxed: the id of this thread is there only if this thread, or who let it in, has written it
  const bool writes = owner_.load(relaxed) == this_thread_id();
  if (writes || read_scope::is_inside(*this))
    throw std::logic_error(std::string("runnel::rw_guarded::") + operation + ": this thread " + (writes ? "writes" : "reads") +
                           " the value already");
}

enum class access : std::uint8_t { read, write };

/// The event that the caller is inside, to read or to write.
template <access How>
class rw_event final : public selectable {
 public:
  explicit rw_event(rw_core& core, const void* thread) noexcept : core_(&core), record_{thread, false, {}} {}

  attempt try_now() override {
    if (How == access::read ? !core_->try_read() : !core_->try_write()) return attempt::not_yet;
    if (How == access::write) core_->belong_to(record_.thread);
    return attempt::done;
  }
  void join(wait_node& node) override {
    node.value = &record_;
    How == access::read ? core_->join_read(node) : core_->join_write(node);
  }
  bool leave(wait_node& node) noexcept override { return How == access::read ? core_->leave_read(node) : core_->leave_write(node); }
  bool finish(wait_node&) noexcept override { return true; }

  void end() noexcept { How == access::read ? core_->end_read() : core_->end_write(); }

 private:
  rw_core* core_;
  rw_record record_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
