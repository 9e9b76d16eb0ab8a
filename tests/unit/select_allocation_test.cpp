// A select allocates nothing, whether it waits or not, and what lost leaves nothing behind.
#include <runnel/context.hpp>
#include <runnel/go.hpp>
#include <runnel/select.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "catch.hpp"
#include "failing_new.hpp"
#include "support.hpp"

namespace select_allocation_test {

namespace rn = runnel;
using namespace std::chrono_literals;

using allocations::made_by_all;

TEST_CASE("the count of allocations is alive") {
  const auto before = made_by_all();
  const std::string text(100, 'x');
  static_cast<void>(text);
  CHECK(made_by_all() > before);
}

TEST_CASE("S03 S42 selects whose other cases never fire allocate nothing and leave nobody queued") {
  constexpr int rounds = 20000;
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U}));
  INFO(support::name_of(capacity));
  const auto ch = support::make<int>(capacity);
  const rn::channel<int> idle;
  const rn::channel<void> no_signal;
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  support::gate ended;
  rn::future<void> never_ready = rn::async([&] { ended.wait(); });
  int sum = 0;
  const rn::channel<void> begin;
  support::crew threads;
  threads.go([&] {
    begin.recv();
    for (int i = 0; i < rounds; ++i) rn::select(rn::on_send(ch, 1), rn::on_recv(idle), rn::on_recv(no_signal), rn::on_done(ctx));
    begin.recv();
  });
  support::wait_until_receiving(begin);
  const auto before = made_by_all();
  begin.send();
  for (int i = 0; i < rounds; ++i)
    rn::select(rn::on_recv(idle), rn::on_recv(ch, [&](int v) { sum += v; }), rn::on_done(ctx), rn::on_ready(never_ready),
               rn::on_timeout(1h));
  support::wait_until_receiving(begin);
  const auto after = made_by_all();
  begin.send();
  threads.join();
  ended.open();
  never_ready.wait();  // its task uses the gate
  CHECK(sum == rounds);
  CHECK(after == before);
  CHECK(support::receiving(idle) == 0);
  CHECK(support::receiving(no_signal) == 0);
  CHECK(support::receiving(ch) + support::sending(ch) == 0);
}

TEST_CASE("a select that parks, times out, is canceled or does not wait allocates nothing") {
  const rn::channel<int> ch;
  const rn::channel<int> idle;
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  std::size_t chosen = 0;
  std::uint64_t used = 0;
  support::crew threads;
  threads.go([&] {
    const auto before = made_by_all();
    chosen = rn::select(rn::on_recv(ch), rn::on_recv(idle), rn::on_done(ctx), rn::on_timeout(1h));
    chosen += 10 * rn::select(rn::on_recv(ch), rn::on_send(idle, 1), rn::on_done(ctx));
    used = made_by_all() - before;
  });
  support::wait_until_receiving(ch);
  ch.send(1);
  support::wait_until_sending(idle);
  ctx.cancel();
  threads.join();
  CHECK(chosen == 20);
  CHECK(used == 0);

  const auto before = made_by_all();
  const auto timed_out = rn::select(rn::on_recv(ch), rn::on_recv(idle), rn::on_timeout(2ms));
  const auto none = rn::try_select(rn::on_recv(ch), rn::on_send(idle, 1));
  const auto after = made_by_all();
  CHECK(timed_out == 2);
  CHECK(none == rn::select_none);
  CHECK(after == before);
}

TEST_CASE("a selector allocates nothing once it has waited with its cases") {
  const rn::channel<int> ch(1);
  const rn::channel<int> idle;
  rn::selector cases;
  int sum = 0;
  int next = 1;
  cases.add(rn::on_recv(ch, [&](int v) { sum += v; }));
  cases.add(rn::on_recv(idle, [&](int v) { sum -= v; }));
  const std::size_t send = cases.add(rn::on_send(ch, next));
  REQUIRE(cases.wait() == send);
  const auto before = made_by_all();
  for (int i = 0; i < 1000; ++i) cases.wait();
  const auto after = made_by_all();
  CHECK(after == before);
  CHECK(sum == 500);
}

TEST_CASE("a selector that cannot get memory for a case has taken nothing over") {
  const rn::channel<std::unique_ptr<int>> ch(1);
  auto value = std::make_unique<int>(1);
  rn::selector cases;
  std::uint64_t failed = 0;
  for (bool added = false; !added; ++failed) {
    const allocations::failing after(failed);
    try {
      cases.add(rn::on_send(ch, std::move(value)));
      added = true;
    } catch (const std::bad_alloc&) {
      REQUIRE(value != nullptr);
      REQUIRE(cases.size() == 0);
    }
  }
  CHECK(failed > 1);
  CHECK(value == nullptr);
  CHECK(cases.size() == 1);
}

}  // namespace select_allocation_test
