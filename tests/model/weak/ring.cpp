// The ring: claims, stamps and laps, where the position counter wraps around.
#include "kit.hpp"

namespace model {
namespace {

using ring = rn::detail::ring<counted>;

/// The position counter stands a lap before it wraps around.
template <class Body>
void add(const std::string& name, std::vector<int> proves, std::size_t capacity, Body body) {
  add_scenario({"ring/" + name + "/" + capacity_name(capacity), std::move(proves), counting([=] {
                  ring r;
                  const std::uint64_t lap_size = std::bit_ceil(capacity + 1) * 2;
                  r.allocate(capacity, UINT64_MAX / lap_size);
                  body(r);
                })});
}

/// A full ring: the one who makes room claims the head.
void room_against_flag(ring& r) {
  tally t;
  for (std::size_t i = 0; i < r.capacity(); ++i) push(r, 90 + static_cast<int>(i), t.sent[3]);
  rn::detail::atomic<int> flag{0};
  bool seen = false;
  trial looked = trial::would_block;
  parallel(as("receiver",
              [&] {
                require(pop(r, t.received[0]) == trial::done, "a full ring has no value");
                seen = flag.load(rn::detail::seq_cst) != 0;
              }),
           as("sender", [&] {
             flag.store(1, rn::detail::seq_cst);
             looked = push(r, 1, t.sent[0]);
           }));
  require(seen || looked == trial::done, "a wake-up is lost: the receiver has not seen the flag, nor the sender its claim");
  drain_and_check(r, t);
}

const enroll all([] {
  for (const std::size_t c : {std::size_t{1}, std::size_t{2}}) {
    add("two senders", {1, 2, 3, 4}, c, &two_senders<ring>);
    add("two receivers", {1, 2, 3, 4}, c, &two_receivers<ring>);
    add("laps", {1, 2, 3}, c, [](ring& r) { laps(r, 3); });
    add("tries", {1, 2, 3, 4}, c, &tries<ring>);
    add("close", {4, 5}, c, &closing<ring>);
    add("value against flag", {8}, c, &value_against_flag<ring>);
    add("room against flag", {8}, c, &room_against_flag);
  }
});

}  // namespace
}  // namespace model
