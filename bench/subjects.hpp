// What the benchmarks compare, under one set of names, and how a run is timed.
//
// A benchmark is called WORKLOAD/DETAIL/SUBJECT; its time is that of one item (W5: one round trip; W1 and W9: one operation; W10: one
// task; W12: one hop; W13: one value; W14: one job). Where DETAIL ends in _tasks, what sends and receives are coroutines, fibers or
// goroutines, and else threads.
// Each loop of Google Benchmark is one batch of items, timed by its own clock, so that threads are made outside of the time.
#pragma once

#include <runnel/runnel.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "naive_channel.hpp"

namespace bench {

namespace rn = runnel;
using item = std::uint64_t;

/// glibc's locks are half price in a process that has never started a thread: this one has, and keeps it.
inline const bool threads_started = [] {
  std::thread([] {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }).detach();
  return true;
}();

using clock = std::chrono::steady_clock;

/// Runs all parts at once, each on its own thread. Returns: the seconds from the start of the first to the end of the last.
inline double run_together(const std::vector<std::function<void()>>& parts) {
  std::latch ready(static_cast<std::ptrdiff_t>(parts.size()));
  std::latch start(1);
  std::vector<clock::time_point> ends(parts.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < parts.size(); ++i)
    threads.emplace_back([&, i] {
      ready.count_down();
      start.wait();
      parts[i]();
      ends[i] = clock::now();
    });
  ready.wait();
  const clock::time_point begin = clock::now();
  start.count_down();
  for (std::thread& t : threads) t.join();
  return std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) - begin).count();
}
/// Runs f() here. Returns: the seconds.
template <class F>
double run_here(F f) {
  const clock::time_point begin = clock::now();
  f();
  return std::chrono::duration<double>(clock::now() - begin).count();
}

struct runnel_subject {
  static constexpr const char* name = "runnel";
  using channel = rn::channel<item>;
  static double run(const std::vector<std::function<void()>>& parts) { return run_together(parts); }
};
struct naive_subject {
  static constexpr const char* name = "naive";
  using channel = naive::channel<item>;
  static double run(const std::vector<std::function<void()>>& parts) { return run_together(parts); }
};

/// Coroutines, on the runtime with as many workers as cores, and on one with one worker.
struct tasks_subject {
  static constexpr const char* name = "runnel";
  static rn::runtime& on() { return rn::runtime::global(); }
};
struct one_worker_subject {
  static constexpr const char* name = "runnel_1";
  static rn::runtime& on() {
    static rn::runtime one(1);
    return one;
  }
};

/// Runs both tasks at once. Returns: as run_together.
inline rn::task<double> tasks_together(rn::task<> first, rn::task<> second) {
  rn::wait_group running;
  const clock::time_point begin = clock::now();
  running.go([&] { return std::move(first); });
  running.go([&] { return std::move(second); });
  co_await running.async_wait();
  co_return std::chrono::duration<double>(clock::now() - begin).count();
}

/// Registers a benchmark whose batches are run(items), which answers the seconds that it took. The first batch warms up, if it is short.
inline void add(const std::string& name, item items, double (*run)(item)) {
  const auto loop = [items, run](benchmark::State& state) {
    if (items < 1'000'000) run(items);
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(items))) state.SetIterationTime(run(items));
  };
  benchmark::RegisterBenchmark(name.c_str(), loop)->UseManualTime();
}

}  // namespace bench
