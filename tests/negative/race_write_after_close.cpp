// H12 What is done after a close is not ordered before whoever learns of it: ThreadSanitizer must report the race.
// reported by thread: data race
#include <runnel/channel.hpp>
#include <thread>

int main() {
  const runnel::channel<int> ch;
  int written = 0;
  std::thread closer([&] {
    ch.close();
    written = 1;
  });
  const bool closed = !ch.recv();
  const int seen = written;
  closer.join();
  return closed && seen <= 1 ? 0 : 1;
}
