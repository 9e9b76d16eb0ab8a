// Where anybody puts steps of work in without a lock, and one at a time takes all of them out.
#pragma once

#include <runnel/detail/resume.hpp>

#include <utility>

namespace runnel::inline RUNNEL_ABI::detail {

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

  /// What was taken out, linked in both directions. There is at least one.
  struct chain {
    work_item* oldest;
    work_item* newest;
    std::uint64_t count;
  };
  /// By one thread at a time, when it is not empty. Calls each(item) for every item, the newest first.
  template <class Each>
  chain take_all(Each each) noexcept {
    work_item* const newest = newest_.exchange(nullptr, seq_cst);  // [work_inbox.newest] as in push
    chain taken{newest, newest, 1};
    each(*newest);
    work_item* after = newest;
    for (work_item* item = std::exchange(newest->next, nullptr); item != nullptr; ++taken.count) {
      each(*item);
      after->previous = item;
      after = item;
      item = std::exchange(item->next, taken.oldest);
      taken.oldest = after;
    }
    return taken;
  }

 private:
  atomic<work_item*> newest_{nullptr};
};

}  // namespace runnel::inline RUNNEL_ABI::detail
