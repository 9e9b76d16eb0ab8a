// L2: what waiting costs those who do not wait. A computation that has nothing to do with channels runs on every core; beside it, eight
// pairs of threads pass a value each every hundred microseconds or so: each receiver waits, is woken, and waits again. Time: of a
// thousand steps of the computation. What spins before it sleeps takes them from it.
#include "peers.hpp"

#include <atomic>
#include <list>

namespace {

using bench::item;
constexpr std::size_t pairs = 8;

std::uint64_t steps(std::uint64_t state, std::uint64_t count) {
  for (; count > 0; --count) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
  }
  return state;
}

template <class Subject>
double beside(item thousands) {
  std::list<typename Subject::channel> between;
  std::atomic<bool> over = false;
  std::vector<std::thread> waiters;
  for (std::size_t i = 0; i < pairs; ++i) {
    auto& ch = between.emplace_back(1);
    waiters.emplace_back([&] {
      auto&& in = bench::receiver_of(ch);
      while (*in.recv() != 0) {
      }
    });
    waiters.emplace_back([&] {
      auto&& out = bench::sender_of(ch);
      while (!over.load(std::memory_order_relaxed)) {
        out.send(item{1});
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
      out.send(item{0});
    });
  }
  const std::size_t cores = std::thread::hardware_concurrency();
  const std::vector<std::function<void()>> computations(cores,
                                                        [&] { benchmark::DoNotOptimize(steps(1, thousands * 1000 / cores)); });
  const double seconds = Subject::run(computations);
  over.store(true, std::memory_order_relaxed);
  for (std::thread& t : waiters) t.join();
  return seconds;
}

const bool registered = [] {
  const auto add = []<class Subject>(Subject) {
    bench::add(std::string("L2/beside_waiters/") + Subject::name, 20'000, &beside<Subject>);
  };
  add(bench::runnel_subject());
  bench::each_of_many(add);
  return true;
}();

}  // namespace
