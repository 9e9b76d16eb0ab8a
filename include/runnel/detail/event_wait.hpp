// The table's waits for one event, for whatever has such a selectable: try, then look at the limit, then wait.
#pragma once

#include <runnel/context.hpp>
#include <runnel/detail/time.hpp>
#include <runnel/detail/wait.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// How a context ended; ok while it is live.
inline status stop_status(const context& ctx) noexcept { return static_cast<status>(ctx.err().value()); }

/// Returns: ok, or timed_out. Blocks: until the event has happened, at most up to the deadline.
inline status wait_event(selectable& event, time_point deadline) {
  if (event.try_now() == attempt::done) return status::ok;
  if (deadline == time_point::min()) return status::timed_out;
  return wait_until(event, deadline);
}

/// Returns: ok, or how the context ended. Blocks: until the event has happened or the context is done.
inline status wait_event(const context& ctx, selectable& event) {
  if (event.try_now() == attempt::done) return status::ok;
  if (const status s = stop_status(ctx); s != status::ok) return s;
  done_event stop(ctx);
  return wait_until(event, stop, never);
}

/// Returns: ok, or would_block. Blocks: never.
inline status try_event(selectable& event) {
  return event.try_now() == attempt::done ? status::ok : status::would_block;
}

}  // namespace runnel::inline RUNNEL_ABI::detail
