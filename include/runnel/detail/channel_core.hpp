// What all handles of one channel share: a store, and the calls that wait for it to have room or a value.
//
// Three stores: none (rendezvous: values go from call to call), a ring (exactly n), segments (unbounded). The fast paths
// touch the store and one word, `state`; the lock W and the queues are used only when somebody waits.
//
// 6. A state without RECEIVERS means that nobody is queued to receive, outside W; likewise SENDERS.
// 7. At rest: a queued receiver means an empty, open channel; a queued sender a full, open one; at rendezvous no pair waits
//    that could meet.
// 8. No wake-up is lost: a sender claims the tail, then reads `state`; a receiver sets RECEIVERS, then reads the tail; all
//    four are seq_cst, so one of them sees the other. Receivers and SENDERS mirror it. settle() restores 7 under W.
// 10. Each waiter ends once: ok, closed, or withdrawn by its owner.      12. A thread holds at most one W.
// 13. A value goes straight to a waiting receiver only under W, when the store was seen empty: one sender's values stay in order.
// 14. A queue is served in order, skipping only selects that were claimed elsewhere.
// 15. close succeeds once; every call that is queued then ends.
// Under W only values are moved (T's move constructor, and the destructor of what was moved from): nothing else of the user's.
#pragma once

#include <runnel/detail/ring.hpp>
#include <runnel/detail/segments.hpp>
#include <runnel/detail/type_name.hpp>
#include <runnel/selectable.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

/// What a channel<void> carries.
struct nothing {};

template <class T>
using payload = std::conditional_t<std::is_void_v<T>, nothing, T>;

enum class store_kind : std::uint8_t { rendezvous, bounded, unbounded };

/// What a handle counts as: the low half of a channel's count are those that can send, the high half those that can receive.
inline constexpr std::uint64_t one_sender = 1;
inline constexpr std::uint64_t one_receiver = std::uint64_t{1} << 32;

template <class T>
class channel_core {
  static_assert(
      std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
      "runnel: a channel's values must be nothrow-movable: a throwing move could lose a value (send a std::unique_ptr instead)");

 public:
  /// Made with one handle of both kinds, which the caller adopts.
  explicit channel_core(std::size_t capacity, std::uint64_t first_lap = 0) {
    if (capacity == 0) return;
    if (capacity > ring<T>::max_capacity())
      throw std::length_error("runnel: channel<" + std::string(type_name<T>()) + ">: a capacity of " + std::to_string(capacity) +
                              " (negative before it was converted?)");
    ring_.allocate(capacity, first_lap);
    kind_ = store_kind::bounded;
  }
  struct unbounded_store {};
  explicit channel_core(unbounded_store) : segments_(new segments<T>), kind_(store_kind::unbounded) {}
  channel_core(const channel_core&) = delete;
  channel_core& operator=(const channel_core&) = delete;

  // Handles.

  void acquire_handles(std::uint64_t handles) noexcept {
    handles_.fetch_add(handles, relaxed);  // [channel_core.handles] relaxed: whoever copies a handle has one
  }
  /// Drops a handle; the last sender's closes the channel, the last receiver's also destroys what is buffered.
  void release_handles(std::uint64_t handles) noexcept {
    // [channel_core.handles] acq_rel: whoever ends a side sees all that was done through the side's other handles.
    const std::uint64_t before = handles_.fetch_sub(handles, acq_rel);
    const std::uint64_t after = before - handles;
    const auto ended = [&](std::uint64_t mask) { return (before & mask) != 0 && (after & mask) == 0; };
    const bool last_sender = ended(one_receiver - 1);
    const bool last_receiver = ended(~(one_receiver - 1));
    if (!last_sender && !last_receiver) return;
    end_store();
    if (last_receiver) discard();
    const std::uint32_t sides = (last_sender ? 1U : 0U) + (last_receiver ? 1U : 0U);
    // [channel_core.sides] acq_rel: whoever ends the second side sees that the first is done with the channel.
    if (sides_.fetch_sub(sides, acq_rel) == sides) delete this;
  }

  // Trying. `value` is moved from, and `to` filled, exactly if the answer is `done`.

  RUNNEL_ALWAYS_INLINE trial try_send(T& value) {
    // [channel_core.state] relaxed: a hint; what it says is looked at again under W.
    if (kind_ == store_kind::bounded && state_.load(relaxed) == 0) [[likely]] {
      const trial sent = ring_.try_push(value);
      // [channel_core.state] seq_cst, after the claim of the tail: invariant 8.
      if (sent == trial::done && (state_.load(seq_cst) & receivers_wait) != 0) [[unlikely]]
        settle();
      return sent;
    }
    return try_send_slow(value);
  }
  RUNNEL_ALWAYS_INLINE trial try_recv(T* to) noexcept {
    if (kind_ == store_kind::bounded && (state_.load(relaxed) & receivers_wait) == 0) [[likely]] {  // [channel_core.state] as above
      const trial received = ring_.try_pop(to);
      // [channel_core.state] seq_cst, after the claim of the head: invariant 8.
      if (received == trial::done && (state_.load(seq_cst) & senders_wait) != 0) [[unlikely]]
        settle();
      return received;
    }
    return try_recv_slow(to);
  }

  /// Sends at most `most` for which a ring has room, each made by fill(T*). Returns: how many; 0 also where try_send may say more.
  template <class Fill>
  std::size_t try_send_batch(std::size_t most, Fill fill) noexcept {
    if (kind_ != store_kind::bounded || state_.load(relaxed) != 0) return 0;  // [channel_core.state] as above
    const std::size_t count = ring_.try_push_many(most, fill);
    if (count != 0 && (state_.load(seq_cst) & receivers_wait) != 0) settle();  // [channel_core.state] seq_cst: as above
    return count;
  }
  /// Appends what a ring has, at most `most`, for which there is room in `out`. Returns: how many; 0 also where try_recv may say more.
  std::size_t try_recv_batch(std::vector<T>& out, std::size_t most) noexcept {
    if (kind_ != store_kind::bounded || (state_.load(relaxed) & receivers_wait) != 0) return 0;  // [channel_core.state] as above
    const std::size_t count = ring_.try_pop_many(most, [&out](T&& value) { out.push_back(std::move(value)); });
    if (count != 0 && (state_.load(seq_cst) & senders_wait) != 0) settle();  // [channel_core.state] seq_cst: as above
    return count;
  }

  /// For the one sender of a bounded channel: whether it would have to wait. If it joins without a value, it waits until it would not.
  [[nodiscard]] bool is_full() const noexcept { return ring_.is_full(); }
  /// The same: takes the oldest value, to the raw storage at `to`, if the channel is full.
  bool pop_if_full(T* to) noexcept { return ring_.pop_if_full(to); }

  // Waiting: the node's value is where the value is, or goes.

  void join_senders(wait_node& node) noexcept { join(node, senders_, receivers_, true); }
  void join_receivers(wait_node& node) noexcept { join(node, receivers_, senders_, false); }
  bool leave_senders(wait_node& node) noexcept { return leave(node, senders_); }
  bool leave_receivers(wait_node& node) noexcept { return leave(node, receivers_); }

  // Closing.

  /// False: close() was called before.
  bool close() noexcept {
    wake_list wakes;
    scoped_lock lock(w_);
    if (std::exchange(close_called_, true)) return false;
    end_store_locked(wakes);
    lock.unlock();
    wakes.resume_all();
    return true;
  }
  /// Closes the channel as close() does, unless it is closed.
  void close_if_open() noexcept {
    if (!closed()) close();
  }

  [[nodiscard]] bool closed() const noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.closed();
      case store_kind::unbounded: return segments_->closed();
      case store_kind::rendezvous: break;
    }
    return (state_.load(acquire) & closed_bit) != 0;  // [channel_core.state] acquire: close happens before whoever sees it
  }
  [[nodiscard]] bool drained() const noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.drained();
      case store_kind::unbounded: return segments_->drained();
      case store_kind::rendezvous: break;
    }
    return closed();
  }
  [[nodiscard]] std::size_t size() const noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.size();
      case store_kind::unbounded: return segments_->size();
      case store_kind::rendezvous: break;
    }
    return 0;
  }
  [[nodiscard]] std::size_t capacity() const noexcept {
    return kind_ == store_kind::unbounded ? std::numeric_limits<std::size_t>::max() : ring_.capacity();
  }

  // Stamps: while one does not change, an operation that could not happen still cannot. A try of several channels that finds
  // all stamps as they were before it has seen them all at one instant.

  [[nodiscard]] std::uint64_t recv_stamp() const noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.push_stamp();
      case store_kind::unbounded: return segments_->push_stamp();
      case store_kind::rendezvous: break;
    }
    return arrivals_.load(seq_cst);  // [channel_core.arrivals] seq_cst: between two equal reads nobody has queued
  }
  [[nodiscard]] std::uint64_t send_stamp() const noexcept {
    return kind_ == store_kind::bounded ? ring_.pop_stamp() : arrivals_.load(seq_cst);  // [channel_core.arrivals] as above
  }

  /// For messages: "channel<int> (capacity 4)".
  [[nodiscard]] std::string describe() const {
    const std::string size = kind_ == store_kind::unbounded ? "unbounded" : "capacity " + std::to_string(capacity());
    return "channel<" + std::string(std::is_same_v<T, nothing> ? "void" : type_name<T>()) + "> (" + size + ")";
  }

  /// How many calls are queued to receive and to send: for tests, which wait for a peer to wait.
  [[nodiscard]] std::pair<std::size_t, std::size_t> queued() noexcept {
    const scoped_lock lock(w_);
    return {receivers_.size(), senders_.size()};
  }

 private:
  static constexpr std::uint32_t receivers_wait = 1;
  static constexpr std::uint32_t senders_wait = 2;
  static constexpr std::uint32_t closed_bit = 4;  // rendezvous only: a store keeps its own

  ~channel_core() { delete segments_; }

  trial store_push(T& value) noexcept {
    // Nobody queues to send where there is always room.
    return kind_ == store_kind::bounded ? ring_.try_push(value) : trial::would_block;
  }
  trial store_pop(T* to) noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.try_pop(to);
      case store_kind::unbounded: return segments_->try_pop(to);
      case store_kind::rendezvous: break;
    }
    return closed() ? trial::closed : trial::would_block;
  }

  /// [channel_core.state] seq_cst: set before the store is looked at again: invariant 8.
  void set_waiting() noexcept {
    const std::uint32_t next = (receivers_.empty() ? 0U : receivers_wait) | (senders_.empty() ? 0U : senders_wait) |
                               (state_.load(relaxed) & closed_bit);  // relaxed: written under W alone
    if (state_.load(relaxed) != next) state_.store(next, seq_cst);
  }

  static void complete(wait_node& node, status outcome, wake_list& wakes) noexcept {
    node.outcome = outcome;
    wakes.add(node);
  }

  /// Serves a queue from the store until it does not go on: `step` pushes or pops for a node. True: somebody was served.
  template <class Step>
  static bool serve(wait_queue& queue, wake_list& wakes, Step step) noexcept {
    bool served = false;
    while (wait_node* node = queue.front()) {
      const bool multi = node->owner->multi();
      if (multi && !node->owner->lock()) {
        queue.remove(*node);
        continue;
      }
      const trial outcome = step(static_cast<T*>(node->value));
      if (outcome == trial::would_block) {
        if (multi) node->owner->abandon();
        break;
      }
      queue.remove(*node);
      if (multi) node->owner->commit(node->index);
      complete(*node, outcome == trial::done ? status::ok : status::closed, wakes);
      served = true;
    }
    return served;
  }

  /// Restores invariant 7. Under W.
  void settle_locked(wake_list& wakes) noexcept {
    bool served = true;
    while (served) {
      served = serve(receivers_, wakes, [this](T* to) { return store_pop(to); });
      if (kind_ == store_kind::bounded)
        served |= serve(senders_, wakes, [this](T* from) {
          if (from != nullptr) return store_push(*from);
          return is_full() ? trial::would_block : trial::done;
        });
    }
    set_waiting();
    check_invariants();
  }
  RUNNEL_NOINLINE void settle() noexcept {
    wake_list wakes;
    scoped_lock lock(w_);
    settle_locked(wakes);
    lock.unlock();
    wakes.resume_all();
  }

  static void hand_over(T* from, T* to) noexcept { std::construct_at(to, std::move(*from)); }

  RUNNEL_NOINLINE trial try_send_slow(T& value) {
    for (;;) {
      const std::uint32_t seen = state_.load(seq_cst);  // [channel_core.state] seq_cst: nobody waited at this instant
      if (seen == 0 && kind_ == store_kind::rendezvous) return trial::would_block;
      if ((seen & receivers_wait) == 0 && kind_ == store_kind::unbounded) {
        const trial sent = segments_->try_push(value);
        // [channel_core.state] seq_cst, after the claim of the tail: invariant 8.
        if (sent == trial::done && (state_.load(seq_cst) & receivers_wait) != 0) settle();
        return sent;
      }
      wake_list wakes;
      scoped_lock lock(w_);
      const trial sent = try_send_locked(value, wakes);
      lock.unlock();
      wakes.resume_all();
      // Without bound there is room, once W is dropped: segments are not allocated under it.
      if (sent != trial::would_block || kind_ != store_kind::unbounded) return sent;
    }
  }
  trial try_send_locked(T& value, wake_list& wakes) noexcept {
    if (closed()) return trial::closed;
    settle_locked(wakes);
    while (wait_node* node = receivers_.pop()) {  // the store was seen empty: invariant 13
      if (!claim(*node)) continue;
      hand_over(std::addressof(value), static_cast<T*>(node->value));
      complete(*node, status::ok, wakes);
      set_waiting();
      return trial::done;
    }
    set_waiting();
    return senders_.empty() ? store_push(value) : trial::would_block;
  }

  RUNNEL_NOINLINE trial try_recv_slow(T* to) noexcept {
    const std::uint32_t seen = state_.load(seq_cst);  // [channel_core.state] seq_cst: nobody waited at this instant
    if (seen == 0 && kind_ == store_kind::rendezvous) return trial::would_block;
    if ((seen & receivers_wait) == 0 && kind_ == store_kind::unbounded) return segments_->try_pop(to);
    wake_list wakes;
    scoped_lock lock(w_);
    const trial received = try_recv_locked(to, wakes);
    lock.unlock();
    wakes.resume_all();
    return received;
  }
  trial try_recv_locked(T* to, wake_list& wakes) noexcept {
    settle_locked(wakes);
    if (kind_ == store_kind::rendezvous) {
      while (wait_node* node = senders_.pop()) {
        if (!claim(*node)) continue;
        hand_over(static_cast<T*>(node->value), to);
        complete(*node, status::ok, wakes);
        set_waiting();
        return trial::done;
      }
      set_waiting();
    }
    if (!receivers_.empty()) return trial::would_block;
    const trial received = store_pop(to);
    if (received == trial::done) settle_locked(wakes);
    return received;
  }

  void join(wait_node& node, wait_queue& own, wait_queue& other, bool sends) noexcept {
    wake_list wakes;
    scoped_lock lock(w_);
    if (kind_ == store_kind::rendezvous) {
      if (closed()) {
        if (claim(node)) complete(node, status::closed, wakes);
      } else if (!meet(node, other, sends, wakes)) {
        own.push(node);
      }
      set_waiting();
      // [channel_core.arrivals] seq_cst, after the state: who still read "nobody waits" there reads another stamp later.
      if (node.queued) arrivals_.fetch_add(1, seq_cst);
      check_invariants();
    } else {
      own.push(node);
      set_waiting();
      settle_locked(wakes);
    }
    lock.unlock();
    wakes.resume_all();
  }

  /// Rendezvous: pairs an arriving call with the first queued one that can be had. True: there is nothing left to wait for.
  bool meet(wait_node& node, wait_queue& other, bool sends, wake_list& wakes) noexcept {
    for (wait_node* peer = other.front(); peer != nullptr;) {
      wait_node* const next = peer->next;
      if (peer->owner != node.owner) {  // a select never meets itself
        switch (claim_both(node, *peer)) {
          case both_claimed::both: {
            other.remove(*peer);
            T* const from = static_cast<T*>(sends ? node.value : peer->value);
            hand_over(from, static_cast<T*>(sends ? peer->value : node.value));
            complete(*peer, status::ok, wakes);
            complete(node, status::ok, wakes);
            return true;
          }
          case both_claimed::not_first: return true;  // our select was claimed at another of its channels
          case both_claimed::not_second: other.remove(*peer); break;
        }
      }
      peer = next;
    }
    return false;
  }

  bool leave(wait_node& node, wait_queue& queue) noexcept {
    const scoped_lock lock(w_);
    if (!node.queued) return false;
    queue.remove(node);
    set_waiting();
    return true;
  }

  void end_store() noexcept {
    wake_list wakes;
    scoped_lock lock(w_);
    end_store_locked(wakes);
    lock.unlock();
    wakes.resume_all();
  }
  void end_store_locked(wake_list& wakes) noexcept {
    switch (kind_) {
      case store_kind::bounded: ring_.close(); break;
      case store_kind::unbounded: segments_->close(); break;
      case store_kind::rendezvous:
        // [channel_core.state] seq_cst: what the closer did before is visible to whoever sees `closed`.
        state_.fetch_or(closed_bit, seq_cst);
        arrivals_.fetch_add(1, seq_cst);  // [channel_core.arrivals] as in join
        wakes.add_all(senders_, status::closed);
        break;
    }
    settle_locked(wakes);
  }
  /// Destroys what is buffered. The channel is closed and nobody can receive.
  void discard() noexcept {
    for (storage<T> room; store_pop(room.get()) == trial::done;) std::destroy_at(room.get());
  }

  void check_invariants() const noexcept {
    RUNNEL_ASSERT(receivers_.empty() == ((state_.load(relaxed) & receivers_wait) == 0));  // relaxed: under W
    RUNNEL_ASSERT(senders_.empty() == ((state_.load(relaxed) & senders_wait) == 0));
    RUNNEL_ASSERT(kind_ == store_kind::rendezvous || receivers_.empty() || !closed());
    RUNNEL_ASSERT(kind_ != store_kind::unbounded || senders_.empty());
    if (kind_ == store_kind::bounded) ring_.check_invariants();
  }

  [[no_unique_address]] ring<T> ring_;  // its last cache line is read-mostly, as is what follows
  segments<T>* segments_ = nullptr;
  atomic<std::uint32_t> state_{0};
  store_kind kind_ = store_kind::rendezvous;

  alignas(cache_line) mutex w_;
  bool close_called_ = false;  // by hand: a second call is an error
  wait_queue receivers_;
  wait_queue senders_;
  atomic<std::uint64_t> arrivals_{0};  // rendezvous: how often a call has queued, or the channel closed

  alignas(cache_line) atomic<std::uint64_t> handles_{one_sender + one_receiver};
  atomic<std::uint32_t> sides_{2};  // [channel_core.sides] that are still in use: those that send, those that receive
};

}  // namespace runnel::inline RUNNEL_ABI::detail
