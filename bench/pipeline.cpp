// W13: a source, a stage and a sink. Time: of one value, through all of them. In tasks of their own with room for 1024 between them:
// threads by hand, the pipeline, coroutines by hand; and all in one, fused.
#include "peers.hpp"

#include <cstdlib>

#if RUNNEL_BENCH_TBB
#include <tbb/parallel_pipeline.h>
#endif

namespace {

namespace rn = bench::rn;
using bench::item;

constexpr item values = 1 << 18;
constexpr std::size_t room = 1024;
item triple(item n) { return 3 * n; }
item mix(item total, item n) { return total ^ n; }
const item expected = [] {
  item total = 0;
  for (item n = 0; n < values; ++n) total = mix(total, triple(n));
  return total;
}();
void check(item total) {
  if (total != expected) std::abort();
}

template <class Subject>
double by_hand(item /*items*/) {
  typename Subject::channel first(room);
  typename Subject::channel second(room);
  return Subject::run({[&] {
                         auto&& out = bench::sender_of(first);
                         for (item n = 0; n < values; ++n) out.send(item{n});
                       },
                       [&] {
                         auto&& in = bench::receiver_of(first);
                         auto&& out = bench::sender_of(second);
                         for (item n = 0; n < values; ++n) out.send(triple(*in.recv()));
                       },
                       [&] {
                         auto&& in = bench::receiver_of(second);
                         item total = 0;
                         for (item n = 0; n < values; ++n) total = mix(total, *in.recv());
                         check(total);
                       }});
}

using channel = rn::channel<item>;
rn::task<> count(channel out) {
  for (item n = 0; n < values; ++n) co_await out.async_send(n);
  out.close();
}
rn::task<> triple_all(channel in, channel out) {
  while (const auto n = co_await in.async_recv()) co_await out.async_send(triple(*n));
  out.close();
}
rn::task<> mix_all(channel in) {
  item total = 0;
  while (const auto n = co_await in.async_recv()) total = mix(total, *n);
  check(total);
}
double coroutines_by_hand(item /*items*/) {
  const channel first(room);
  const channel second(room);
  return bench::run_here([&] {
    rn::errgroup group;
    group.go([&] { return count(first); });
    group.go([&] { return triple_all(first, second); });
    group.go([&] { return mix_all(second); });
    group.wait();
  });
}

template <class Subject>
double as_pipeline(item /*items*/) {
  const auto p = rn::from(std::views::iota(item{0}, values)) | rn::buffer(room) | rn::map(triple) | rn::buffer(room) |
                 rn::reduce(item{0}, mix);
  return bench::run_here([&] { check(Subject::on().run(p.async_run())); });
}
double fused(item /*items*/) {
  const auto p = rn::from(std::views::iota(item{0}, values)) | rn::map(triple) | rn::reduce(item{0}, mix);
  return bench::run_here([&] { check(p.run()); });
}

#if RUNNEL_BENCH_TBB
double tbb_pipeline(item /*items*/) {
  constexpr auto in_order = tbb::filter_mode::serial_in_order;
  return bench::run_here([&] {
    item next = 0;
    item total = 0;
    tbb::parallel_pipeline(room, tbb::make_filter<void, item>(in_order, [&](tbb::flow_control& flow) {
                                   if (next == values) flow.stop();
                                   return next++;
                                 }) & tbb::make_filter<item, item>(in_order, [](item n) {
                                   return triple(n);
                                 }) & tbb::make_filter<item, void>(in_order, [&](item n) { total = mix(total, n); }));
    check(total);
  });
}
#endif

template <class Subject>
void add_threads(Subject /*subject*/) {
  bench::add(std::string("W13/threads_by_hand/") + Subject::name, values, &by_hand<Subject>);
}
const bool registered = [] {
  add_threads(bench::runnel_subject());
  bench::each_on_threads([](auto peer) { add_threads(peer); });
  bench::add("W13/pipeline_tasks/runnel", values, &as_pipeline<bench::tasks_subject>);
  bench::add("W13/pipeline_tasks/runnel_1", values, &as_pipeline<bench::one_worker_subject>);
  bench::add("W13/pipeline_tasks/runnel_by_hand", values, &coroutines_by_hand);
#if RUNNEL_BENCH_TBB
  bench::add("W13/pipeline_tasks/tbb", values, &tbb_pipeline);
#endif
  bench::fiber_peers::each([](auto peer) { bench::add("W13/pipeline_tasks/fiber", values, &by_hand<decltype(peer)>); });
  bench::add("W13/fused/runnel", values, &fused);
  return true;
}();

}  // namespace
