// A bounded stock: takers wait until there is something, the maker waits until there is room.
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>

#include <iostream>
#include <vector>

namespace rn = runnel;

int main() {
  rn::guarded<std::vector<int>> stock;
  int sum = 0;

  rn::errgroup group;
  group.go([&] {
    for (int i = 1; i <= 100; ++i)
      stock.wait([](const auto& s) { return s.size() < 4; })->push_back(i);  // locked until the semicolon
  });
  group.go([&] {
    for (int i = 1; i <= 100; ++i) {
      auto items = stock.wait([](const auto& s) { return !s.empty(); });  // locked until the end of the scope
      sum += items->back();
      items->pop_back();
    }
  });
  group.wait();

  std::cout << "sum " << sum << ", left " << stock.with([](const auto& s) { return s.size(); }) << '\n';
}
