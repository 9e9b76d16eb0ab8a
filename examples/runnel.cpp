// runnel.hpp brings everything. Three workers square numbers; the first failure would stop them all, and so would the deadline.
#include <chrono>
#include <iostream>
#include <runnel/runnel.hpp>

namespace rn = runnel;
using namespace std::chrono_literals;

int sum_of_squares(const rn::context& parent, int count) {
  const rn::channel<int> numbers(8);
  rn::guarded<int> sum(0);
  rn::errgroup group(parent);  // declared last: what its tasks use outlives it

  group.go([&](const rn::context& ctx) {
    const rn::close_on_exit closing(numbers);  // Go's defer close(numbers)
    for (int i = 1; i <= count; ++i)
      if (!numbers.send(ctx, i)) return;  // false: canceled
  });
  for (int worker = 0; worker < 3; ++worker)
    group.go([&] {
      for (const int number : numbers) sum.with([&](int& total) { total += number * number; });
    });
  group.wait();  // rethrows the first failure; context_error if the parent ended the work early
  return *sum.lock();
}

int main() {
  const rn::scoped_context ctx = rn::with_timeout(rn::context::background(), 60s);
  std::cout << sum_of_squares(ctx, 100) << '\n';
}
