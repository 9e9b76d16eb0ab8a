// The tasks of one place of a runtime that are ready to run: a ring whose owner puts in and from which anybody may take.
//
// 1. Only the owner moves `tail_`; whoever moves `head_` by compare-exchange owns the items between its old and its new value.
// 2. Items come out in the order in which they went in. At most `capacity` are in it; the owner takes half out when it is full.
// 3. Others take, half of all, while there is something that was offered. Until then all is the owner's: see scheduler.hpp, 3.
// 4. A slot is read before head_ moves past it, and written only when head_ has: a thief that read an old item fails to move head_.
#pragma once

#include <runnel/detail/resume.hpp>

#include <array>

namespace runnel::inline RUNNEL_ABI::detail {

class run_queue {
 public:
  static constexpr std::uint64_t capacity = tasks_per_place;

  /// By the owner. False: it is full.
  bool push(work_item& item) noexcept {
    const std::uint64_t tail = tail_.load(relaxed);  // relaxed: this thread wrote it
    // [run_queue.head] acquire: whoever took the item that was in this slot has read it.
    if (tail - head_.load(acquire) == capacity) return false;
    slot(tail).store(&item, relaxed);  // relaxed: published by the tail
    tail_.store(tail + 1, release);    // [run_queue.tail] release: shows the slot. What others may take is said by offer().
    return true;
  }
  /// By the owner: lets others take what is in it.
  void offer() noexcept {
    // relaxed: this thread wrote it. [run_queue.offered] seq_cst: before the look whether anybody is idle (scheduler.hpp, 5).
    offered_.store(tail_.load(relaxed), seq_cst);
  }
  /// By anybody: lets others take what was in it at some time.
  void offer_for_owner() noexcept {
    const std::uint64_t tail = tail_.load(relaxed);  // relaxed: what came later can wait
    std::uint64_t seen = offered_.load(relaxed);     // relaxed: compared below. [run_queue.offered] seq_cst: as in offer
    if (seen < tail) offered_.compare_exchange(seen, tail, seq_cst, relaxed);  // it fails if the owner has offered more
  }
  /// Whether others may take something.
  [[nodiscard]] bool has_offer() const noexcept {
    return head_.load(seq_cst) < offered_.load(seq_cst);  // [run_queue.offered] seq_cst: as in offer
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return tail_.load(relaxed) - head_.load(relaxed); }  // relaxed: a hint
  /// The position of the oldest item, or of the next to come.
  [[nodiscard]] std::uint64_t oldest() const noexcept { return head_.load(relaxed); }  // relaxed: compared, not used
  /// Whether what was the oldest is there still.
  [[nodiscard]] bool waits_since(std::uint64_t position) const noexcept { return oldest() == position && !empty(); }
  /// Takes the oldest item. Null: it is empty.
  work_item* pop() noexcept {
    std::uint64_t head = head_.load(acquire);  // [run_queue.head] acquire: as in push
    for (;;) {
      if (head == tail_.load(acquire)) return nullptr;   // [run_queue.tail] acquire: sees the slot
      work_item* const item = slot(head).load(acquire);  // [run_queue.slot] acquire: of use only if head_ can be moved
      // [run_queue.head] acq_rel: hands the slot back to the owner, who sees it read.
      if (head_.compare_exchange(head, head + 1, acq_rel, acquire)) return item;
    }
  }
  /// Takes half of the items, at least one, and hands each to `take`. Returns how many. By the owner or a thief.
  template <class Take>
  std::uint64_t take_half(Take take) noexcept {
    std::array<work_item*, capacity / 2> items;
    std::uint64_t head = head_.load(acquire);  // [run_queue.head] acquire: as in push
    for (;;) {
      const std::uint64_t size = tail_.load(acquire) - head;  // [run_queue.tail] acquire: as in pop
      if (size == 0) return 0;
      if (size > capacity) {  // head is old
        head = head_.load(acquire);
        continue;
      }
      const std::uint64_t count = size - size / 2;
      for (std::uint64_t i = 0; i < count; ++i) items[i] = slot(head + i).load(acquire);  // [run_queue.slot] acquire: as in pop
      if (!head_.compare_exchange(head, head + count, acq_rel, acquire)) continue;        // [run_queue.head] acq_rel: as in pop
      for (std::uint64_t i = 0; i < count; ++i) take(*items[i]);
      return count;
    }
  }
  /// Takes an item back, by the owner, who takes everything out and puts the others back. False: it is not here.
  bool retract(work_item& item) noexcept {
    bool found = false;
    for (std::uint64_t left = tail_.load(relaxed) - head_.load(acquire); left != 0; --left) {  // relaxed: this thread wrote it
      work_item* const other = pop();
      if (other == nullptr) break;
      if (other == &item)
        found = true;
      else
        push(*other);
    }
    offer();  // others could take some of it before
    return found;
  }
  [[nodiscard]] bool empty() const noexcept {
    return head_.load(acquire) == tail_.load(acquire);  // [run_queue.tail] acquire: as in pop
  }

 private:
  [[nodiscard]] atomic<work_item*>& slot(std::uint64_t position) noexcept { return slots_[position % capacity]; }

  alignas(cache_line) atomic<std::uint64_t> head_{0};
  alignas(cache_line) atomic<std::uint64_t> tail_{0};
  atomic<std::uint64_t> offered_{0};  // what stood before this position was offered
  std::array<atomic<work_item*>, capacity> slots_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
