// H20 One handle is copied by one thread while another assigns it.
// reported by thread: data race
#include <runnel/channel.hpp>
#include <thread>

int main() {
  const runnel::channel<int> first(1);
  const runnel::channel<int> second(1);
  runnel::channel<int> shared = first;
  std::thread assigner([&] { shared = second; });  // planted: a handle is a plain variable
  std::thread copier([&] {
    const runnel::channel<int> copy = shared;
    if (!copy.try_send(1)) copy.recv();
  });
  assigner.join();
  copier.join();
  return shared == second ? 0 : 1;
}
