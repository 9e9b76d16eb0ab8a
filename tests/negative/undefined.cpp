// A received number overflows.
// reported by undefined: signed integer overflow
#include <limits>
#include <runnel/channel.hpp>

int main() {
  const runnel::channel<int> numbers(1);
  numbers.send(std::numeric_limits<int>::max());
  const int next = *numbers.recv() + 1;  // planted
  return next != 0 ? 0 : 1;
}
