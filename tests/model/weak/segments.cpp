// The chain of segments: at its start, and where a segment ends; and what is handed on from one life of a segment to the next.
#include "kit.hpp"

namespace model {
namespace {

using segments = rn::detail::segments<counted>;

constexpr int slots = 63;  // of a segment

void fill(segments& store, int count) {
  tally::actor nobody;
  for (int i = 0; i < count; ++i, nobody.count = 0) push(store, 1000 + i, nobody);
}
void empty(segments& store, int count) {
  tally::actor nobody;
  for (int i = 0; i < count; ++i, nobody.count = 0) require(pop(store, nobody) == trial::done, "a value is missing");
}

/// `before`: so many values have gone through it. `most`: see scenario::most_executions.
template <class Body>
void add(const std::string& name, std::vector<int> proves, int before, Body body, std::uint64_t most = 0) {
  add_scenario({"segments/" + name + " after " + std::to_string(before),
                std::move(proves),
                counting([=] {
                  segments store;
                  fill(store, before);
                  empty(store, before);
                  body(store);
                }),
                {},
                most});
}

/// A segment that one receiver has emptied is a sender's next one, and others read it: nothing of its first life.
void second_life() {
  segments store;
  fill(store, 2 * slots - 2);  // the sender's next value but one needs a segment
  empty(store, slots - 1);     // the first receiver's next one frees one
  tally t;
  meeting freed;
  meeting sent;
  meeting at_end;
  parallel(as("receiver 1",
              [&] {
                empty(store, 1);
                freed.come();
              }),
           as("sender",
              [&] {
                freed.wait();
                push_all(store, 1, 3, t.sent[0]);
                sent.come();
              }),
           as("receiver 2",
              [&] {
                sent.wait();
                empty(store, slots - 2);
                pop_all(store, 1, t.received[0]);
                at_end.come();
                pop_all(store, 1, t.received[0]);
              }),
           as("receiver 3", [&] {
             at_end.wait();
             pop_all(store, 1, t.received[1]);
           }));
  drain_and_check(store, t);
}

/// Senders that meet at the last slot each bring a segment; what is not used is another's spare, or is freed by it.
void too_many_segments() {
  segments store;
  fill(store, slots - 1);
  empty(store, slots - 1);
  tally t;
  parallel(as("sender 1", [&] { push_all(store, 1, 1, t.sent[0]); }), as("sender 2", [&] { push_all(store, 11, 1, t.sent[1]); }),
           as("sender 3", [&] { push_all(store, 21, 1, t.sent[2]); }));
  drain_and_check(store, t);
}

const enroll all([] {
  for (const int before : {0, slots - 2, slots - 1}) {
    add("two senders", {1, 2, 4}, before, &two_senders<segments>);
    add("two receivers", {1, 2, 4}, before, &two_receivers<segments>, 60'000);
    add("laps", {1, 2}, before, [](segments& s) { laps(s, 3); });
    add("tries", {1, 2, 4}, before, &tries<segments>);
    add("close", {4, 5}, before, &closing<segments>);
    add("value against flag", {8}, before, &value_against_flag<segments>);
  }
  add_scenario({"segments/second life", {1, 2, 4}, counting(&second_life), {}, 20'000});
  add_scenario({"segments/too many", {1, 2, 4}, counting(&too_many_segments)});
});

}  // namespace
}  // namespace model
