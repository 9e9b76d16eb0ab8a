// Many want the same page at once; it is fetched once.
#include <runnel/errgroup.hpp>
#include <runnel/singleflight.hpp>

#include <atomic>
#include <iostream>
#include <string>

namespace rn = runnel;

int main() {
  rn::singleflight<std::string, std::string> pages;
  std::atomic<int> fetched{0};
  std::atomic<int> answered{0};

  // It ends when all have asked.
  rn::channel<void> all_have_asked;
  const auto fetch = [&]() -> rn::task<std::string> {
    ++fetched;
    co_await all_have_asked.async_recv();
    co_return "<html>";
  };
  auto first = pages.run_async("/index", fetch);
  rn::errgroup visitors;
  for (int i = 0; i < 100; ++i) {
    auto page = pages.run_async("/index", fetch);
    visitors.go([&answered, page = std::move(page)]() mutable -> rn::task<> {
      const auto got = co_await page.async_get();
      if (got.value == "<html>" && got.shared) ++answered;
    });
  }
  all_have_asked.close();
  visitors.wait();
  std::cout << first.get().value << " for " << answered << " visitors, fetched " << fetched << " time\n";

  // Who comes later gets a new one.
  std::cout << pages.run("/index", [] { return "<html lang=en>"; }).value << "\n";
}
