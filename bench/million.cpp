// W10, G4: many tasks wait in one channel, and are let go: a million, and 10 000 fibers; growth from a thousand on. Time: of one task,
// from its start to its end.
// Counted besides: how many bytes of resident memory there are more for each, once all of them wait, in the first batch.
#include "peers.hpp"

#include <malloc.h>
#include <unistd.h>

#include <fstream>

namespace {

namespace rn = bench::rn;

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}
struct measured {
  double seconds;
  double bytes;  // of all tasks
};

struct gate {
  rn::channel<void> start;
  rn::wait_group waiting;
  rn::wait_group gone;
};
rn::task<> pass(gate* at) {
  at->waiting.done();
  co_await at->start.async_recv();
  at->gone.done();
}
rn::task<measured> many(bench::item tasks) {
  const double before = resident_bytes();
  const bench::clock::time_point begin = bench::clock::now();
  gate all;
  all.waiting.add(static_cast<std::ptrdiff_t>(tasks));
  all.gone.add(static_cast<std::ptrdiff_t>(tasks));
  for (bench::item i = 0; i < tasks; ++i) rn::go(pass(&all));
  co_await all.waiting.async_wait();
  const double bytes = resident_bytes() - before;
  all.start.close();
  co_await all.gone.async_wait();
  co_return measured{std::chrono::duration<double>(bench::clock::now() - begin).count(), bytes};
}
template <class Subject>
measured coroutines(bench::item tasks) {
  return Subject::on().run(many(tasks));
}

template <class Subject>
measured fibers(bench::item tasks) {
  measured all{};
  all.seconds = bench::run_here([&] {
    const double before = resident_bytes();
    typename Subject::channel start(0);
    typename Subject::channel waiting(0);
    typename Subject::group group;
    for (bench::item i = 0; i < tasks; ++i)
      group.run([&] {
        waiting.send(1);
        benchmark::DoNotOptimize(start.recv());
      });
    for (bench::item i = 0; i < tasks; ++i) waiting.recv();
    all.bytes = resident_bytes() - before;
    start.close();
    group.wait();
  });
  return all;
}

void add(const std::string& name, bench::item tasks, measured (*run)(bench::item)) {
  const auto loop = [tasks, run, bytes = -1.0](benchmark::State& state) mutable {
    ::malloc_trim(0);  // what others have left is not to be used again unseen
    while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(tasks))) {
      const measured all = run(tasks);
      state.SetIterationTime(all.seconds);
      if (bytes < 0) bytes = all.bytes / static_cast<double>(tasks);
    }
    state.counters["bytes"] = bytes;
  };
  benchmark::RegisterBenchmark(name.c_str(), loop)->UseManualTime();
}
void add_growth() {
  for (bench::item tasks = 1000; tasks <= 1'000'000; tasks *= 10) {
    const std::string name = "G4/blocked_" + std::to_string(tasks) + "_tasks/";
    add(name + "runnel", tasks, &coroutines<bench::tasks_subject>);
    if (tasks <= 10'000) bench::fiber_peers::each([&](auto peer) { add(name + "fiber", tasks, &fibers<decltype(peer)>); });
  }
}
const bool registered = [] {
  add_growth();
  add("W10/million_tasks/runnel", 1'000'000, &coroutines<bench::tasks_subject>);
  add("W10/million_tasks/runnel_1", 1'000'000, &coroutines<bench::one_worker_subject>);
  bench::fiber_peers::each([](auto peer) { add("W10/million_tasks/fiber", 10'000, &fibers<decltype(peer)>); });
  return true;
}();

}  // namespace
