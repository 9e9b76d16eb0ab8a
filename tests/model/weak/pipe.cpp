// The pipe: its positions, its flags, and the values, which are plain data here.
#include "../scenarios/pipes.hpp"

#include "kit.hpp"

namespace model {
namespace {

/// The sender goes on only when its value has arrived, and the receiver only when it has been told: nobody else looks at the pipe then.
void value_wakes() {
  rn::detail::pipe_ends<counted> ends(2);
  tally t;
  meeting arrived;
  parallel(as("sender",
              [&] {
                require(send_through(ends.send, 1, t.sent[0]) == 1, "the receiver has ended by itself");
                arrived.wait();
              }),
           as("receiver", [&] {
             receive_through(ends.recv, 1, 1, t.received[0]);
             arrived.come();
           }));
  t.check();
}
void room_wakes() {
  rn::detail::pipe_ends<counted> ends(1);
  tally t;
  meeting gone_on;
  parallel(as("sender",
              [&] {
                require(send_through(ends.send, 1, t.sent[0]) == 1, "the receiver has ended by itself");
                gone_on.come();
              }),
           as("receiver", [&] {
             while (t.received[0].count == 0) {
               std::vector<counted> values;
               if (ends.recv->take(values, 1) != 0)
                 t.received[0].add(values[0].value());
               else
                 rn::detail::yield();
             }
             gone_on.wait();
           }));
  t.check();
}

const enroll all([] {
  add_scenario({"pipe/passes/1 slot", {1, 2, 3, 8}, counting([] { pipe_passes(1, 2, 1); })});
  add_scenario({"pipe/passes/2 slots", {1, 2, 3, 8}, counting([] { pipe_passes(2, 3, 2); })});
  add_scenario({"pipe/is left", {8, 15}, counting([] { pipe_is_left(1, 2); })});
  add_scenario({"pipe/value wakes", {8}, counting([] { value_wakes(); })});
  add_scenario({"pipe/room wakes", {8}, counting([] { room_wakes(); })});
});

}  // namespace
}  // namespace model
