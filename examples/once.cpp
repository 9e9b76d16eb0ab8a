// A connection that is made at its first use. An attempt that fails is made again by the next one who needs it.
#include <runnel/errgroup.hpp>
#include <runnel/once.hpp>

#include <iostream>
#include <stdexcept>
#include <string>

namespace rn = runnel;

class client {
 public:
  std::string ask(int question) {
    connected_.call([this] {
      if (++attempts_ == 1) throw std::runtime_error("no network");
      address_ = "10.0.0.7";
    });
    return address_ + " answers " + std::to_string(question);
  }
  [[nodiscard]] int attempts() const { return attempts_; }

 private:
  rn::once connected_;
  int attempts_ = 0;
  std::string address_;
};

int main() {
  client server;
  try {
    server.ask(1);
  } catch (const std::runtime_error& e) {
    std::cout << e.what() << "\n";
  }
  rn::errgroup group;
  for (int question = 2; question < 10; ++question) group.go([&server, question] { server.ask(question); });
  group.wait();
  std::cout << server.ask(10) << "\n" << server.attempts() << " attempts\n";
}
