// A thread's wait for one thing: alone, up to a deadline, or against a context.
#pragma once

#include <runnel/selectable.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

// A waiter looks at its own line meanwhile, and whoever resumes it writes the other one.

/// Waits for `event`, which was tried before and was not ready, up to the deadline.
/// Returns: the outcome that the counterparty wrote, or timed_out; the event has then left its queue.
inline status wait_until(selectable& event, time_point deadline) {
  alignas(cache_line) thread_waiter self(false);
  alignas(cache_line) wait_node node;
  node.owner = &self;
  event.join(node);
  if (!self.wait(deadline)) {
    if (event.leave(node)) return status::timed_out;  // to unlink the only node is to claim the waiter
    self.wait();                                      // the result is on its way
  }
  return node.outcome;
}

/// The same against a context too. `Stop` is detail::done_event (detail/context_core.hpp): a selectable with deadline(), when
/// the context ends by itself, and reason(), which says how it ended and ends it if its deadline has passed.
template <class Stop>
status wait_until(selectable& event, Stop& stop, time_point deadline) {
  enum : std::uint32_t { event_case, stop_case, timeout_case };
  alignas(cache_line) thread_waiter self(true);
  alignas(cache_line) wait_node event_node;
  wait_node stop_node;
  event_node.owner = stop_node.owner = &self;
  event_node.index = event_case;
  stop_node.index = stop_case;
  event.join(event_node);
  const bool both = !self.is_claimed();
  if (both) stop.join(stop_node);
  const time_point limit = stop.deadline() < deadline ? stop.deadline() : deadline;
  const bool timed_out = !self.wait(limit) && self.claim(timeout_case);
  if (!timed_out) self.wait();  // claimed: the claimer is on its way to resume us, or has
  event.leave(event_node);
  if (both) stop.leave(stop_node);
  if (timed_out) return limit < deadline ? stop.reason() : status::timed_out;
  return self.claimed_index() == event_case ? event_node.outcome : stop.reason();
}

}  // namespace runnel::inline RUNNEL_ABI::detail
