// L3: what waiting costs while nothing happens. A thousand threads, or a million tasks, wait in one channel for ten seconds. Time: of a
// core, all threads together, in a second of that. Counted besides: how often a thread gave a core up meanwhile, in all ten seconds, which
// is how often one was woken. Whoever measures is one of them, and sleeps in between.
#include <sys/resource.h>

#include <ctime>

#include "peers.hpp"

namespace {

namespace rn = bench::rn;
constexpr std::chrono::seconds period(10);

struct usage {
  double nanoseconds;
  double switches;
};
usage used_so_far() {
  timespec cpu{};
  rusage all{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  ::getrusage(RUSAGE_SELF, &all);
  return {static_cast<double>(cpu.tv_sec) * 1e9 + static_cast<double>(cpu.tv_nsec),
          static_cast<double>(all.ru_nvcsw + all.ru_nivcsw)};
}
/// Once all that was started before is at rest.
usage used_while_idle() {
  usage before = used_so_far();
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const usage now = used_so_far();
    const bool at_rest = now.switches <= before.switches + 2;
    before = now;
    if (at_rest) break;
  }
  std::this_thread::sleep_for(period);
  const usage after = used_so_far();
  return {after.nanoseconds - before.nanoseconds, after.switches - before.switches};
}

template <class Subject>
usage threads() {
  typename Subject::channel ch(1);
  constexpr std::size_t count = 1'000;
  std::vector<std::thread> waiting;
  for (std::size_t i = 0; i < count; ++i) waiting.emplace_back([&] { benchmark::DoNotOptimize(bench::receiver_of(ch).recv()); });
  const usage used = used_while_idle();
  for (std::size_t i = 0; i < count; ++i) bench::sender_of(ch).send(bench::item{1});
  for (std::thread& t : waiting) t.join();
  return used;
}

rn::task<> pass(rn::channel<void> gate, rn::wait_group* gone) {
  co_await gate.async_recv();
  gone->done();
}
template <class Subject>
usage tasks() {
  const rn::channel<void> gate;
  constexpr std::ptrdiff_t count = 1'000'000;
  rn::wait_group gone;
  gone.add(count);
  Subject::on().run([](rn::channel<void> at, rn::wait_group* last) -> rn::task<> {
    for (std::ptrdiff_t i = 0; i < count; ++i) rn::go(pass(at, last));
    co_return;
  }(gate, &gone));
  const usage used = used_while_idle();
  gate.close();
  gone.wait();
  return used;
}

void add(const std::string& name, usage (*run)()) {
  const auto loop = [run](benchmark::State& state) {
    while (state.KeepRunning()) {
      const usage used = run();
      state.SetIterationTime(used.nanoseconds / 1e9 / static_cast<double>(period.count()));
      state.counters["switches"] = used.switches;
    }
  };
  benchmark::RegisterBenchmark(name.c_str(), loop)->UseManualTime()->Iterations(1);
}
const bool registered = [] {
  add("L3/idle_1000_threads/runnel", &threads<bench::runnel_subject>);
  add("L3/idle_1000_threads/naive", &threads<bench::naive_subject>);
  add("L3/idle_million_tasks/runnel", &tasks<bench::tasks_subject>);
  return true;
}();

}  // namespace
