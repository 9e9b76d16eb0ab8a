// The table's waits for one event, for whatever has such a selectable: try, then look at the limit, then wait.
#pragma once

#include <runnel/detail/context_core.hpp>
#include <runnel/detail/time.hpp>
#include <runnel/detail/wait.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// Returns: how the event ended, or timed_out. Blocks: until it has happened, at most up to the deadline.
/// For an event that was tried before; one that has not happened by a deadline that has passed is left alone.
inline status wait_event_after_try(selectable& event, time_point deadline) {
  return deadline == time_point::min() ? status::timed_out : wait_until(event, deadline);
}

/// Returns: ok, or timed_out. Blocks: until the event has happened, at most up to the deadline.
inline status wait_event(selectable& event, time_point deadline) {
  return event.try_now() == attempt::done ? status::ok : wait_event_after_try(event, deadline);
}

/// Returns: ok, or how the context ended. Blocks: until the event has happened or the context is done.
inline status wait_event(const context& ctx, selectable& event) {
  if (event.try_now() == attempt::done) return status::ok;
  done_event stop(ctx);
  // What is ready wins over a context that is done: it is looked at once more after that was seen.
  if (const status s = stop.reason(); s != status::ok) return event.try_now() == attempt::done ? status::ok : s;
  return wait_until(event, stop, never);
}

/// Returns: ok, or would_block. Blocks: never.
inline status try_event(selectable& event) { return event.try_now() == attempt::done ? status::ok : status::would_block; }

}  // namespace runnel::inline RUNNEL_ABI::detail
