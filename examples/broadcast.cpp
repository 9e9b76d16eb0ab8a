// Prices for whoever wants them: a log that must have all of them, and a display that wants the newest.
#include <runnel/broadcast.hpp>
#include <runnel/errgroup.hpp>

#include <iostream>
#include <string>

namespace rn = runnel;

namespace {

void prices(rn::broadcast<int>& to) {
  for (int price = 100; price < 106; ++price) to.send(price);
}
std::string rest_of(const rn::recv_channel<int>& from) {
  std::string text;
  for (const int price : from) text += ' ' + std::to_string(price);
  return text;
}

}  // namespace

int main() {
  rn::broadcast<int> all(2, rn::lag::wait);
  rn::errgroup group;
  std::string log;
  group.go([&log, from = all.subscribe()] { log = rest_of(from); });
  const auto first = all.subscribe();
  group.go([&all] {
    prices(all);  // never more than two ahead of the slowest
    all.close();
  });
  std::cout << "the first price: " << *first.recv() << "; and then:" << rest_of(first) << '\n';
  group.wait();
  std::cout << "the log has" << log << '\n';

  rn::broadcast<int> newest(1, rn::lag::drop_oldest);
  const auto display = newest.subscribe();
  prices(newest);  // waits for nobody
  std::cout << "the display shows " << *display.recv() << " and has missed " << display.lagged() << '\n';
}
