// A bounded store for many senders and receivers: Vyukov's array of stamped slots, with an exact capacity.
//
// A position counts laps and slots in one word: lap * lap_size + slot * 2, where lap_size / 2 is a power of two above the
// capacity; bit 0 of the tail is the CLOSED bit. A slot that is free for position p carries the stamp p, one that is full
// p + 2, one that is free for the next lap p + lap_size. Positions wrap around; they are compared for equality only.
//
// 1. head <= tail <= head + capacity; neither decreases.
// 2. Each position is claimed once to send and once to receive; its slot is written between the claim of tail and the
//    stamp "full", and read between the claim of head and the stamp "free".
// 3. A slot's stamps run free, full, free for the next lap, without gaps.
// 4. After CLOSED no claim of the tail succeeds.
// A slot that is claimed and not yet stamped makes the other side wait for its stamp: the claimer has a move left to do.
#pragma once

#include <runnel/detail/storage.hpp>
#include <runnel/detail/sync.hpp>

#include <bit>
#include <new>
#include <stdexcept>

namespace runnel::inline RUNNEL_ABI::detail {

/// How a try of a store ended.
enum class trial : std::uint8_t { done, would_block, closed };

/// What a look says, which tries nothing. If a second look finds the same stamp, a try that was not hopeful, or that failed between
/// the two, would have had to wait at every instant from then to the second look.
struct outlook {
  std::uint64_t stamp;
  bool hopeful;
};

template <class T>
class ring {
 public:
  ring() noexcept = default;
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  /// Whoever destroys the ring has emptied it.
  ~ring() {
    RUNNEL_ASSERT(capacity_ == 0 || (tail_.load(relaxed) & ~closed_bit) == head_.load(relaxed));
    std::destroy_n(slots_, capacity_);
    if (slots_ != nullptr) ::operator delete(slots_, std::align_val_t{alignof(slot)});
  }

  /// Makes room for exactly this many values. `start` is the position counter's first lap: tests let it wrap around.
  void allocate(std::size_t capacity, std::uint64_t start = 0) {
    lap_size_ = std::uint64_t{std::bit_ceil(std::uint64_t{capacity} + 1)} * 2;
    slots_ = static_cast<slot*>(::operator new(capacity * sizeof(slot), std::align_val_t{alignof(slot)}));
    capacity_ = capacity;
    const std::uint64_t first = start * lap_size_;
    for (std::size_t i = 0; i < capacity; ++i) ::new (static_cast<void*>(slots_ + i)) slot(first + i * 2);
    tail_.store(first, relaxed);  // relaxed: nobody else has the ring yet
    head_.store(first, relaxed);
  }
  /// The largest capacity whose storage has a size at all.
  static constexpr std::size_t max_capacity() noexcept { return static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(slot); }

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  // What is most often so, and short enough to be inlined wherever it is called. False: a try may say more.

  RUNNEL_ALWAYS_INLINE bool push_at_once(T& value) noexcept {
    std::uint64_t tail = tail_.load(acquire);  // [ring.tail] as in try_push
    for (;;) {
      slot& at = slot_of(tail);
      if (at.stamp.load(acquire) != tail) return false;  // [ring.stamp] as in try_push. No stamp is a closed ring's tail
      if (!claim_tail(tail)) continue;
      fill(at, tail, value);
      return true;
    }
  }
  RUNNEL_ALWAYS_INLINE bool pop_at_once(T* to) noexcept {
    std::uint64_t head = head_.load(acquire);  // [ring.head] as in try_pop
    for (;;) {
      slot& at = slot_of(head);
      if (at.stamp.load(acquire) != head + full) return false;  // [ring.stamp] as in try_pop
      if (!claim_head(head)) continue;
      empty(at, head, to);
      return true;
    }
  }

  /// Claims the tail, moves the value in, stamps it full.
  /// would_block: it was full at one instant. closed: CLOSED is set; the value is unmoved in both cases.
  RUNNEL_ALWAYS_INLINE trial try_push(T& value) noexcept {
    std::uint64_t tail = tail_.load(acquire);  // [ring.tail] acquire: pairs with the claim, so that stamps are not older than it
    for (backoff wait;;) {
      if ((tail & closed_bit) != 0) return trial::closed;
      slot& at = slot_of(tail);
      const std::uint64_t stamp = at.stamp.load(acquire);  // [ring.stamp] acquire: the receiver's move out of the slot is over
      if (stamp == tail) {
        if (!claim_tail(tail)) continue;
        fill(at, tail, value);
        return trial::done;
      }
      if (stamp + lap_size_ == tail + full) {
        const std::uint64_t head =
            head_.load(seq_cst);  // [ring.head] seq_cst: sees every claim whose claimer saw no sender waiting
        const std::uint64_t again = tail_.load(seq_cst);  // [ring.tail] seq_cst: unchanged, so the ring was full when head was read
        if (again == tail && head + lap_size_ == tail) return trial::would_block;
        if (again == tail) wait.pause(least_pause());
        tail = again;
        continue;
      }
      spin_hint();
      tail = tail_.load(acquire);  // [ring.tail] as above
    }
  }

  /// Claims the head, moves its value to the raw storage at `to`, stamps the slot free.
  /// would_block: it was empty at one instant. closed: empty, and CLOSED.
  RUNNEL_ALWAYS_INLINE trial try_pop(T* to) noexcept {
    std::uint64_t head = head_.load(acquire);  // [ring.head] acquire: pairs with the claim
    for (backoff wait;;) {
      slot& at = slot_of(head);
      const std::uint64_t stamp = at.stamp.load(acquire);  // [ring.stamp] acquire: sees the value that was moved in
      if (stamp == head + full) {
        if (!claim_head(head)) continue;
        empty(at, head, to);
        return trial::done;
      }
      if (stamp == head) {
        const std::uint64_t tail =
            tail_.load(seq_cst);  // [ring.tail] seq_cst: sees every claim whose claimer saw no receiver waiting
        const std::uint64_t again =
            head_.load(seq_cst);  // [ring.head] seq_cst: unchanged, so the ring was empty when tail was read
        if (again == head && (tail & ~closed_bit) == head) return (tail & closed_bit) != 0 ? trial::closed : trial::would_block;
        if (again == head) wait.pause(least_pause());
        head = again;
        continue;
      }
      spin_hint();
      head = head_.load(acquire);  // [ring.head] as above
    }
  }

  // Many at once: a run of slots up to the last of the lap, with one claim. Both answer how many; 0: try_push, or try_pop, says why.

  /// Claims the tail for as many slots as are free one after another, at most `most`; each is filled by fill(T*), which must not throw.
  template <class Fill>
  std::size_t try_push_many(std::size_t most, Fill fill) noexcept {
    std::uint64_t tail = tail_.load(acquire);  // [ring.tail] acquire: as in try_push
    while ((tail & closed_bit) == 0) {
      const std::size_t count = run_of(tail, tail, most);
      if (count == 0) return 0;
      if (!tail_.compare_exchange(tail, behind(tail, count), seq_cst, acquire)) continue;  // [ring.tail] seq_cst: as in try_push
      slot* at = &slot_of(tail);
      for (slot* const end = at + count; at != end; ++at, tail += 2) {
        fill(at->value());
        at->stamp.store(tail + full, release);  // [ring.stamp] release: as in try_push
      }
      return count;
    }
    return 0;
  }
  /// Claims the head for as many values as are there one after another, at most `most`, and gives each to put(T&&), which must not throw.
  template <class Put>
  std::size_t try_pop_many(std::size_t most, Put put) noexcept {
    std::uint64_t head = head_.load(acquire);  // [ring.head] acquire: pairs with the claim
    for (;;) {
      const std::size_t count = run_of(head, head + full, most);
      if (count == 0) return 0;
      if (!head_.compare_exchange(head, behind(head, count), seq_cst, acquire)) continue;  // [ring.head] seq_cst: as in try_pop
      slot* at = &slot_of(head);
      for (slot* const end = at + count; at != end; ++at, head += 2) {
        put(std::move(*at->value()));
        std::destroy_at(at->value());
        at->stamp.store(head + lap_size_, release);  // [ring.stamp] release: as in try_pop
      }
      return count;
    }
  }

  /// Whether it was empty, and not closed, at one instant.
  [[nodiscard]] bool is_empty() const noexcept {
    const std::uint64_t head = head_.load(seq_cst);  // [ring.head] seq_cst: before the tail, up to which it can have moved since
    return tail_.load(seq_cst) == head;              // [ring.tail] seq_cst: as in try_pop
  }

  // For a ring that has one sender at a time, which calls these: the tail stays as it is meanwhile.

  /// Whether there is no room for a push, which is not closed.
  [[nodiscard]] bool is_full() const noexcept {
    const std::uint64_t tail = tail_.load(acquire);  // [ring.tail] acquire: as in closed
    // [ring.head] seq_cst: as in try_push, sees every claim whose claimer saw no sender waiting
    return (tail & closed_bit) == 0 && head_.load(seq_cst) + lap_size_ == tail;
  }
  /// Claims the head if the ring is full, moves its value, the oldest, to the raw storage at `to`, stamps the slot free.
  bool pop_if_full(T* to) noexcept {
    std::uint64_t head = (tail_.load(acquire) & ~closed_bit) - lap_size_;  // [ring.tail] acquire: as above
    // [ring.head] seq_cst: as in try_pop. It still is a lap behind: so the ring was full up to this instant.
    if (!head_.compare_exchange(head, after(head), seq_cst, relaxed)) return false;
    slot& at = slot_of(head);
    std::construct_at(to, std::move(*at.value()));
    std::destroy_at(at.value());
    at.stamp.store(head + lap_size_, release);  // [ring.stamp] release: as in try_pop
    return true;
  }

  /// Sets CLOSED: no claim after this succeeds.
  void close() noexcept {
    tail_.fetch_or(closed_bit, seq_cst);
  }  // [ring.tail] seq_cst: a send is accepted exactly if its claim came first

  [[nodiscard]] bool closed() const noexcept { return (tail_.load(acquire) & closed_bit) != 0; }  // [ring.tail] acquire: with close
  [[nodiscard]] bool drained() const noexcept {
    const std::uint64_t tail = tail_.load(seq_cst);  // [ring.tail] seq_cst: once closed it stays as it is
    return (tail & closed_bit) != 0 && head_.load(seq_cst) == (tail & ~closed_bit);
  }
  [[nodiscard]] std::size_t size() const noexcept {
    for (;;) {
      const std::uint64_t tail = tail_.load(seq_cst) & ~closed_bit;
      const std::uint64_t head = head_.load(seq_cst);  // [ring.head] seq_cst: between two equal reads of the tail
      if ((tail_.load(seq_cst) & ~closed_bit) == tail) return distance(head, tail);
    }
  }

  /// Changes with each value that is put in, and with close; changes with each value that is taken out, and with close.
  [[nodiscard]] std::uint64_t push_stamp() const noexcept { return tail_.load(seq_cst); }  // [ring.tail] seq_cst: as in size
  [[nodiscard]] std::uint64_t pop_stamp() const noexcept {
    return head_.load(seq_cst) | (tail_.load(seq_cst) & closed_bit);  // [ring.head] seq_cst: as in size; bit 0 of a head is free
  }

  /// Looks whether a pop, or a push, would have to wait.
  [[nodiscard]] outlook look_pop() const noexcept {
    const std::uint64_t tail = push_stamp();
    return {tail, head_.load(seq_cst) != tail};  // [ring.head] seq_cst: as in size. No head is equal to a tail that is CLOSED
  }
  [[nodiscard]] outlook look_push() const noexcept {
    const std::uint64_t head = head_.load(seq_cst);  // [ring.head] seq_cst: as above
    const std::uint64_t tail = tail_.load(seq_cst);  // [ring.tail] seq_cst: likewise
    return {head | (tail & closed_bit), head + lap_size_ != tail};
  }

  void check_invariants() const noexcept { RUNNEL_ASSERT(size() <= capacity_); }

 private:
  /// For how long to wait for a slot that the other side has claimed and not left yet. At a large ring for as long as that side needs for
  /// many: whoever takes each value as soon as it is there takes the line away on which the next one is being written, and goes on in step.
  [[nodiscard]] unsigned least_pause() const noexcept { return capacity_ < lingering_capacity ? 0 : 5; }

  static constexpr std::uint64_t closed_bit = 1;
  static constexpr std::uint64_t full = 2;

  struct slot {
    explicit slot(std::uint64_t free_for) noexcept : stamp(free_for) {}
    T* value() noexcept { return room.get(); }
    atomic<std::uint64_t> stamp;
    storage<T> room;
  };

  /// Where it fails, the position is the newer one.
  bool claim_tail(std::uint64_t& tail) noexcept {
    // [ring.tail] seq_cst: with the load of the receivers' flag after it: no wake-up is lost (channel_core.hpp).
    return tail_.compare_exchange(tail, after(tail), seq_cst, acquire);
  }
  bool claim_head(std::uint64_t& head) noexcept {
    // [ring.head] seq_cst: with the load of the senders' flag after it, as for the tail.
    return head_.compare_exchange(head, after(head), seq_cst, acquire);
  }
  /// The slot of a position that was claimed.
  void fill(slot& at, std::uint64_t tail, T& value) noexcept {
    std::construct_at(at.value(), std::move(value));
    at.stamp.store(tail + full, release);  // [ring.stamp] release: the value is there for whoever sees the stamp
  }
  void empty(slot& at, std::uint64_t head, T* to) noexcept {
    std::construct_at(to, std::move(*at.value()));
    std::destroy_at(at.value());
    at.stamp.store(head + lap_size_, release);  // [ring.stamp] release: the slot is empty for whoever sees the stamp
  }

  [[nodiscard]] std::size_t index_of(std::uint64_t position) const noexcept {
    return static_cast<std::size_t>((position & (lap_size_ - 1)) >> 1);
  }
  slot& slot_of(std::uint64_t position) const noexcept { return slots_[index_of(position)]; }
  [[nodiscard]] std::uint64_t after(std::uint64_t position) const noexcept { return behind(position, 1); }
  /// The position after so many from this one on; they all are in its lap.
  [[nodiscard]] std::uint64_t behind(std::uint64_t position, std::size_t count) const noexcept {
    const std::size_t index = index_of(position);
    return index + count < capacity_ ? position + count * 2 : position - index * 2 + lap_size_;
  }
  /// How many slots from this position on, in its lap, carry the stamp `first` and those that follow it; at most `most`.
  [[nodiscard]] std::size_t run_of(std::uint64_t position, std::uint64_t first, std::size_t most) const noexcept {
    const std::size_t index = index_of(position);
    const slot* at = slots_ + index;
    const std::size_t limit = most < capacity_ - index ? most : capacity_ - index;
    std::size_t count = 0;
    // [ring.stamp] acquire: what was moved in is there, or what was there is gone. While the claimed word is what it was, it stays so.
    while (count < limit && at[count].stamp.load(acquire) == first + count * 2) ++count;
    return count;
  }
  [[nodiscard]] std::size_t distance(std::uint64_t head, std::uint64_t tail) const noexcept {
    const std::size_t from = index_of(head);
    const std::size_t to = index_of(tail);
    if (from < to) return to - from;
    if (from > to) return capacity_ - from + to;
    return head == tail ? 0 : capacity_;
  }

  alignas(cache_line) atomic<std::uint64_t> tail_{0};
  alignas(cache_line) atomic<std::uint64_t> head_{0};
  alignas(cache_line) slot* slots_ = nullptr;
  std::uint64_t lap_size_ = 4;
  std::size_t capacity_ = 0;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
