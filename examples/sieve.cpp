// Go's prime sieve: a chain of coroutines, one for each prime, that grows as it goes. Some two million hops for 2000 primes.
#include <runnel/runnel.hpp>

#include <iostream>
#include <string>

namespace rn = runnel;

rn::task<> generate(rn::send_channel<int> out, rn::context ctx) {
  for (int i = 2; co_await out.async_send(ctx, i); ++i) {
  }
}
rn::task<> filter(rn::recv_channel<int> in, rn::send_channel<int> out, int prime, rn::context ctx) {
  while (const auto i = co_await in.async_recv(ctx))
    if (*i % prime != 0 && !co_await out.async_send(ctx, *i)) co_return;
}

rn::task<int> nth_prime(int n) {
  const rn::scoped_context ctx = rn::with_cancel(rn::context());  // the end of the scope ends the chain
  auto [out, in] = rn::make_channel<int>();
  rn::go(generate(std::move(out), ctx));
  for (;;) {
    const int prime = (co_await in.async_recv()).value();
    if (--n == 0) co_return prime;
    auto next = rn::make_channel<int>();
    rn::go(filter(std::move(in), std::move(next.send), prime, ctx));
    in = std::move(next.recv);
  }
}

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::stoi(argv[1]) : 500;
  std::cout << "prime number " << n << " is " << rn::runtime::global().run(nth_prime(n)) << '\n';
}
