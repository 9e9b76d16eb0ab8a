// fan: results that are joined in order, values that are joined and copied, by the product's tasks on one worker.
#include <runnel/fan.hpp>

#include <memory>
#include <stdexcept>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

rn::errgroup_options on(rn::runtime& r) { return {.limit = 0, .collect_all = false, .on = &r}; }

rn::channel<int> closed_with(int n) {
  const rn::channel<int> in(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) in.send(i);
  in.close();
  return in;
}

/// The values come from another thread, so that workers queue for them.
void joined_in_order(std::size_t capacity) {
  rn::runtime r(1);
  rn::errgroup group({}, on(r));
  const rn::channel<int> in(1);
  const auto out = rn::parallel_map(group, in, [](int v) { return v; }, {2, capacity});
  for (int i = 0; i < 3; ++i) in.send(i);
  in.close();
  int next = 0;
  while (const auto v = out.recv()) require(*v == next++, "results come out of order");
  group.wait();
  require(next == 3, "a result is lost");
}
/// A worker that waits while the other goes on: the first result is ready last.
void joined_when_late() {
  rn::runtime r(1);
  rn::errgroup group({}, on(r));
  const rn::channel<void> second_begins;
  const auto f = [&](int v) -> rn::task<int> {
    if (v == 0) static_cast<void>(co_await second_begins.async_recv());
    if (v == 1) co_await second_begins.async_send();
    co_return v;
  };
  const auto out = rn::parallel_map(group, closed_with(3), f, {2, 1});
  int next = 0;
  while (const auto v = out.recv()) require(*v == next++, "results come out of order");
  group.wait();
  require(next == 3, "a result is lost");
}
void joined_and_canceled() {
  rn::runtime r(1);
  rn::errgroup group({}, on(r));
  const auto out = rn::parallel_map(group, closed_with(3), [](int v) { return v; }, {2, 1});
  int next = 0;
  if (const auto v = out.recv()) require(*v == next++, "results come out of order");
  group.cancel();
  while (const auto v = out.recv()) require(*v == next++, "results come out of order");
  group.wait();
}
/// Two workers on threads of their own, without a runtime.
void joined_by_two_threads() {
  const auto same = [](int v) { return v; };
  using stage = rn::detail::ordered_mapping<int, int, decltype(same)>;
  const rn::channel<int> out(2);
  const auto state = std::make_shared<stage>(closed_with(2), out, std::make_shared<decltype(same)>(same), 2);
  const rn::context ctx;
  const auto works = [&] {
    const auto worker = [&]() -> placed {
      rn::task<> work = state->work(ctx);
      co_await std::move(work);
    };
    run_here(worker());
  };
  parallel(as("1", works), as("2", works));
  require(*out.recv() == 0, "results come out of order");
  require(*out.recv() == 1, "results come out of order");
}
/// The first value fails when the second has been done, whose worker waits for the window.
void joined_and_failed() {
  rn::runtime r(1);
  rn::errgroup group({}, {.limit = 0, .collect_all = true, .on = &r});
  const rn::channel<void> second_begins;
  const auto fails = [&](int v) -> rn::task<int> {
    if (v == 1) co_await second_begins.async_send();
    if (v != 0) co_return v;
    static_cast<void>(co_await second_begins.async_recv());
    throw v;
  };
  const auto out = rn::parallel_map(group, closed_with(3), fails, {2, 0});
  require(out.recv().status() == rn::status::closed, "nothing comes after what has failed");
  require(group.wait_result() != nullptr, "the failure comes out of wait");
}
void no_room() {
  rn::runtime r(1);
  rn::errgroup group({}, {.limit = 1, .collect_all = false, .on = &r});
  const rn::channel<int> in = closed_with(2);
  bool refused = false;
  try {
    static_cast<void>(rn::fan_in(group, in, in));
  } catch (const std::logic_error&) {
    refused = true;
  }
  group.wait();
  require(refused && in.size() == 2, "a stage without room has begun");
}
void fan_in_dropped() {
  rn::runtime r(1);
  rn::errgroup group({}, on(r));
  auto a = rn::make_channel<int>(1);
  auto b = rn::make_channel<int>(1);
  {
    const auto out = rn::fan_in(group, std::move(a.recv), std::move(b.recv));
    a.send.send(1);
    b.send.send(2);
    require(out.recv().status() == rn::status::ok, "a value comes");
  }
  // Each task ends at its next value, or has ended.
  static_cast<void>(a.send.send(rn::context(), 3));
  static_cast<void>(b.send.send(rn::context(), 4));
  group.wait();
  require(a.send.closed() && b.send.closed(), "upstream learns that nobody reads");
}
void tee_dropped() {
  rn::runtime r(1);
  rn::errgroup group({}, on(r));
  auto outs = rn::tee(group, closed_with(2), 2);
  int got = 0;
  require(outs[0].recv().status() == rn::status::ok, "a value is lost");
  outs[1] = nullptr;
  while (const auto v = outs[0].recv()) require(*v == ++got, "values come out of order");
  group.wait();
  require(got == 1, "a value is lost with somebody else's output");
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"fan/joined in order/capacity 0", waiting, [] { joined_in_order(0); }});
  add_scenario({"fan/joined in order/capacity 1", waiting, [] { joined_in_order(1); }});
  add_scenario({"fan/joined when late", waiting, &joined_when_late});
  add_scenario({"fan/joined, cancel", waiting, &joined_and_canceled});
  add_scenario({"fan/joined by two threads", waiting, &joined_by_two_threads});
  add_scenario({"fan/joined, one fails", waiting, &joined_and_failed});
  add_scenario({"fan/no room", waiting, &no_room});
  add_scenario({"fan/fan_in, dropped", waiting, &fan_in_dropped});
  add_scenario({"fan/tee, dropped", waiting, &tee_dropped});
});

}  // namespace
}  // namespace model
