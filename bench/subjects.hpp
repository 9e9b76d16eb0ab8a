// What the benchmarks compare, under one set of names, and how a run is timed.
//
// A benchmark is called WORKLOAD/DETAIL/SUBJECT; its time is that of one item, as compare.py explains. Where DETAIL speaks of tasks,
// what sends and receives are coroutines, fibers or goroutines, and else threads; where it ends in _pinned, threads that are pinned
// to the cores, round robin.
// Each loop of Google Benchmark is one batch of items, timed by its own clock, so that threads are made outside of the time.
#pragma once

#include <runnel/runnel.hpp>

#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>

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

inline void pin_this_thread(std::size_t number) {
  cpu_set_t allowed;
  cpu_set_t one;
  CPU_ZERO(&one);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::size_t left = number % static_cast<std::size_t>(CPU_COUNT(&allowed));
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed) && left-- == 0) CPU_SET(cpu, &one);
  ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
}
inline bool pinned = false;  // what the benchmark that runs asks for

/// Runs all parts at once, each on its own thread. Returns: the seconds from the start of the first to the end of the last.
inline double run_together(const std::vector<std::function<void()>>& parts) {
  std::latch ready(static_cast<std::ptrdiff_t>(parts.size()));
  std::latch start(1);
  std::vector<clock::time_point> ends(parts.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < parts.size(); ++i)
    threads.emplace_back([&, i] {
      if (pinned) pin_this_thread(i);
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

struct on_threads {
  static double run(const std::vector<std::function<void()>>& parts) { return run_together(parts); }
};
struct runnel_subject : on_threads {
  static constexpr const char* name = "runnel";
  using channel = rn::channel<item>;
};
struct naive_subject : on_threads {
  static constexpr const char* name = "naive";
  using channel = naive::channel<item>;
};

/// What one thread sends through, and receives through: the channel, or what its documentation asks each thread to have for that.
template <class Channel>
decltype(auto) sender_of(Channel& ch) {
  if constexpr (requires { ch.sender(); })
    return ch.sender();
  else
    return (ch);
}
template <class Channel>
decltype(auto) receiver_of(Channel& ch) {
  if constexpr (requires { ch.receiver(); })
    return ch.receiver();
  else
    return (ch);
}

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

/// Runs all tasks at once. Returns: as run_together.
inline rn::task<double> tasks_together(std::vector<rn::task<>> parts) {
  rn::wait_group running;
  const clock::time_point begin = clock::now();
  for (rn::task<>& part : parts) running.go([&] { return std::move(part); });
  co_await running.async_wait();
  co_return std::chrono::duration<double>(clock::now() - begin).count();
}

inline rn::task<double> tasks_together(rn::task<> first, rn::task<> second) {
  std::vector<rn::task<>> both;
  both.push_back(std::move(first));
  both.push_back(std::move(second));
  return tasks_together(std::move(both));
}

/// Registers a benchmark whose batches are run(items), which answers the seconds that it took. The first batch warms up, if it is short.
inline void add(const std::string& name, item items, double (*run)(item), bool pin = false) {
  const auto loop = [items, run, pin](benchmark::State& state) {
    pinned = pin;
    if (items < 1'000'000) run(items);
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(items))) state.SetIterationTime(run(items));
  };
  benchmark::RegisterBenchmark(name.c_str(), loop)->UseManualTime();
}
/// The same for what runs on threads of run_together: as the system places them, and pinned.
inline void add_on_threads(const std::string& workload, const char* subject, item items, double (*run)(item)) {
  add(workload + '/' + subject, items, run);
  add(workload + "_pinned/" + subject, items, run, true);
}

}  // namespace bench
