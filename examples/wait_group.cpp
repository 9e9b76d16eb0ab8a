// Squares in parallel: each task has a place of its own for its answer.
#include <runnel/wait_group.hpp>

#include <array>
#include <cstddef>
#include <iostream>

namespace rn = runnel;

int main() {
  std::array<std::size_t, 8> squares{};
  rn::wait_group tasks;
  for (std::size_t i = 0; i < squares.size(); ++i) tasks.go([&squares, i] { squares[i] = i * i; });
  tasks.wait();

  for (const std::size_t square : squares) std::cout << square << ' ';
  std::cout << '\n';
}
