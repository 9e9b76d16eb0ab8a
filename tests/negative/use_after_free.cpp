// A receiver uses what the sender freed after it had sent the pointer.
// reported by address: heap-use-after-free
#include <memory>
#include <runnel/channel.hpp>

int main() {
  const runnel::channel<int*> pointers(1);
  auto value = std::make_unique<int>(1);
  pointers.send(value.get());
  value.reset();
  return **pointers.recv() == 1 ? 0 : 1;  // planted: it is gone
}
