// A million coroutines wait in one channel, and are let go. How much memory each takes, and how long it takes, goes to stderr.
#include <runnel/runnel.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <string>

namespace rn = runnel;

long resident_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (long kilobytes = 0; word == "VmRSS:" && status >> kilobytes) return kilobytes;
  return 0;
}

rn::task<> wait_for(rn::recv_channel<void> start, rn::wait_group& waiting, rn::wait_group& gone) {
  waiting.done();
  co_await start.async_recv();
  gone.done();
}

int main(int argc, char** argv) {
  const long tasks = argc > 1 ? std::stol(argv[1]) : 1'000'000;
  const long before = resident_kilobytes();
  const auto begin = std::chrono::steady_clock::now();

  const rn::channel<void> start;
  rn::wait_group waiting;
  rn::wait_group gone;
  waiting.add(tasks);
  gone.add(tasks);
  for (long i = 0; i < tasks; ++i) rn::go(wait_for(start, waiting, gone));
  waiting.wait();
  const auto middle = std::chrono::steady_clock::now();
  const long kilobytes = resident_kilobytes() - before;
  start.close();
  gone.wait();
  const auto end = std::chrono::steady_clock::now();

  using nanoseconds = std::chrono::duration<double, std::nano>;
  const auto each = [tasks](double total) { return total / static_cast<double>(tasks); };
  std::cerr << each(1024.0 * static_cast<double>(kilobytes)) << " bytes a task; started in "
            << each(nanoseconds(middle - begin).count()) << " ns, let go in " << each(nanoseconds(end - middle).count())
            << " ns a task\n";
  std::cout << tasks << " tasks waited, and are gone\n";
}
