// The umbrella header: it brings every public header, and they work together.
#include <chrono>
#include <runnel/pipeline.hpp>  // first: its names, such as from and map, must not be hidden by parameters in the others
#include <runnel/runnel.hpp>
#include <stdexcept>
#include <vector>

#include "catch.hpp"

namespace runnel_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

std::vector<int> squares(const rn::context& parent, int count, int failing = -1) {
  const rn::channel<int> numbers(4);
  rn::guarded<std::vector<int>> out(static_cast<std::size_t>(count));
  rn::errgroup group(parent);
  group.go([&](const rn::context& ctx) {
    const rn::close_on_exit closing(numbers);
    for (int i = 0; i < count; ++i)
      if (!numbers.send(ctx, i)) return;
  });
  for (int worker = 0; worker < 3; ++worker)
    group.go([&](const rn::context& ctx) {
      while (const auto number = numbers.recv(ctx)) {
        if (*number == failing) throw std::invalid_argument("this one");
        out.with([&](std::vector<int>& all) { all[static_cast<std::size_t>(*number)] = *number * *number; });
      }
    });
  group.wait();
  return *out.lock();
}

}  // namespace

TEST_CASE("a producer, workers and a guarded result: complete, or the first failure") {
  const auto ctx = rn::with_timeout(rn::context::background(), 60s);
  std::vector<int> expected(500);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<int>(i * i);
  CHECK(squares(ctx, 500) == expected);
  CHECK_THROWS_AS(squares(ctx, 500, 77), std::invalid_argument);
}

TEST_CASE("a context that ends the work early is an error, never half a result") {
  auto ctx = rn::with_cancel(rn::context::background());
  ctx.cancel();
  CHECK_THROWS_AS(squares(ctx, 500), rn::context_error);
}

TEST_CASE("a ticker's channel and a wait group") {
  rn::ticker ticker(1ms);
  rn::wait_group tasks;
  int seen = 0;
  tasks.go([&] {
    for (int i = 0; i < 3; ++i) seen += ticker.channel().recv() ? 1 : 0;
  });
  tasks.wait();
  CHECK(seen == 3);
}

}  // namespace runnel_test
