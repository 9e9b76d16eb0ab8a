// What the weak-memory scenarios of the stores share: pushes and pops that note what they did, and what each store must do.
#pragma once

#include <runnel/detail/segments.hpp>

#include "../scenarios/kit.hpp"

namespace model {

using rn::detail::trial;

template <class Store>
trial push(Store& store, int value, tally::actor& a) {
  counted v(value);
  const trial how = store.try_push(v);
  if (how == trial::done)
    a.add(value);
  else
    require(v.has_value(), "a push that failed has moved its value");
  return how;
}
template <class Store>
trial pop(Store& store, tally::actor& a) {
  rn::detail::storage<counted> room;
  const trial how = store.try_pop(room.get());
  if (how == trial::done) {
    a.add(room.get()->value());
    std::destroy_at(room.get());
  }
  return how;
}
/// Gives way until it is not refused any more.
template <class Try>
trial insist(Try once) {
  for (;;) {
    const trial how = once();
    if (how != trial::would_block) return how;
    rn::detail::yield();
  }
}
template <class Store>
void push_all(Store& store, int first, int count, tally::actor& a) {
  for (int i = 0; i < count; ++i) insist([&] { return push(store, first + i, a); });
}
template <class Store>
void pop_all(Store& store, int count, tally::actor& a) {
  for (int i = 0; i < count; ++i) insist([&] { return pop(store, a); });
}
/// Takes out what is left, then compares what went in with what came out.
template <class Store>
void drain_and_check(Store& store, tally& t) {
  while (pop(store, t.received[3]) == trial::done) {
  }
  t.check();
}

/// One part waits for another here, and learns nothing but that it has come so far: what happens before must come from the product.
class meeting {
 public:
  void come() noexcept {
    happened_.store(1, rn::detail::relaxed);
    rn::detail::unpark(&happened_);
  }
  void wait() const noexcept {
    while (happened_.load(rn::detail::relaxed) == 0) rn::detail::park(happened_, 0);
  }

 private:
  rn::detail::atomic<std::uint32_t> happened_{0};
};

// The scenarios of any store.

template <class Store>
void two_senders(Store& store) {
  tally t;
  parallel(as("sender 1", [&] { push_all(store, 1, 1, t.sent[0]); }), as("sender 2", [&] { push_all(store, 11, 1, t.sent[1]); }),
           as("receiver", [&] { pop_all(store, 2, t.received[0]); }));
  drain_and_check(store, t);
}
template <class Store>
void two_receivers(Store& store) {
  tally t;
  parallel(as("sender", [&] { push_all(store, 1, 2, t.sent[0]); }), as("receiver 1", [&] { pop_all(store, 1, t.received[0]); }),
           as("receiver 2", [&] { pop_all(store, 1, t.received[1]); }));
  drain_and_check(store, t);
}
template <class Store>
void laps(Store& store, int count) {
  tally t;
  parallel(as("sender", [&] { push_all(store, 1, count, t.sent[0]); }),
           as("receiver", [&] { pop_all(store, count, t.received[0]); }));
  drain_and_check(store, t);
}
/// Nobody waits for anybody.
template <class Store>
void tries(Store& store) {
  tally t;
  parallel(as("sender 1",
              [&] {
                push(store, 1, t.sent[0]);
                push(store, 2, t.sent[0]);
              }),
           as("sender 2", [&] { push(store, 11, t.sent[1]); }), as("receiver", [&] {
             pop(store, t.received[0]);
             pop(store, t.received[0]);
           }));
  drain_and_check(store, t);
}
/// A push is accepted exactly if it comes before the close; who is told that the store is closed and empty has seen the last of it.
template <class Store>
void closing(Store& store) {
  tally t;
  parallel(as("sender", [&] { push(store, 1, t.sent[0]); }),
           as("closer",
              [&] {
                store.close();
                require(push(store, 2, t.sent[1]) == trial::closed, "a push after the close is accepted");
              }),
           as("receiver", [&] {
             while (insist([&] { return pop(store, t.received[0]); }) == trial::done) {
             }
             require(store.closed() && store.drained(), "it was closed and empty, and is not any more");
           }));
  require(t.received[0].count == t.sent[0].count, "a value came after the end");
  drain_and_check(store, t);
}
/// Invariant 8 of channel_core.hpp, without the channel: who claims and then sees no flag is seen by who sets it and then looks.
template <class Store>
void value_against_flag(Store& store) {
  tally t;
  rn::detail::atomic<int> flag{0};
  bool seen = false;
  trial looked = trial::would_block;
  parallel(as("sender",
              [&] {
                require(push(store, 1, t.sent[0]) == trial::done, "an empty store has no room");
                seen = flag.load(rn::detail::seq_cst) != 0;
              }),
           as("receiver", [&] {
             flag.store(1, rn::detail::seq_cst);
             looked = pop(store, t.received[0]);
           }));
  require(seen || looked == trial::done, "a wake-up is lost: the sender has not seen the flag, nor the receiver its claim");
  drain_and_check(store, t);
}

}  // namespace model
