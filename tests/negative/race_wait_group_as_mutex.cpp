// W07 A wait_group orders those who call done with whoever waits, not with each other.
// reported by thread: data race
#include <runnel/wait_group.hpp>
#include <thread>

int main() {
  runnel::wait_group tasks;
  int count = 0;
  const auto count_and_end = [&] {
    ++count;  // planted: nobody waits for the other
    tasks.done();
  };
  tasks.add(2);
  std::thread first(count_and_end);
  std::thread second(count_and_end);
  tasks.wait();
  first.join();
  second.join();
  return count >= 1 ? 0 : 1;
}
