// Images in parallel, within so much memory: each one takes as many permits as it has megabytes.
#include <runnel/semaphore.hpp>
#include <runnel/wait_group.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <iostream>

namespace rn = runnel;

int main() {
  constexpr std::int64_t limit = 100;
  rn::semaphore memory(limit);
  std::atomic<std::int64_t> used{0};
  std::atomic<bool> exceeded{false};
  std::atomic<int> done{0};

  // A task waits without a thread until its share is free. Large images are not overtaken by small ones for ever.
  const auto process = [&](std::int64_t megabytes) -> rn::task<> {
    co_await memory.async_acquire(megabytes);
    const std::int64_t now_used = used += megabytes;
    if (now_used > limit) exceeded = true;
    used -= megabytes;
    memory.release(megabytes);
    ++done;
  };
  rn::wait_group images;
  for (const std::int64_t megabytes : {20, 90, 5, 60, 100, 1, 35, 70})
    images.go([&process, megabytes] { return process(megabytes); });
  images.wait();

  std::cout << done << " images, " << (exceeded ? "more" : "never more") << " than " << limit << " MB\n";
  if (!memory.try_acquire(limit)) return 1;
  std::cout << "all of it is free again\n";
}
