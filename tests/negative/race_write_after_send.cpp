// H12 H13 A sender writes what a sent pointer points to, once more, after a send through a buffer.
// reported by thread: data race
#include <runnel/channel.hpp>
#include <thread>

int main() {
  const runnel::channel<int*> pointers(1);
  int value = 0;
  int seen = 0;
  std::thread sender([&] {
    pointers.send(&value);
    value = 1;  // planted: the receiver may have it
  });
  std::thread receiver([&] { seen = **pointers.recv(); });
  sender.join();
  receiver.join();
  return value == 1 && seen >= 0 ? 0 : 1;
}
