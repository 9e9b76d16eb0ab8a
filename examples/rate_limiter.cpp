// Requests to a server that allows a hundred a second, and three at once.
#include <runnel/errgroup.hpp>
#include <runnel/rate_limiter.hpp>

#include <atomic>
#include <iostream>

namespace rn = runnel;
using namespace std::chrono_literals;

int main() {
  rn::rate_limiter limit(100, 3);
  const auto begin = rn::clock::now();
  std::atomic<int> sent{0};
  rn::errgroup requests;
  for (int i = 0; i < 8; ++i)
    requests.go([&](const rn::context& ctx) -> rn::task<> {
      const auto allowed = co_await limit.async_wait(ctx);  // without a thread
      if (allowed) ++sent;
    });
  requests.wait();
  std::cout << sent << " requests, " << (rn::clock::now() - begin >= 50ms ? "in no less than" : "sooner than") << " 50 ms\n";

  // Somebody in a hurry learns at once that it would take too long, and takes nothing from the others.
  rn::rate_limiter slow(0.01, 1);
  std::cout << std::boolalpha << slow.allow() << " " << slow.allow() << " "
            << (slow.try_wait_for(1s).status() == rn::status::timed_out ? "too late" : "in time") << "\n";
}
