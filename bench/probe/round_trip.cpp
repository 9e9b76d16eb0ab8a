// Prints how many nanoseconds a cache line takes from one core to another and back, over the first two that this process may use; 0 where
// there is one. The host of a virtual machine may move its cores, so that it changes from one second to the next, and with it
// all that threads do with each other.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <thread>
#include <vector>

namespace {

std::vector<std::size_t> allowed_cores() {
  cpu_set_t allowed;
  std::vector<std::size_t> cores;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cores;
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  return cores;
}
void pin_this_thread(std::size_t core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
}

/// One side: waits for its turns, and gives them to the other.
void take_turns(std::atomic<int>& turn, int first, int end) {
  for (int mine = first; mine < end; mine += 2) {
    while (turn.load(std::memory_order_acquire) != mine) {
    }
    turn.store(mine + 1, std::memory_order_release);
  }
}
double round_trip(std::size_t one, std::size_t other) {
  constexpr int trips = 5'000;
  alignas(128) std::atomic<int> turn{0};
  std::thread partner([&] {
    pin_this_thread(other);
    take_turns(turn, 1, 2 * trips);
  });
  pin_this_thread(one);
  take_turns(turn, 0, 2);  // the other one has come
  while (turn.load(std::memory_order_acquire) != 2) {
  }
  const auto begin = std::chrono::steady_clock::now();
  take_turns(turn, 2, 2 * trips);
  partner.join();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / (trips - 1);
}

}  // namespace

int main() {
  const std::vector<std::size_t> cores = allowed_cores();
  double least = 0;
  for (int i = 0; i < 3 && cores.size() > 1; ++i) {
    const double now = round_trip(cores[0], cores[1]);
    least = i == 0 ? now : std::min(least, now);
  }
  std::cout << least << '\n';
}
