// A pipe between two threads: values, waits on both sides, and the ends. For the lanes of both memory models.
#pragma once

#include <runnel/detail/event_wait.hpp>
#include <runnel/detail/pipe.hpp>

#include <vector>

#include "kit.hpp"

namespace model {

/// Sends so many values, or fewer if nobody receives any more. Returns: how many.
inline int send_through(const rn::detail::pipe_sender<counted>& to, int count, tally::actor& sent) {
  for (int i = 0; i < count; ++i) {
    counted value(i);
    const rn::detail::trial how = to->put(value);
    if (how == rn::detail::trial::closed) return i;
    sent.add(i);
    if (how == rn::detail::trial::done) continue;
    rn::detail::pipe_room_event<counted> room(*to);
    require(rn::detail::wait_event(room, rn::detail::never) == rn::status::ok, "the wait for room ends by itself");
    if (!to->has_room()) {
      require(to->nobody_receives(), "there is no room after the wait for it");
      return i + 1;
    }
  }
  return count;
}
/// Receives so many values, or fewer if nobody sends any more.
inline void receive_through(const rn::detail::pipe_receiver<counted>& from, int count, std::size_t at_once,
                            tally::actor& received) {
  std::vector<counted> values;
  for (int got = 0; got < count;) {
    values.clear();
    if (from->take(values, at_once) != 0) {
      for (const counted& value : values) {
        require(value.value() == got, "values are lost, or out of order");
        received.add(got++);
      }
      continue;
    }
    if (from->nobody_sends() && !from->has_values()) return;
    rn::detail::pipe_values_event<counted> some(*from);
    require(rn::detail::wait_event(some, rn::detail::never) == rn::status::ok, "the wait for values ends by itself");
  }
}

/// All values arrive, and then the end.
inline void pipe_passes(std::size_t slots, int count, std::size_t at_once) {
  rn::detail::pipe_ends<counted> ends(slots);
  tally t;
  parallel(as("sender",
              [&] {
                const rn::detail::pipe_sender<counted> to(std::move(ends.send));
                require(send_through(to, count, t.sent[0]) == count, "the receiver has ended by itself");
              }),
           as("receiver", [&] {
             const rn::detail::pipe_receiver<counted> from(std::move(ends.recv));
             receive_through(from, count + 1, at_once, t.received[0]);
           }));
  t.check();
}
/// The receiver ends first: the sender learns of it, and what is left is destroyed with the pipe.
inline void pipe_is_left(std::size_t slots, int count) {
  rn::detail::pipe_ends<counted> ends(slots);
  tally t;
  parallel(as("sender",
              [&] {
                const rn::detail::pipe_sender<counted> to(std::move(ends.send));
                send_through(to, count, t.sent[0]);
              }),
           as("receiver", [&] {
             const rn::detail::pipe_receiver<counted> from(std::move(ends.recv));
             receive_through(from, 1, 1, t.received[0]);
           }));
}

}  // namespace model
