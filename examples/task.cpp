// task: coroutines that wait in channels and selects, beside threads that wait in the same ones.
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/go.hpp>
#include <runnel/select.hpp>
#include <runnel/task.hpp>

#include <iostream>
#include <string>
#include <thread>

namespace rn = runnel;
using namespace std::chrono_literals;

// A task is lazy: it begins when it is awaited, started, or run.
rn::task<int> twice(int x) { co_return 2 * x; }
rn::task<int> fails() {
  throw std::runtime_error("no answer");
  co_return 0;
}

// Go's `for v := range in { out <- v + 1 }`, until `in` is drained or the context is done. Its handles live as long as its frame.
rn::task<> relay(rn::recv_channel<int> in, rn::send_channel<int> out, rn::context ctx) {
  while (auto value = co_await in.async_recv(ctx))
    if (!co_await out.async_send(ctx, *value + 1)) co_return;
}

rn::task<std::string> first_of(rn::recv_channel<int> numbers, const rn::context& ctx) {
  std::string answer;
  co_await rn::async_select(rn::on_recv(numbers, [&](int n) { answer = "number " + std::to_string(n); }),
                            rn::on_done(ctx, [&] { answer = "canceled"; }), rn::on_timeout(1h, [&] { answer = "too late"; }));
  co_return answer;
}

rn::task<int> everything() {
  const int four = co_await twice(2);
  std::cout << "twice 2 is " << four << '\n';
  try {
    co_await fails();
  } catch (const std::exception& e) {
    std::cout << "an exception comes out of co_await: " << e.what() << '\n';
  }

  // A thousand coroutines in a row, each of which waits for the one before: no thread waits.
  const rn::scoped_context ctx = rn::with_cancel(rn::context());
  auto [first, in] = rn::make_channel<int>();
  for (int i = 0; i < 1000; ++i) {
    auto next = rn::make_channel<int>();
    rn::go(relay(std::move(in), std::move(next.send), ctx));
    in = std::move(next.recv);
  }
  co_await first.async_send(0);
  first.close();
  const auto passed = co_await in.async_recv();
  std::cout << "passed through " << passed.value() << " coroutines\n";
  std::cout << "then the channel is drained: " << std::boolalpha << !co_await in.async_recv() << '\n';
  co_return four;
}

int main() {
  const int answer = rn::sync_wait(everything());
  std::cout << "everything answers " << answer << '\n';

  // A thread sends, a coroutine receives: one channel for both.
  const rn::channel<int> numbers;
  std::thread sender([&] { numbers.send(7); });
  std::cout << rn::sync_wait(first_of(numbers, rn::context())) << '\n';
  sender.join();

  rn::scoped_context ctx = rn::with_cancel(rn::context());
  ctx.cancel();
  std::cout << rn::sync_wait(first_of(numbers, ctx)) << '\n';
}
