// The lock of an rw_guarded value: many readers or one writer.
//
// 1. `word_` says whether a writer is inside, how many readers are, and whether anybody is queued. While somebody is queued nobody comes in
//    but through the queues, and all changes are made under `mutex_`, save that a reader who is not the last one leaves.
// 2. At rest, somebody is queued only while somebody is inside: whoever leaves last lets the next ones in.
// 3. Phases: a writer who leaves lets in all readers who have queued; the last reader who leaves lets in the first writer. So a writer
//    waits for the readers before it, a reader for one writer, however many of either come.
// 4. Who is let in is counted as inside, claimed, and resumed under no lock. Nobody who leaves touches the lock after that.
#pragma once

#include <runnel/detail/wait.hpp>

#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI::detail {

class rw_core {
 public:
  rw_core() noexcept = default;
  rw_core(const rw_core&) = delete;
  rw_core& operator=(const rw_core&) = delete;
  ~rw_core() { RUNNEL_ASSERT(word_.load(relaxed) == 0 && readers_.empty() && writers_.empty()); }  // relaxed: nobody else has it

  bool try_read() noexcept {
    std::uint32_t seen = word_.load(relaxed);  // relaxed: compared when it is changed
    return try_read(seen);
  }
  bool try_write() noexcept {
    std::uint32_t seen = 0;
    // [rw.word] acquire: sees what was done under the lock before.
    if (!word_.compare_exchange(seen, writing, acquire, relaxed)) return false;
    owner_.store(this_thread_id(), relaxed);  // relaxed: only this thread looks for its own id
    return true;
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
      // [rw.word] release: publishes what was done under the lock. It may be gone then.
      if (word_.compare_exchange(seen, 0, release, relaxed)) return;
      if (pass_on(writing)) return;
    }
  }
  /// Forgets which thread writes: a coroutine does, which may be on another thread when it goes on.
  void disown() noexcept { owner_.store(nullptr, relaxed); }  // relaxed: as in try_write

  /// Throws: std::logic_error if this thread is inside, as far as that is known: to write, or to read in a function.
  void refuse_inside(const char* operation) const;

  // What waits: `thread` is the node's value, null for a coroutine.

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
    {
      const scoped_lock lock(mutex_);
      // relaxed, all: whoever is inside takes the lock before it lets somebody in
      for (std::uint32_t seen = word_.load(relaxed); seen != 0 || !word_.compare_exchange(seen, writing, acquire, relaxed);) {
        if (seen != 0 && word_.compare_exchange(seen, seen | queued, relaxed, relaxed)) return writers_.push(node);
      }
    }
    if (!claim(node)) return end_write();
    owner_.store(node.value, relaxed);  // relaxed: as in try_write
    resume(node);
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
      let_in(wakes, false);  // readers may have waited for this writer alone
    }
    wakes.resume_all();
    return true;
  }

 private:
  enum : std::uint32_t { writing = 1, queued = 2, one_reader = 4 };

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
  /// The last one inside leaves, and lets in the next ones. False: nobody waits any more. It is still inside then: a lock that it left
  /// with the mutex held might be gone before it has let go of that.
  RUNNEL_NOINLINE bool pass_on(std::uint32_t who) noexcept {
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      if ((word_.load(relaxed) & queued) == 0) return false;  // relaxed: the bit changes under the lock
      // [rw.word] acq_rel: publishes what was done under the lock; the next writer sees that all others have read the value
      word_.fetch_sub(who, acq_rel);
      let_in(wakes, who == writing);
    }
    wakes.resume_all();
    return true;
  }
  /// Lets in whoever has waited for what has just ended. Under the lock.
  void let_in(wake_list& wakes, bool after_writer) noexcept {
    if ((word_.load(relaxed) & writing) != 0) return forget_queues();  // relaxed: it is set under the lock while somebody is queued
    if (after_writer || writers_.empty()) {
      while (wait_node* const reader = readers_.pop()) {
        if (!claim(*reader)) continue;
        word_.fetch_add(one_reader, relaxed);  // relaxed: the reader sees all through its waiter
        reader->outcome = status::ok;
        wakes.add(*reader);
      }
    }
    while (word_.load(relaxed) / one_reader == 0) {  // relaxed: as above
      wait_node* const writer = writers_.pop();
      if (writer == nullptr) break;
      if (!claim(*writer)) continue;
      word_.fetch_add(writing, relaxed);  // relaxed: as above
      owner_.store(writer->value, relaxed);
      writer->outcome = status::ok;
      wakes.add(*writer);
      break;
    }
    forget_queues();
  }
  void forget_queues() noexcept {
    // relaxed, both: the bit changes under the lock
    if (readers_.empty() && writers_.empty() && (word_.load(relaxed) & queued) != 0) word_.fetch_sub(queued, relaxed);
  }

  atomic<std::uint32_t> word_{0};
  atomic<const void*> owner_{nullptr};
  mutex mutex_;
  wait_queue readers_;
  wait_queue writers_;
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
  explicit rw_event(rw_core& core, const void* thread) noexcept : core_(&core), thread_(thread) {}

  attempt try_now() override {
    if (How == access::read ? core_->try_read() : core_->try_write()) return attempt::done;
    return attempt::not_yet;
  }
  void join(wait_node& node) override {
    node.value = const_cast<void*>(thread_);  // NOLINT(cppcoreguidelines-pro-type-const-cast): it is only compared
    How == access::read ? core_->join_read(node) : core_->join_write(node);
  }
  bool leave(wait_node& node) noexcept override { return How == access::read ? core_->leave_read(node) : core_->leave_write(node); }
  bool finish(wait_node&) noexcept override { return true; }

  void end() noexcept { How == access::read ? core_->end_read() : core_->end_write(); }

 private:
  rw_core* core_;
  const void* thread_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
