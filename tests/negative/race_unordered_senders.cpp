// H12 Two threads write a plain variable and then send: the channel orders each with the receiver, and not with the other.
// reported by thread: data race
#include <runnel/channel.hpp>
#include <thread>

int main() {
  const runnel::channel<void> signals(2);
  int written = 0;
  const auto write_and_send = [&](int value) {
    written = value;  // planted: nothing orders the two
    signals.send();
  };
  std::thread first(write_and_send, 1);
  std::thread second(write_and_send, 2);
  first.join();
  second.join();
  return written == 0 ? 1 : 0;
}
