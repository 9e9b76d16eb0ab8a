// A program of a user: sends values over a channel, from a task, and says whether all arrived.
// Includes come after the words that Qt makes its own.
#define emit
#define foreach for
#define signals public
#define slots
#include <runnel/runnel.hpp>

int main() {
  const runnel::channel<int> numbers(4);
  runnel::errgroup group;
  group.go([&] {
    const runnel::close_on_exit closing(numbers);
    for (int i = 1; i <= 100; ++i) numbers.send(i);
  });
  int sum = 0;
  for (const int number : numbers) sum += number;
  group.wait();
  return sum == 5050 ? 0 : 1;
}
