// H20 A handle itself is not synchronized: to assign one that another thread uses is a race that ThreadSanitizer must report.
#include <runnel/channel.hpp>
#include <thread>

int main() {
  const runnel::channel<int> ch(1);
  runnel::channel<int> shared = ch;
  std::thread user([&] { static_cast<void>(shared.try_send(1)); });
  shared = nullptr;
  user.join();
  return ch.size() <= 1 ? 0 : 1;
}
