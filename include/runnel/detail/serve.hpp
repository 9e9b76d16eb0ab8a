// How those who wait in a queue are served from a store.
#pragma once

#include <runnel/detail/ring.hpp>
#include <runnel/detail/waiter.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// Writes how a claimed node's wait has ended. Its owner is resumed with the list.
inline void complete(wait_node& node, status outcome, wake_list& wakes) noexcept {
  node.outcome = outcome;
  wakes.add(node);
}

/// Serves a queue in order until it does not go on: `step(node.value)` pushes or pops for a node. Under the queue's lock.
/// Returns: whether somebody was served.
template <class Step>
bool serve(wait_queue& queue, wake_list& wakes, Step step) noexcept {
  bool served = false;
  while (wait_node* node = queue.front()) {
    const bool multi = node->owner->multi();
    if (multi && !node->owner->lock()) {
      queue.remove(*node);
      continue;
    }
    const trial outcome = step(node->value);
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

}  // namespace runnel::inline RUNNEL_ABI::detail
