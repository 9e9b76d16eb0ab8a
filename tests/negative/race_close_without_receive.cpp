// H12 H18 S45 A close is only seen by those who receive it: a select that took its default has seen nothing.
// reported by thread: data race
#include <runnel/channel.hpp>
#include <runnel/select.hpp>
#include <thread>

int main() {
  const runnel::channel<void> closed;
  const runnel::channel<void> other;
  int written = 0;
  int seen = 0;
  std::thread closer([&] {
    written = 1;
    closed.close();
  });
  std::thread looker([&] {
    runnel::select(runnel::on_recv(other), runnel::otherwise());
    seen = written;  // planted: the default orders nothing
  });
  closer.join();
  looker.join();
  return written == 1 && seen >= 0 ? 0 : 1;
}
