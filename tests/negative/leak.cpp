// A pointer is sent, and nobody frees what it points to: channels destroy values, and a bare pointer owns nothing.
// reported by address: detected memory leaks
#include <runnel/channel.hpp>

int main() {
  const runnel::channel<int*> pointers(1);
  pointers.send(new int(1));  // planted
  return pointers.size() == 1 ? 0 : 1;
}
