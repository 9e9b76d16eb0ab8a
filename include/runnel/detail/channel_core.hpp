// What all handles of one channel share: a store, and the calls that wait for it to have room or a value.
//
// The fast paths touch the store and the flags that the lock W shows; W and the queues are used only when somebody waits.
//
// 6. Without the flag RECEIVERS nobody is queued to receive, outside W; likewise SENDERS.
// 7. At rest: a queued receiver means an empty, open channel; a queued sender a full, open one; at rendezvous no pair waits
//    that could meet.
// 8. No wake-up is lost: a sender claims the tail, then reads the flags; a receiver locks W, which shows RECEIVERS, then reads
//    the tail; all four are seq_cst, so one of them sees the other. Receivers and SENDERS mirror it. settle() restores 7 under W.
// 10. Each waiter ends once: ok, closed, or withdrawn by its owner.      12. A thread holds at most one W.
// 13. A value goes straight to a waiting receiver only under W, when the store was seen empty: one sender's values stay in order.
// 14. A queue is served in order, skipping only selects that were claimed elsewhere.
// 15. close succeeds once; every call that is queued then ends.
// Under W only values are moved (T's move constructor, and the destructor of what was moved from): nothing else of the user's.
#pragma once

#include <runnel/detail/channel_store.hpp>
#include <runnel/detail/serve.hpp>
#include <runnel/selectable.hpp>

#include <memory>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

/// What a handle counts as: the low half of a channel's count are those that can send, the high half those that can receive.
inline constexpr std::uint64_t one_sender = 1;
inline constexpr std::uint64_t one_receiver = std::uint64_t{1} << 32;

template <class T>
class channel_core : public channel_store<T> {
  using store = channel_store<T>;

 public:
  using typename store::unbounded_store;
  /// Made with one handle of both kinds, which the caller adopts.
  explicit channel_core(std::size_t capacity, std::uint64_t first_lap = 0) : store(capacity, first_lap) {}
  explicit channel_core(unbounded_store size) : store(size) {}
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
    if (last_receiver) store::discard();
    const std::uint32_t sides = (last_sender ? 1U : 0U) + (last_receiver ? 1U : 0U);
    // [channel_core.sides] acq_rel: whoever ends the second side sees that the first is done with the channel.
    if (sides_.fetch_sub(sides, acq_rel) == sides) delete this;
  }

  // Trying. `value` is moved from, and `to` filled, exactly if the answer is `done`.

  /// Whether a ring has room, or a value, and nobody waits for it. If not, try_send_again and try_recv_again say what is so.
  RUNNEL_ALWAYS_INLINE bool send_at_once(T& value) noexcept {
    // [channel_core.w] relaxed: a hint; what it says is looked at again under W.
    if (kind_ != store_kind::bounded || w_.flags(relaxed) != 0 || !ring_.push_at_once(value)) [[unlikely]]
      return false;
    // [channel_core.w] seq_cst, after the claim of the tail: invariant 8.
    if ((w_.flags(seq_cst) & receivers_wait) != 0) [[unlikely]]
      settle();
    return true;
  }
  RUNNEL_ALWAYS_INLINE bool recv_at_once(T* to) noexcept {
    // [channel_core.w] as above
    if (kind_ != store_kind::bounded || (w_.flags(relaxed) & receivers_wait) != 0 || !ring_.pop_at_once(to)) [[unlikely]]
      return false;
    // [channel_core.w] seq_cst, after the claim of the head: invariant 8.
    if ((w_.flags(seq_cst) & senders_wait) != 0) [[unlikely]]
      settle();
    return true;
  }
  RUNNEL_ALWAYS_INLINE trial try_send_again(T& value) {
    if (kind_ != store_kind::rendezvous) return try_send_slow(value);
    return nobody_waits() ? trial::would_block : meet_queued<true>(std::addressof(value));
  }
  RUNNEL_ALWAYS_INLINE trial try_recv_again(T* to) noexcept {
    if (kind_ != store_kind::rendezvous) return try_recv_slow(to);
    return nobody_waits() ? trial::would_block : meet_queued<false>(to);
  }
  RUNNEL_ALWAYS_INLINE trial try_send(T& value) { return send_at_once(value) ? trial::done : try_send_again(value); }
  RUNNEL_ALWAYS_INLINE trial try_recv(T* to) noexcept { return recv_at_once(to) ? trial::done : try_recv_again(to); }

  /// Sends at most `most` for which a ring has room, each made by fill(T*). Returns: how many; 0 also where try_send may say more.
  template <class Fill>
  std::size_t try_send_batch(std::size_t most, Fill fill) noexcept {
    if (kind_ != store_kind::bounded || w_.flags(relaxed) != 0) return 0;  // [channel_core.w] as above
    const std::size_t count = ring_.try_push_many(most, fill);
    if (count != 0 && (w_.flags(seq_cst) & receivers_wait) != 0) settle();  // [channel_core.w] seq_cst: as above
    return count;
  }
  /// Appends what a ring has, at most `most`, for which there is room in `out`. Returns: how many; 0 also where try_recv may say more.
  std::size_t try_recv_batch(std::vector<T>& out, std::size_t most) noexcept {
    if (kind_ != store_kind::bounded || (w_.flags(relaxed) & receivers_wait) != 0) return 0;  // [channel_core.w] as above
    const std::size_t count = ring_.try_pop_many(most, [&out](T&& value) { out.push_back(std::move(value)); });
    if (count != 0 && (w_.flags(seq_cst) & senders_wait) != 0) settle();  // [channel_core.w] seq_cst: as above
    return count;
  }

  // Waiting: the node's value is where the value is, or goes.

  void join_senders(wait_node& node) noexcept { join<true>(node); }
  void join_receivers(wait_node& node) noexcept { join<false>(node); }
  bool leave_senders(wait_node& node) noexcept { return leave(node, senders_); }
  bool leave_receivers(wait_node& node) noexcept { return leave(node, receivers_); }

  // Closing.

  /// False: close() was called before.
  bool close() noexcept {
    section under_w(*this, shown_at_end());
    if (std::exchange(close_called_, true)) return false;
    end_store_locked(under_w.wakes);
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
    return (w_.flags(acquire) & closed_bit) != 0;  // [channel_core.w] acquire: close happens before whoever sees it
  }
  [[nodiscard]] bool drained() const noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.drained();
      case store_kind::unbounded: return segments_->drained();
      case store_kind::rendezvous: break;
    }
    return closed();
  }

  // Stamps: while one does not change, an operation that could not happen still cannot. A try of several channels that finds
  // all stamps as they were before it has seen them all at one instant.

  [[nodiscard]] std::uint64_t recv_stamp() const noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.push_stamp();
      case store_kind::unbounded: return segments_->push_stamp();
      case store_kind::rendezvous: break;
    }
    return meeting_stamp();
  }
  [[nodiscard]] std::uint64_t send_stamp() const noexcept {
    return kind_ == store_kind::bounded ? ring_.pop_stamp() : meeting_stamp();
  }

  /// How many calls are queued to receive and to send: for tests, which wait for a peer to wait.
  [[nodiscard]] std::pair<std::size_t, std::size_t> queued() noexcept {
    const section under_w(*this);
    return {receivers_.size(), senders_.size()};
  }

 private:
  static constexpr std::uint32_t receivers_wait = flag_lock::first_flag;
  static constexpr std::uint32_t senders_wait = 2 * flag_lock::first_flag;
  template <bool Sends>
  static constexpr std::uint32_t flag_of = Sends ? senders_wait : receivers_wait;
  static constexpr std::uint32_t closed_bit = 4 * flag_lock::first_flag;  // rendezvous only: a store keeps its own

  /// Holds W, which shows these flags at once; then resumes whom it has served. At its end W shows who is queued.
  class section {
   public:
    explicit section(channel_core& core, std::uint32_t shown = 0, bool locked = false) noexcept : core_(core) {
      if (!locked) core_.w_.lock(shown);
    }
    section(const section&) = delete;
    section& operator=(const section&) = delete;
    ~section() {
      core_.w_.unlock(core_.flags_locked());
      wakes.resume_all();  // the core may be gone from here on
    }

    wake_list wakes;

   private:
    channel_core& core_;
  };

  [[nodiscard]] std::uint32_t flags_locked() const noexcept {
    return (receivers_.empty() ? 0U : receivers_wait) | (senders_.empty() ? 0U : senders_wait) | (ended_ ? closed_bit : 0U);
  }
  /// Nobody waits, at one instant; and a rendezvous channel is not closed.
  [[nodiscard]] bool nobody_waits() const noexcept { return w_.flags(seq_cst) == 0; }  // [channel_core.w] seq_cst: with lock
  /// Between two equal stamps nobody has queued, and the channel has not closed.
  [[nodiscard]] std::uint64_t meeting_stamp() const noexcept {
    // [channel_core.w] seq_cst, before the count: whose queueing is seen, or undone, is counted, for he counted under W.
    const std::uint64_t shown = w_.flags(seq_cst);
    // [channel_core.arrivals] acquire: of whom is counted the flag is seen by the try that follows.
    return arrivals_.load(acquire) * (std::uint64_t{8} * flag_lock::first_flag) + shown;
  }
  void count_arrival() noexcept {
    arrivals_.store(arrivals_.load(relaxed) + 1, release);  // [channel_core.arrivals] as above; relaxed: written under W alone
  }

  ~channel_core() = default;

  trial store_pop(T* to) noexcept { return ended_ ? trial::closed : store::store_pop(to); }

  /// Whether invariant 7 holds for certain if calls are queued on this side alone: nobody is on the other, and there is no value for
  /// them, or no room, at one instant at which it is not closed. Under W.
  template <bool Sends>
  [[nodiscard]] bool must_wait() const noexcept {
    if (!(Sends ? receivers_ : senders_).empty()) return false;
    if (kind_ == store_kind::bounded) return Sends ? ring_.is_full() : ring_.is_empty();
    return kind_ == store_kind::rendezvous && !ended_;
  }
  /// Restores invariant 7. Under W.
  void settle_locked(wake_list& wakes) noexcept {
    for (bool again = true; again;) {
      serve(receivers_, wakes, [this](void* to) { return store_pop(static_cast<T*>(to)); });
      if (kind_ != store_kind::bounded) break;
      const bool sent = serve(senders_, wakes, [this](void* from) {
        if (from != nullptr) return ring_.try_push(*static_cast<T*>(from));
        return this->is_full() ? trial::would_block : trial::done;
      });
      again = sent && !receivers_.empty();
    }
    check_invariants();
  }
  RUNNEL_NOINLINE void settle() noexcept {
    if (!w_.try_lock()) return settle_slow(false);
    wait_node* const peer = senders_.front();
    if (!receivers_.empty() || peer == nullptr || !is_only(*peer) || peer->value == nullptr) return settle_slow(true);
    if (ring_.try_push(*static_cast<T*>(peer->value)) != trial::done) return settle_slow(true);
    end_wait<true>(*peer);
  }
  RUNNEL_NOINLINE void settle_slow(bool locked) noexcept {
    section under_w(*this, 0, locked);
    settle_locked(under_w.wakes);
  }
  /// Whether it is alone in its queue and in its wait.
  static bool is_only(const wait_node& node) noexcept { return node.next == nullptr && !node.owner->multi(); }
  /// Ends the wait of the first in its queue, which is alone in it, after W is dropped. Nobody is in the other queue.
  template <bool Sends>
  void end_wait(wait_node& first) noexcept {
    wait_queue& queue = queue_of<Sends>();
    queue.pop_front();
    first.outcome = status::ok;
    check_invariants();
    w_.unlock(queue.empty() ? 0U : flag_of<Sends>);
    first.owner->resume();
  }

  static void hand_over(T* from, T* to) noexcept { std::construct_at(to, std::move(*from)); }

  // What is rare is a function of its own, called last: so the code before it saves no registers.

  RUNNEL_NOINLINE trial try_send_slow(T& value) {
    if (kind_ == store_kind::bounded) {
      if (w_.flags(relaxed) != 0) return meet_queued<true>(std::addressof(value));  // [channel_core.w] as in send_at_once
      const trial sent = ring_.try_push(value);
      if (sent == trial::done && (w_.flags(seq_cst) & receivers_wait) != 0) settle();  // [channel_core.w] as in send_at_once
      return sent;
    }
    for (;;) {
      if ((w_.flags(seq_cst) & receivers_wait) == 0) {  // [channel_core.w] seq_cst: nobody waited at this instant
        const trial sent = segments_->try_push(value);
        // [channel_core.w] seq_cst, after the claim of the tail: invariant 8.
        if (sent == trial::done && (w_.flags(seq_cst) & receivers_wait) != 0) settle();
        return sent;
      }
      // There is room, once W is dropped: segments are not allocated under it.
      const trial sent = meet_queued<true>(std::addressof(value));
      if (sent != trial::would_block) return sent;
    }
  }
  trial try_send_locked(T& value, wake_list& wakes) noexcept {
    if (closed()) return trial::closed;
    if (!must_wait<false>()) settle_locked(wakes);
    while (wait_node* node = receivers_.pop()) {  // the store was seen empty: invariant 13
      if (!claim(*node)) continue;
      hand_over(std::addressof(value), static_cast<T*>(node->value));
      complete(*node, status::ok, wakes);
      return trial::done;
    }
    return senders_.empty() ? store_push(value) : trial::would_block;
  }

  RUNNEL_NOINLINE trial try_recv_slow(T* to) noexcept {
    if ((w_.flags(seq_cst) & receivers_wait) != 0) {  // [channel_core.w] seq_cst: nobody waited at this instant
      section under_w(*this);
      return try_recv_locked(to, under_w.wakes);
    }
    if (kind_ == store_kind::unbounded) return segments_->try_pop(to);
    const trial received = ring_.try_pop(to);
    if (received == trial::done && (w_.flags(seq_cst) & senders_wait) != 0) settle();  // [channel_core.w] as in recv_at_once
    return received;
  }
  trial try_recv_locked(T* to, wake_list& wakes) noexcept {
    settle_locked(wakes);
    if (!receivers_.empty()) return trial::would_block;
    const trial received = store_pop(to);
    if (received == trial::done) settle_locked(wakes);
    return received;
  }

  template <bool Sends>
  [[nodiscard]] wait_queue& queue_of() noexcept {
    return Sends ? senders_ : receivers_;
  }
  static void hand_over(bool sends, T* own, void* others) noexcept {
    T* const other = static_cast<T*>(others);
    hand_over(sends ? own : other, sends ? other : own);
  }
  /// The value goes to, or comes from, the first of those queued that can be had. To a receiver also where there is a buffer.
  template <bool Sends>
  RUNNEL_NOINLINE trial meet_queued(T* value) noexcept {
    if (!w_.try_lock()) return meet_queued_slow<Sends>(value, false);
    wait_node* const peer = queue_of<!Sends>().front();
    if (peer == nullptr || peer->owner->multi() || !must_wait<!Sends>()) return meet_queued_slow<Sends>(value, true);
    hand_over(Sends, value, peer->value);
    end_wait<!Sends>(*peer);
    return trial::done;
  }
  template <bool Sends>
  RUNNEL_NOINLINE trial meet_queued_slow(T* value, bool locked) noexcept {
    section under_w(*this, 0, locked);
    if constexpr (Sends) {
      if (kind_ != store_kind::rendezvous) return try_send_locked(*value, under_w.wakes);
    }
    while (wait_node* peer = queue_of<!Sends>().pop()) {
      if (!claim(*peer)) continue;
      hand_over(Sends, value, peer->value);
      complete(*peer, status::ok, under_w.wakes);
      return trial::done;
    }
    return ended_ ? trial::closed : trial::would_block;
  }

  template <bool Sends>
  void join(wait_node& node) noexcept {
    if (!w_.try_lock(flag_of<Sends>)) return join_slow<Sends>(node, false);
    if (!must_wait<Sends>()) return join_slow<Sends>(node, true);
    queue_of<Sends>().push(node);
    count_arrival();
    check_invariants();
    w_.unlock(flag_of<Sends>);
  }
  template <bool Sends>
  RUNNEL_NOINLINE void join_slow(wait_node& node, bool locked) noexcept {
    wait_queue& own = queue_of<Sends>();
    section under_w(*this, flag_of<Sends>, locked);
    if (kind_ != store_kind::rendezvous) {
      own.push(node);
      if (!must_wait<Sends>()) settle_locked(under_w.wakes);
      return;
    }
    if (ended_) {
      if (claim(node)) complete(node, status::closed, under_w.wakes);
    } else if (!meet(node, queue_of<!Sends>(), Sends, under_w.wakes)) {
      own.push(node);
      count_arrival();
    }
    check_invariants();
  }

  /// Rendezvous: pairs an arriving call with the first queued one that can be had. True: there is nothing left to wait for.
  bool meet(wait_node& node, wait_queue& other, bool sends, wake_list& wakes) noexcept {
    for (wait_node* peer = other.front(); peer != nullptr;) {
      wait_node* const next = peer->behind();
      if (peer->owner != node.owner) {  // a select never meets itself
        switch (claim_both(node, *peer)) {
          case both_claimed::both: {
            other.remove(*peer);
            hand_over(sends, static_cast<T*>(node.value), peer->value);
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
    const section under_w(*this);
    if (!node.queued) return false;
    queue.remove(node);
    return true;
  }

  void end_store() noexcept {
    section under_w(*this, shown_at_end());
    end_store_locked(under_w.wakes);
  }
  /// [channel_core.w] What the end shows as it begins, and in one order with all else that is seq_cst.
  [[nodiscard]] std::uint32_t shown_at_end() const noexcept { return kind_ == store_kind::rendezvous ? closed_bit : 0; }
  void end_store_locked(wake_list& wakes) noexcept {
    switch (kind_) {
      case store_kind::bounded: ring_.close(); break;
      case store_kind::unbounded: segments_->close(); break;
      case store_kind::rendezvous:
        ended_ = true;
        wakes.add_all(senders_, status::closed);
        break;
    }
    settle_locked(wakes);
  }
  void check_invariants() const noexcept {
    RUNNEL_ASSERT((flags_locked() & ~w_.flags(relaxed) & (receivers_wait | senders_wait)) == 0);  // relaxed: under W
    RUNNEL_ASSERT(kind_ == store_kind::rendezvous || receivers_.empty() || !closed());
    RUNNEL_ASSERT(kind_ != store_kind::unbounded || senders_.empty());
    if (kind_ == store_kind::bounded) ring_.check_invariants();
  }

  using store::kind_;
  using store::ring_;
  using store::segments_;
  using store::store_push;

  flag_lock w_;
  bool close_called_ = false;  // by hand: a second call is an error
  bool ended_ = false;         // rendezvous: it is closed; under W
  wait_queue receivers_;
  wait_queue senders_;
  atomic<std::uint64_t> arrivals_{0};  // rendezvous: how often a call has queued; written under W

  alignas(cache_line) atomic<std::uint64_t> handles_{one_sender + one_receiver};
  atomic<std::uint32_t> sides_{2};  // [channel_core.sides] that are still in use: those that send, those that receive
};

}  // namespace runnel::inline RUNNEL_ABI::detail
