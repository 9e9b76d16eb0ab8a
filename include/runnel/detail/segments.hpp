// An unbounded store: a chain of segments of 63 slots. Senders claim positions by compare-exchange; receivers take turns.
//
// A position is segment * 128 + slot * 2; slot 63 does not exist: a tail that stands there waits for the next segment to be
// linked by whoever claimed slot 62. Bit 0 is CLOSED in the tail, BUSY in the head: whoever has set BUSY is the one
// receiver that may touch the segment at the head, so it walks and frees segments and nothing else can be reading them.
//
// 1. head <= tail; neither decreases. After CLOSED no claim of the tail succeeds.
// 2. A slot is written by the claimer of its position, then marked written; it is read by the holder of BUSY.
// 3. The last access of any sender to a segment is to mark its slot written, slot 62's after the next one was linked:
//    once all 63 are marked, only the holder of BUSY knows the segment.
// 4. Memory: one segment at the least, one spare at the most beyond those that hold values or are being written.
// Why not crossbeam's per-slot destroy bits: they let receivers overlap, and cost three releases their correctness.
#pragma once

#include <runnel/detail/ring.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

template <class T>
class segments {
 public:
  segments() : tail_segment_(new segment), head_segment_(tail_segment_.load(relaxed)) {}  // relaxed: nobody else has it yet
  segments(const segments&) = delete;
  segments& operator=(const segments&) = delete;
  /// Whoever destroys the store has emptied it.
  ~segments() {
    RUNNEL_ASSERT((tail_.load(relaxed) & ~flag) == (head_.load(relaxed) & ~flag));
    delete head_segment_;
    delete spare_.load(acquire);  // [segments.spare] acquire: with whoever put it there
  }

  /// Claims the tail and moves the value in; allocates one segment in 63 unless a spare is at hand.
  /// Throws: std::bad_alloc, having done nothing. closed: the value is unmoved.
  trial try_push(T& value) {
    segment* next = nullptr;
    std::uint64_t tail = tail_.load(acquire);  // [segments.tail] acquire: the segment of this position is linked
    for (backoff wait;;) {
      if ((tail & flag) != 0) return free_unused(next), trial::closed;
      const std::uint64_t index = slot_index(tail);
      if (index == slot_count) {  // somebody is linking the next segment
        wait.pause();
        tail = tail_.load(acquire);
        continue;
      }
      segment* const here = tail_segment_.load(acquire);  // [segments.tail_segment] acquire: its slots are initialized
      if (index + 1 == slot_count && next == nullptr) {
        next = take_spare();
        if (next == nullptr) next = new segment;
      }
      // [segments.tail] seq_cst: with the load of the receivers' flag after it (channel_core.hpp). If it succeeds, `here` was
      // this position's segment: a later one is stored only after the tail has gone on.
      if (!tail_.compare_exchange(tail, tail + step, seq_cst, acquire)) continue;
      if (index + 1 == slot_count) {
        here->next.store(next, release);     // [segment.next] release: whoever follows it sees its slots initialized
        tail_segment_.store(next, release);  // [segments.tail_segment] release: as above
        tail_.fetch_add(step, seq_cst);      // [segments.tail] release: from slot 63 to slot 0 of the linked segment
        next = nullptr;
      }
      slot& at = here->at[index];
      std::construct_at(at.value(), std::move(value));
      at.written.store(true, release);  // [slot.written] release: the value is there; the last access to this segment
      free_unused(next);
      return trial::done;
    }
  }

  /// Takes the value at the head into the raw storage at `to`. would_block: it was empty at one instant. closed: empty, and CLOSED.
  trial try_pop(T* to) noexcept {
    std::uint64_t head = head_.load(acquire);  // [segments.head] acquire: with the last holder of BUSY
    for (backoff wait;;) {
      if ((head & flag) != 0) {  // another receiver is between its claim and its move
        wait.pause();
        head = head_.load(acquire);
        continue;
      }
      const std::uint64_t tail =
          tail_.load(seq_cst);  // [segments.tail] seq_cst: sees every claim whose claimer saw no receiver waiting
      if (at_or_after(head, tail & ~flag)) {
        const std::uint64_t again = head_.load(seq_cst);  // [segments.head] seq_cst: unchanged, so it was empty when tail was read
        if (again == head) return (tail & flag) != 0 ? trial::closed : trial::would_block;
        head = again;
        continue;
      }
      // [segments.head] acquire: this receiver sees what the last holder of BUSY did to the chain.
      if (head_.compare_exchange(head, head | flag, seq_cst, acquire)) break;
    }
    segment* here = head_segment_;
    slot& at = here->at[slot_index(head)];
    // [slot.written] acquire: sees the value. The claimer has a move left to do.
    for (backoff wait; !at.written.load(acquire);) wait.pause();
    std::construct_at(to, std::move(*at.value()));
    std::destroy_at(at.value());
    std::uint64_t after = head + step;
    if (slot_index(after) == slot_count) {
      after += step;
      head_segment_ = here->next.load(acquire);  // [segment.next] acquire: its slots are initialized
    } else {
      here = nullptr;
    }
    head_.store(after, seq_cst);  // [segments.head] release: hands the chain to the next holder of BUSY
    if (here != nullptr) recycle(here);
    return trial::done;
  }

  void close() noexcept {
    tail_.fetch_or(flag, seq_cst);
  }  // [segments.tail] seq_cst: a send is accepted exactly if its claim came first

  [[nodiscard]] bool closed() const noexcept { return (tail_.load(acquire) & flag) != 0; }  // [segments.tail] acquire: with close
  [[nodiscard]] bool drained() const noexcept {
    const std::uint64_t tail = tail_.load(seq_cst);  // [segments.tail] seq_cst: once closed it stays, but for the step over slot 63
    return (tail & flag) != 0 && at_or_after(head_.load(seq_cst), tail & ~flag) && (head_.load(seq_cst) & flag) == 0;
  }
  [[nodiscard]] std::size_t size() const noexcept {
    for (;;) {
      const std::uint64_t tail = tail_.load(seq_cst) & ~flag;
      const std::uint64_t head = head_.load(seq_cst) & ~flag;  // [segments.head] seq_cst: between two equal reads of the tail
      if ((tail_.load(seq_cst) & ~flag) == tail) return static_cast<std::size_t>(ordinal(tail) - ordinal(head));
    }
  }

  /// Changes with each value that is put in, and with close.
  [[nodiscard]] std::uint64_t push_stamp() const noexcept { return tail_.load(seq_cst); }  // [segments.tail] seq_cst: as in size

 private:
  static constexpr std::uint64_t flag = 1;
  static constexpr std::uint64_t step = 2;
  static constexpr std::uint64_t slot_count = 63;

  struct slot {
    T* value() noexcept { return room.get(); }
    atomic<bool> written{false};
    storage<T> room;
  };
  struct segment {
    atomic<segment*> next{nullptr};
    slot at[slot_count];
  };

  static std::uint64_t slot_index(std::uint64_t position) noexcept { return (position >> 1) % (slot_count + 1); }
  /// How many values have been claimed before this position; slot 63 counts as slot 0 of the next segment.
  static std::uint64_t ordinal(std::uint64_t position) noexcept {
    return (position >> 1) / (slot_count + 1) * slot_count + slot_index(position);
  }
  static bool at_or_after(std::uint64_t head, std::uint64_t tail) noexcept { return ordinal(head & ~flag) >= ordinal(tail); }

  segment* take_spare() noexcept { return spare_.exchange(nullptr, acq_rel); }  // [segments.spare] acquire: sees it reset
  void recycle(segment* old) noexcept {
    for (slot& at : old->at) at.written.store(false, relaxed);  // relaxed: published by the exchange below
    old->next.store(nullptr, relaxed);                          // relaxed: likewise
    delete spare_.exchange(old, acq_rel);                       // [segments.spare] release: hands it over, reset
  }
  void free_unused(segment* unused) noexcept {
    if (unused != nullptr) delete spare_.exchange(unused, acq_rel);  // [segments.spare] release: it is as new
  }

  alignas(cache_line) atomic<std::uint64_t> tail_{0};
  atomic<segment*> tail_segment_;
  alignas(cache_line) atomic<std::uint64_t> head_{0};
  segment* head_segment_;  // touched by the holder of BUSY alone
  alignas(cache_line) atomic<segment*> spare_{nullptr};
};

}  // namespace runnel::inline RUNNEL_ABI::detail
