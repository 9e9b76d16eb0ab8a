// One task serves an account: deposits and questions come in, until it is told to stop. No lock: only this task knows the balance.
#include <chrono>
#include <iostream>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/select.hpp>

namespace rn = runnel;
using namespace std::chrono_literals;

void serve(const rn::context& ctx, const rn::recv_channel<int>& deposits, const rn::send_channel<int>& balances) {
  int balance = 0;
  bool open = true;
  while (open)
    rn::select(rn::on_recv(deposits, [&](int amount) { balance += amount; }),  // a value, if one comes first
               rn::on_send(balances, balance),                                 // or somebody asks for the balance
               rn::on_done(ctx, [&] { open = false; }));                       // or it is time to stop
  std::cout << "closed with " << balance << '\n';
}

int main() {
  const rn::channel<int> deposits;
  const rn::channel<int> balances;
  rn::scoped_context open = rn::with_cancel(rn::context::background());
  rn::errgroup group;
  group.go([&] { serve(open, deposits, balances); });

  std::cout << "balance " << *balances.recv() << '\n';
  deposits.send(30);
  deposits.send(12);
  std::cout << "balance " << *balances.recv() << '\n';

  // Without waiting: nobody deposits here, so nothing can be received.
  if (rn::try_select(rn::on_recv(deposits)) == rn::select_none) std::cout << "nothing to receive\n";

  // At most so long. `rn::biased` first would take the cases in the order written; else the choice among ready ones is random.
  rn::select(rn::on_recv(deposits), rn::on_timeout(1ms, [] { std::cout << "no deposit came\n"; }));

  open.cancel();
  group.wait();
}
