// Counts the reports of several machines: how many there are is known only at run time, and each ends when it likes.
#include <array>
#include <iostream>
#include <runnel/errgroup.hpp>
#include <runnel/select.hpp>
#include <string>
#include <utility>

namespace rn = runnel;

int main() {
  const std::array<std::string, 4> names{"ash", "birch", "cedar", "elm"};
  std::array<int, 4> lines{};
  rn::errgroup machines;
  rn::selector logs;

  for (std::size_t i = 0; i < names.size(); ++i) {
    auto log = rn::make_channel<std::string>();
    machines.go([name = names[i], count = i + 1, out = std::move(log.send)] {
      for (std::size_t line = 0; line < count; ++line) out.send(name + " reports");
    });
    logs.add(rn::on_recv(log.recv, [&lines, i](const std::string& line) { lines[i] += line.empty() ? 0 : 1; }));  // keeps log.recv
  }

  // A machine that has ended is drained: its case cannot happen any more. When none is left, so is select_none.
  while (logs.wait() != rn::select_none) {
  }
  machines.wait();
  for (std::size_t i = 0; i < names.size(); ++i) std::cout << names[i] << ": " << lines[i] << '\n';
}
