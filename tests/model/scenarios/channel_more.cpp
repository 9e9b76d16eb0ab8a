// Channels beyond single operations: batches, segment boundaries, the order of waiters, several values of one sender, size.
#include "kit.hpp"

#include <vector>

namespace model {
namespace {

constexpr std::size_t capacities[] = {0, 1, 2, no_bound};

/// Waits, giving way, until so many calls are queued at the channel.
template <class Channel>
void until_queued(const Channel& ch, std::size_t receivers, std::size_t senders) {
  auto* const core = rn::detail::channel_access::core(ch);
  while (core->queued() != std::pair(receivers, senders)) rn::detail::yield();
}

/// One sender's values stay in order, whoever they meet.
void two_sends_two_receivers(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    parallel(as("sender",
                [&] {
                  send(ch, 1, t.sent[0]);
                  send(ch, 2, t.sent[0]);
                }),
             as("receiver 1", [&] { recv(ch, t.received[0]); }), as("receiver 2", [&] { recv(ch, t.received[1]); }));
    require(ch.size() == 0 && !ch.closed(), "nothing is left");
  }
  t.check();
}

/// Two senders of two, against one receiver: laps of the ring.
void laps(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    parallel(as("sender 1",
                [&] {
                  send(ch, 1, t.sent[0]);
                  send(ch, 2, t.sent[0]);
                }),
             as("sender 2", [&] { send(ch, 11, t.sent[1]); }), as("receiver", [&] {
               for (int i = 0; i < 3; ++i) recv(ch, t.received[0]);
             }));
  }
  t.check();
}

/// Invariant 14: of two that are seen to be queued one after the other, the first is served first.
void receivers_in_order(std::size_t capacity) {
  tally t;
  int order = 0;
  int first = 0;
  {
    const auto ch = make(capacity);
    parallel(as("first",
                [&] {
                  recv(ch, t.received[0]);
                  first = t.received[0].values[0];
                }),
             as("second",
                [&] {
                  until_queued(ch, 1, 0);
                  recv(ch, t.received[1]);
                  order = t.received[1].values[0];
                }),
             as("sender", [&] {
               until_queued(ch, 2, 0);
               send(ch, 1, t.sent[0]);
               send(ch, 2, t.sent[0]);
             }));
  }
  require(first == 1 && order == 2, "receivers are served out of order");
  t.check();
}
void senders_in_order(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    for (std::size_t i = 0; i < capacity; ++i) send(ch, 90 + static_cast<int>(i), t.sent[3]);
    parallel(as("first", [&] { send(ch, 1, t.sent[0]); }),
             as("second",
                [&] {
                  until_queued(ch, 0, 1);
                  send(ch, 2, t.sent[1]);
                }),
             as("receiver", [&] {
               until_queued(ch, 0, 2);
               for (std::size_t i = 0; i < capacity + 2; ++i) recv(ch, t.received[0]);
             }));
  }
  const auto& got = t.received[0];
  require(got.values[got.count - 2] == 1 && got.values[got.count - 1] == 2, "senders are served out of order");
  t.check();
}

void batches(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    parallel(as("sender",
                [&] {
                  std::vector<counted> values;
                  values.emplace_back(1);
                  values.emplace_back(2);
                  const std::size_t sent = ch.send_many(std::move(values));
                  for (std::size_t i = 0; i < sent; ++i) t.sent[0].add(1 + static_cast<int>(i));
                }),
             as("receiver",
                [&] {
                  std::vector<counted> values;
                  ch.recv_many(values, 3);
                  for (const counted& v : values) t.received[0].add(v.value());
                }),
             as("closer", [&] { ch.close(); }));
    drain(ch, t);
  }
  t.check();
}

/// A receiver takes once, for good, while a sender waits for room, or is about to.
void batch_makes_room(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    for (std::size_t i = 1; i < capacity; ++i) send(ch, 90 + static_cast<int>(i), t.sent[1]);
    parallel(as("sender",
                [&] {
                  std::vector<counted> values;
                  values.emplace_back(1);
                  values.emplace_back(2);
                  require(ch.send_many(std::move(values)) == 2, "a batch was not sent to an open channel");
                  t.sent[0].add(1);
                  t.sent[0].add(2);
                }),
             as("receiver", [&] {
               std::vector<counted> values;
               ch.recv_many(values, 1);
               for (const counted& v : values) t.received[0].add(v.value());
             }));
    drain(ch, t);
  }
  t.check();
}

/// Two senders of batches, which fit only once the receiver has taken some, across the lap's end.
void batches_of_two_senders(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    const auto sends = [&](std::size_t who) {
      std::vector<counted> values;
      for (int i = 0; i < 2; ++i) values.emplace_back(static_cast<int>(who) * 10 + i);
      require(ch.send_many(std::move(values)) == 2, "a batch was not sent to an open channel");
      for (int i = 0; i < 2; ++i) t.sent[who].add(static_cast<int>(who) * 10 + i);
    };
    parallel(as("sender 1", [&] { sends(0); }), as("sender 2", [&] { sends(1); }), as("receiver", [&] {
               std::vector<counted> values;
               while (values.size() < 4) ch.recv_many(values, 4 - values.size());
               for (const counted& v : values) t.received[0].add(v.value());
             }));
  }
  t.check();
}

void range(std::size_t capacity) {
  tally t;
  {
    auto ends = capacity == no_bound ? rn::make_channel<counted>(rn::unbounded) : rn::make_channel<counted>(capacity);
    auto& out = ends.send;
    auto& in = ends.recv;
    parallel(as("sender",
                [&] {
                  send(out, 1, t.sent[0]);
                  send(out, 2, t.sent[0]);
                  out = nullptr;
                }),
             as("receiver", [&] {
               for (counted& v : in) t.received[0].add(v.value());
             }));
  }
  t.check();
  require(t.received[0].count == 2, "a range has missed a value");
}

/// crossbeam's three yanked releases: the first send, or the one that links a segment, against the last receiver and sender.
void segments_and_drops(int before) {
  tally t;
  {
    auto ends = rn::make_channel<counted>(rn::unbounded);
    auto& out = ends.send;
    auto& in = ends.recv;
    for (int i = 0; i < before; ++i) out.send(counted(1000 + i));
    for (int i = 0; i + 1 < before; ++i) static_cast<void>(in.recv());
    auto copy = out;
    parallel(as("sender",
                [&] {
                  send(copy, 1, t.sent[0]);
                  copy = nullptr;
                }),
             as("last sender", [&] { out = nullptr; }), as("last receiver", [&] { in = nullptr; }));
  }
  t.check(true);
}
/// Two senders at a segment's end, and a receiver that walks over it.
void segment_boundary(int before) {
  tally t;
  {
    const rn::channel<counted> ch(rn::unbounded);
    for (int i = 0; i < before; ++i) ch.send(counted(1000 + i));
    for (int i = 0; i < before; ++i) static_cast<void>(ch.recv());
    parallel(as("sender 1",
                [&] {
                  send(ch, 1, t.sent[0]);
                  send(ch, 2, t.sent[0]);
                }),
             as("sender 2", [&] { send(ch, 11, t.sent[1]); }), as("receiver", [&] {
               for (int i = 0; i < 3; ++i) recv(ch, t.received[0]);
             }));
  }
  t.check();
}

/// What the product's debug builds assert is itself explored, step by step.
void assertions(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    parallel(as("sender", [&] { send(ch, 1, t.sent[0]); }), as("receiver", [&] { recv(ch, t.received[0]); }),
             as("closer", [&] { ch.close(); }));
    drain(ch, t);
  }
  t.check();
}

const enroll all([] {
  for (const std::size_t c : capacities) {
    const std::string suffix = "/" + capacity_name(c);
    add_scenario({"channel/two sends, two receivers" + suffix, about(c, {1, 2, 3, 4, 7, 8, 13}),
                  counting([=] { two_sends_two_receivers(c); }, true)});
    add_scenario({"channel/laps" + suffix, about(c, {1, 2, 3, 4, 7, 8, 13}), counting([=] { laps(c); })});
    add_scenario({"channel/receivers in order" + suffix, {7, 10, 14}, counting([=] { receivers_in_order(c); })});
    if (c != no_bound) add_scenario({"channel/senders in order" + suffix, {7, 10, 14}, counting([=] { senders_in_order(c); })});
    add_scenario({"channel/batches, close" + suffix, {4, 5, 8, 10, 13, 15}, counting([=] { batches(c); })});
    if (c != 0 && c != no_bound)
      add_scenario({"channel/batches, one makes room" + suffix, {7, 8, 10}, counting([=] { batch_makes_room(c); }, true)});
    add_scenario({"channel/range" + suffix, {4, 5, 8, 13}, counting([=] { range(c); })});
    add_scenario(
        {"channel/assertions" + suffix, about(c, {1, 6, 7}), counting([=] { assertions(c); }), {.points_in_assertions = true}});
    add_scenario({"channel/spurious wakes" + suffix, {8, 10}, counting([=] { assertions(c); }), {.spurious_wakes = true}});
  }
  for (const std::size_t c : {std::size_t{2}, std::size_t{3}})
    add_scenario(
        {"channel/batches, two senders/" + capacity_name(c), {1, 2, 3, 4, 7, 8}, counting([=] { batches_of_two_senders(c); })});
  for (const int before : {0, 1, 61, 62, 63})
    add_scenario({"segments/drops after " + std::to_string(before), {4, 9, 15}, counting([=] { segments_and_drops(before); })});
  for (const int before : {60, 61, 62})
    add_scenario(
        {"segments/boundary after " + std::to_string(before), {1, 2, 4, 8, 13}, counting([=] { segment_boundary(before); })});
});

}  // namespace
}  // namespace model
