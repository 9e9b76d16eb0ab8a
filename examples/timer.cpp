// A heartbeat that a ticker sets going, and a watchdog: a timer that is put off with each beat, and barks when they stop.
#include <chrono>
#include <iostream>
#include <runnel/select.hpp>
#include <runnel/timer.hpp>

namespace rn = runnel;
using namespace std::chrono_literals;

int main() {
  rn::ticker heart(1ms);
  rn::timer watchdog(1h);
  int beats = 0;
  bool alive = true;
  while (alive)
    rn::select(rn::on_recv(heart.channel(),
                           [&] {
                             std::cout << "beat " << ++beats << '\n';
                             watchdog.reset(1h);  // no value of the earlier setting comes any more
                             if (beats == 3) {
                               heart.stop();
                               watchdog.reset(2ms);
                             }
                           }),
               rn::on_recv(watchdog.channel(), [&](rn::time_point) {
                 std::cout << "woof\n";
                 alive = false;
               }));

  // One value, and then the channel is closed: a limit for one wait.
  const rn::recv_channel<rn::time_point> soon = rn::after(1ms);
  const rn::time_point due = soon.recv().value();
  std::cout << "in time: " << (due <= rn::clock::now()) << ", a second one: " << static_cast<bool>(soon.recv()) << '\n';

  // A function that runs when its time has come, elsewhere; stopped in time, it never does.
  const rn::channel<void> fired;
  rn::timer call(0s, [&] { fired.send(); });
  fired.recv();
  rn::timer never(1h, [] { std::cout << "never\n"; });
  std::cout << "stopped in time: " << never.stop() << '\n';
}
