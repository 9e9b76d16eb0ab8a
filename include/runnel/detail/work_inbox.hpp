// Where anybody puts steps of work in without a lock, and one at a time takes all of them out.
#pragma once

#include <runnel/detail/resume.hpp>

#include <utility>

namespace runnel::inline RUNNEL_ABI::detail {

/// The newest first; what is taken out of it is in the order in which it came.
class work_inbox {
 public:
  /// Any thread, under no lock. It may be taken out, and gone, when this returns.
  void push(work_item& item) noexcept {
    work_item* head = newest_.load(relaxed);  // relaxed: compared when it is changed
    item.next = head;
    // [work_inbox.newest] seq_cst: publishes the item, before a look for somebody to run it.
    while (!newest_.compare_exchange(head, &item, seq_cst, relaxed)) item.next = head;
  }
  [[nodiscard]] bool empty() const noexcept { return newest_.load(seq_cst) == nullptr; }        // [work_inbox.newest] as in push
  [[nodiscard]] bool looks_empty() const noexcept { return newest_.load(relaxed) == nullptr; }  // relaxed: a hint

  /// Moves all items to the end of a list, in order; by one thread at a time, when it is not empty. Calls each(item) for every item, the
  /// newest first. Returns: how many there were.
  template <class Each>
  std::uint64_t move_to(work_item*& first, work_item*& last, Each each) noexcept {
    work_item* const newest = newest_.exchange(nullptr, seq_cst);  // [work_inbox.newest] as in push
    work_item* oldest = newest;
    std::uint64_t count = 1;
    each(*newest);
    for (work_item* item = std::exchange(newest->next, nullptr); item != nullptr; ++count) {
      each(*item);
      oldest->previous = item;
      item = std::exchange(item->next, std::exchange(oldest, item));
    }
    oldest->previous = last;
    (last == nullptr ? first : last->next) = oldest;
    last = newest;
    return count;
  }

 private:
  atomic<work_item*> newest_{nullptr};
};

}  // namespace runnel::inline RUNNEL_ABI::detail
