// Several downloads; the first failure stops the others and comes out of wait().
#include <runnel/errgroup.hpp>

#include <array>
#include <iostream>
#include <stdexcept>
#include <string>

namespace rn = runnel;

std::string fetch(const rn::context& ctx, const std::string& name) {
  if (name == "missing") throw std::runtime_error("no such page: " + name);
  ctx.throw_if_done();
  return "<" + name + ">";
}

void fetch_all(const std::array<std::string, 3>& names) {
  std::array<std::string, 3> pages;
  rn::errgroup group(rn::context::background(), {.limit = 2});  // declared last: what its tasks use outlives it
  for (std::size_t i = 0; i < names.size(); ++i) group.go([&, i](const rn::context& ctx) { pages[i] = fetch(ctx, names[i]); });
  group.wait();
  for (const std::string& page : pages) std::cout << page << '\n';
}

int main() {
  fetch_all({"one", "two", "three"});
  try {
    fetch_all({"one", "missing", "three"});
  } catch (const std::exception& e) {
    std::cout << "failed: " << e.what() << '\n';
  }
}
