// H12 Two who only send are not ordered by the channel: their writes to one variable are a race that ThreadSanitizer must report.
#include <runnel/channel.hpp>
#include <thread>

int main() {
  const runnel::channel<int> ch(2);
  int written = 0;
  std::thread one([&] {
    written = 1;
    ch.send(1);
  });
  std::thread two([&] {
    written = 2;
    ch.send(2);
  });
  one.join();
  two.join();
  return written == 0 ? 1 : 0;
}
