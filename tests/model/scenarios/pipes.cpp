// Pipes: what is between two tasks of a pipeline.
#include <runnel/runtime.hpp>

#include "pipes.hpp"

#include "coroutines.hpp"

namespace model {
namespace {

rn::task<> receive_until(const rn::context& ctx, const rn::detail::pipe_receiver<counted>& from, tally::actor& received) {
  const rn::send_result waited = co_await rn::detail::limited_happening_awaiter<rn::detail::pipe_values_event<counted>>(ctx, *from);
  std::vector<counted> values;
  if (waited) {
    require(from->take(values, 1) == 1, "a wait for values ends without one");
    received.add(values[0].value());
  }
}
/// A wait with a context, which is canceled, while a value comes.
void canceled() {
  rn::runtime r(1);
  rn::detail::pipe_ends<counted> ends(2);
  tally t;
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("receives", [&] { r.run(receive_until(ctx, ends.recv, t.received[0])); }), as("sends, cancels", [&] {
             counted value(0);
             require(ends.send->put(value) == rn::detail::trial::done, "two slots are full of one value");
             t.sent[0].add(0);
             ctx.cancel();
           }));
  receive_through(ends.recv, 1 - static_cast<int>(t.received[0].count), 1, t.received[1]);
  t.check();
}

const enroll all([] {
  add_scenario({"pipe/passes/1 slot", {1, 2, 3, 8}, counting([] { pipe_passes(1, 3, 1); })});
  add_scenario({"pipe/passes/2 slots", {1, 2, 3, 8}, counting([] { pipe_passes(2, 4, 1); })});
  add_scenario({"pipe/passes/2 slots, at once", {1, 2, 3, 8}, counting([] { pipe_passes(2, 4, 2); })});
  add_scenario({"pipe/is left/1 slot", {8, 15}, counting([] { pipe_is_left(1, 3); })});
  add_scenario({"pipe/is left/2 slots", {8, 15}, counting([] { pipe_is_left(2, 3); })});
  add_scenario({"pipe/canceled", {9, 10}, counting([] { canceled(); })});
});

}  // namespace
}  // namespace model
