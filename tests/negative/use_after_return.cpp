// A receiver uses the variable of a function that has returned: what a waiter on a stack would be, were it woken too late.
// reported by address: stack-use-after-return
#include <runnel/channel.hpp>

namespace {

[[gnu::noinline]] void send_local(const runnel::channel<int*>& pointers) {
  int local = 1;
  pointers.send(&local);
}

}  // namespace

int main() {
  const runnel::channel<int*> pointers(1);
  send_local(pointers);
  return **pointers.recv() == 1 ? 0 : 1;  // planted: the variable is gone
}
