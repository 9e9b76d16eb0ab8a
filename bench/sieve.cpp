// W12: Go's prime sieve: a chain of tasks, one for each prime. Time: of one hop, that is of one value that is sent and received.
// The numbers end with the last prime, so that the chain ends by itself; the tests and the divisions are part of the time.
#include "peers.hpp"

#include <cstdlib>
#include <memory>

namespace {

namespace rn = bench::rn;
constexpr int primes = 2000;
constexpr int last_prime = 17'389;
constexpr bench::item hops = 2'042'625;  // of the numbers from 2 to the last prime

void check(int prime) {
  if (prime != last_prime) std::abort();
}

rn::task<> generate(rn::send_channel<int> out) {
  for (int i = 2; i <= last_prime; ++i) co_await out.async_send(i);
}
rn::task<> filter(rn::recv_channel<int> in, rn::send_channel<int> out, int prime) {
  while (const auto i = co_await in.async_recv())
    if (*i % prime != 0) co_await out.async_send(*i);
}
rn::task<double> sieve() {
  const bench::clock::time_point begin = bench::clock::now();
  auto [out, in] = rn::make_channel<int>();
  rn::go(generate(std::move(out)));
  int prime = 0;
  for (int i = 0; i < primes; ++i) {
    prime = (co_await in.async_recv()).value();
    auto next = rn::make_channel<int>();
    rn::go(filter(std::move(in), std::move(next.send), prime));
    in = std::move(next.recv);
  }
  co_await in.async_recv();  // closed, once all the chain has ended
  check(prime);
  co_return std::chrono::duration<double>(bench::clock::now() - begin).count();
}
template <class Subject>
double of_coroutines(bench::item /*items*/) {
  return Subject::on().run(sieve());
}

template <class Subject>
double of_fibers(bench::item /*items*/) {
  using channel = typename Subject::template channel_of<int>;
  return bench::run_here([] {
    typename Subject::group chain;
    auto in = std::make_shared<channel>(0);
    chain.run([out = in] {
      for (int i = 2; i <= last_prime; ++i) out->send(i);
      out->close();
    });
    int prime = 0;
    for (int i = 0; i < primes; ++i) {
      prime = *in->recv();
      const auto next = std::make_shared<channel>(0);
      chain.run([from = in, to = next, prime] {
        while (const auto number = from->recv())
          if (*number % prime != 0) to->send(*number);
        to->close();
      });
      in = next;
    }
    in->recv();
    chain.wait();
    check(prime);
  });
}

const bool registered = [] {
  bench::add("W12/sieve_2000_tasks/runnel", hops, &of_coroutines<bench::tasks_subject>);
  bench::add("W12/sieve_2000_tasks/runnel_1", hops, &of_coroutines<bench::one_worker_subject>);
  bench::fiber_peers::each([](auto peer) { bench::add("W12/sieve_2000_tasks/fiber", hops, &of_fibers<decltype(peer)>); });
  return true;
}();

}  // namespace
