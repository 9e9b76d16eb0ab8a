// H12 What a sender does after its send is not ordered before the receive: ThreadSanitizer must report the race.
#include <runnel/channel.hpp>
#include <thread>

int main() {
  const runnel::channel<int> ch(1);
  int written = 0;
  std::thread sender([&] {
    ch.send(1);
    written = 1;
  });
  const bool received = static_cast<bool>(ch.recv());
  const int seen = written;
  sender.join();
  return received && seen <= 1 ? 0 : 1;
}
