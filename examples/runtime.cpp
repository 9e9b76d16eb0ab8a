// runtime: functions and coroutines on a fixed number of workers, that may all wait for one another; and how its work is ended.
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>
#include <runnel/runtime.hpp>

#include <iostream>
#include <utility>
#include <vector>

namespace rn = runnel;
using namespace std::chrono_literals;

int main() {
  // One worker. A function that waits takes none, so functions may wait for one another, however many they are.
  rn::runtime workers(1);
  {
    const rn::channel<int> first;
    rn::channel<int> last = first;
    for (int i = 0; i < 100; ++i) {
      const rn::channel<int> next;
      workers.go([in = last, next] { next.send(*in.recv() + 1); });
      last = next;
    }
    first.send(0);
    std::cout << "passed through " << *last.recv() << " functions on " << workers.workers() << " worker\n";
  }

  // A function's answer, a coroutine's, and one that is waited for at once.
  auto square = workers.async([](int x) { return x * x; }, 12);
  auto sum = workers.async([factor = 2](int x) -> rn::task<int> { co_return (factor * x); }, 21);
  std::cout << square.get() << ' ' << sum.get() << ' ' << workers.run([]() -> rn::task<int> { co_return 1; }()) << '\n';

  // What this library does not know is marked, so that others run meanwhile.
  auto read = workers.async([] {
    const rn::blocking_region elsewhere;
    return 5;  // read a file, call a database
  });
  std::cout << "read " << read.get() << '\n';

  // A group on this runtime.
  rn::errgroup group({}, {.on = &workers});
  rn::guarded<int> total(0);
  for (int i = 1; i <= 10; ++i)
    group.go([&total, i]() -> rn::task<> {
      co_await rn::async_sleep_for(1us);
      total.with([i](int& t) { t += i; });
    });
  group.wait();
  std::cout << "total " << *total.lock() << '\n';

  // The end: what waits for ever is given up after a while, frames and all.
  const rn::channel<int> never;
  auto stuck = workers.async([never]() -> rn::task<int> { co_return (co_await never.async_recv()).value(); });
  workers.shutdown(rn::drain_for(10ms));
  try {
    stuck.get();
  } catch (const rn::context_error& e) {
    std::cout << "given up: " << e.code().message() << '\n';
  }
}
