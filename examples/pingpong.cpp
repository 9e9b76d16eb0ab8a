// Two coroutines that hand a ball back and forth over two channels without room: each waits for the other all the time.
#include <runnel/runnel.hpp>

#include <iostream>

namespace rn = runnel;

rn::task<> return_the_ball(rn::recv_channel<int> in, rn::send_channel<int> out) {
  while (const auto ball = co_await in.async_recv()) co_await out.async_send(*ball + 1);
}
rn::task<int> play(int rounds) {
  const rn::channel<int> there;
  const rn::channel<int> back;
  rn::close_on_exit closing(there);
  rn::go(return_the_ball(there, back));
  int ball = 0;
  for (int round = 0; round < rounds; ++round) {
    co_await there.async_send(ball);
    ball = (co_await back.async_recv()).value();
  }
  co_return ball;
}

int main() { std::cout << "the ball was returned " << rn::runtime::global().run(play(100'000)) << " times\n"; }
