// W14: jobs for a pool with as many workers as cores, submitted by a thread that is none of them, and waited for. Time: of one job.
// oneTBB's task_group, and its task_arena where nobody who waits helps, know no futures and no bound: theirs are left out, or made by hand.
#include "peers.hpp"

#if RUNNEL_BENCH_TBB
#include <tbb/task_arena.h>
#endif

namespace {

namespace rn = bench::rn;
constexpr bench::item items = 100'000;
constexpr bench::item long_items = 2'000;
constexpr unsigned depth = 18;
constexpr bench::item leaves = 1U << depth;

void nothing() {}
void ten_microseconds() {
  const bench::clock::time_point end = bench::clock::now() + std::chrono::microseconds(10);
  while (bench::clock::now() < end) {
  }
}

/// A pool with room for all.
template <auto F>
double pool(bench::item n) {
  rn::worker_pool workers({.queue = items});
  return bench::run_here([&] {
    for (bench::item i = 0; i < n; ++i) workers.submit(F);
    workers.wait();
  });
}
/// With room for a few: the submitter waits most of the time.
template <auto F>
double bounded(bench::item n) {
  rn::worker_pool workers({.queue = 64});
  return bench::run_here([&] {
    for (bench::item i = 0; i < n; ++i) workers.submit(F);
    workers.wait();
  });
}
double answers(bench::item n) {
  rn::worker_pool workers({.queue = items});
  std::vector<rn::future<bench::item>> futures;
  futures.reserve(n);
  return bench::run_here([&] {
    bench::item sum = 0;
    for (bench::item i = 0; i < n; ++i) futures.push_back(workers.submit([i] { return i; }));
    for (auto& answer : futures) sum += answer.get();
    benchmark::DoNotOptimize(sum);
  });
}
/// Divides, submits one half, does the other and waits for the first.
void divide(rn::worker_pool& workers, unsigned levels) {
  if (levels == 0) return;
  auto half = workers.submit([&workers, levels] { divide(workers, levels - 1); });
  divide(workers, levels - 1);
  half.get();
}
double divided(bench::item /*items*/) {
  rn::worker_pool workers({.queue = leaves});
  return bench::run_here([&] { workers.submit([&] { divide(workers, depth); }).get(); });
}

#if RUNNEL_BENCH_TBB
template <auto F>
double group(bench::item n) {
  return bench::run_here([&] {
    tbb::task_group all;
    for (bench::item i = 0; i < n; ++i) all.run(F);
    all.wait();
  });
}
template <auto F>
double arena(bench::item n) {
  tbb::task_arena workers(static_cast<int>(rn::detail::cpu_count()), 0);
  rn::wait_group left;
  left.add(static_cast<std::ptrdiff_t>(n));
  return bench::run_here([&] {
    for (bench::item i = 0; i < n; ++i)
      workers.enqueue([&left] {
        F();
        left.done();
      });
    left.wait();
  });
}
double group_answers(bench::item n) {
  std::vector<bench::item> results(n);
  return bench::run_here([&] {
    tbb::task_group all;
    for (bench::item i = 0; i < n; ++i) all.run([&results, i] { results[i] = i; });
    all.wait();
    bench::item sum = 0;
    for (const bench::item r : results) sum += r;
    benchmark::DoNotOptimize(sum);
  });
}
void group_divide(unsigned levels) {
  if (levels == 0) return;
  tbb::task_group half;
  half.run([levels] { group_divide(levels - 1); });
  group_divide(levels - 1);
  half.wait();
}
double group_divided(bench::item /*items*/) {
  return bench::run_here([] { group_divide(depth); });
}
#endif

const bool registered = [] {
  bench::add("W14/empty/runnel", items, &pool<&nothing>);
  bench::add("W14/empty_bounded/runnel", items, &bounded<&nothing>);
  bench::add("W14/answers/runnel", items, &answers);
  bench::add("W14/ten_us/runnel", long_items, &pool<&ten_microseconds>);
  bench::add("W14/ten_us_bounded/runnel", long_items, &bounded<&ten_microseconds>);
  bench::add("W14/divide/runnel", leaves, &divided);
#if RUNNEL_BENCH_TBB
  bench::add("W14/empty/tbb", items, &group<&nothing>);
  bench::add("W14/empty/tbb_arena", items, &arena<&nothing>);
  bench::add("W14/answers/tbb", items, &group_answers);
  bench::add("W14/ten_us/tbb", long_items, &group<&ten_microseconds>);
  bench::add("W14/ten_us/tbb_arena", long_items, &arena<&ten_microseconds>);
  bench::add("W14/divide/tbb", leaves, &group_divided);
#endif
  return true;
}();

}  // namespace
