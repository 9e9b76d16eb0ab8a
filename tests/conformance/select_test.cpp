// Section 3 of the catalogue, select: what is chosen, and that what is not chosen is untouched, over threads and coroutines.
#include <runnel/context.hpp>
#include <runnel/select.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace select_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

constexpr std::size_t unset = 1000;
const auto every_size = {support::size_parameter(0U), support::size_parameter(1U), support::size_parameter(4U),
                         support::size_parameter()};

}  // namespace

TEST_CASE("S01 B16 the table of what a select chooses") {
  const auto how = GENERATE(values(support::pure));
  const rn::channel<int> nil(nullptr);
  const auto capacity = GENERATE(values<support::size_parameter>(every_size));
  CAPTURE(support::name_of(how), support::name_of(capacity));
  const auto ch = support::make<int>(capacity);

  CHECK(support::select(how) == rn::select_none);
  CHECK(support::select(how, rn::on_recv(nil), rn::on_send(nil, 1)) == rn::select_none);
  CHECK(support::select(how, rn::on_recv(nil), rn::on_send(nil, 1), rn::on_recv(ch), rn::otherwise()) == 3);
  if (capacity != 0U) {
    CHECK(support::select(how, rn::on_send(ch, 7), rn::otherwise(), rn::on_recv(nil)) == 0);
    CHECK(support::select(how, rn::otherwise(), rn::on_recv(ch), rn::on_recv(nil)) == 1);
  } else {
    CHECK(support::select(how, rn::on_send(ch, 7), rn::otherwise()) == 1);
  }
  ch.close();
  for (int i = 0; i < 3; ++i) CHECK(support::select(how, rn::on_recv(ch), rn::on_send(nil, 1), rn::otherwise()) == 0);
  CHECK_THROWS_AS(support::select(how, rn::on_send(ch, 1), rn::otherwise()), rn::channel_closed);
  CHECK_THROWS_AS(support::select(how, rn::on_send(ch, 1), rn::on_recv(nil)), rn::channel_closed);
}

TEST_CASE("S01 a send and a receive of one rendezvous channel wait for somebody else") {
  const auto how = GENERATE(values(support::mixes));
  CAPTURE(support::name_of(how));
  const rn::channel<int> ch;
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  std::size_t chosen = unset;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> { chosen = co_await me.select(rn::on_send(ch, 1), rn::on_recv(ch), rn::on_done(ctx)); });
  support::wait_until_receiving(ch);
  support::wait_until_sending(ch);
  ctx.cancel();
  parties.join();
  CHECK(chosen == 2);
  CHECK(support::receiving(ch) == 0);
  CHECK(support::sending(ch) == 0);
}

TEST_CASE("S02 value expressions are evaluated once, also for cases that are not chosen") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  const rn::channel<int> ch(1);
  const rn::channel<int> idle;
  int evaluated = 0;
  const auto value = [&] { return ++evaluated; };
  CHECK(support::select(how, rn::on_send(idle, value()), rn::on_send(ch, value()), rn::on_send(idle, value())) == 1);
  CHECK(evaluated == 3);
  CHECK(support::select(how, rn::on_send(idle, value()), rn::when(false, rn::on_send(ch, value())), rn::otherwise()) == 2);
  CHECK(evaluated == 5);
}

TEST_CASE("S02 an lvalue is copied when the select starts, an rvalue is moved from only if chosen") {
  const auto how = GENERATE(values(support::mixes));
  CAPTURE(support::name_of(how));
  const rn::channel<std::string> ch;
  const rn::channel<std::string> other;
  std::string copied = "as it was";
  std::string moved = "moved, and too long for the small string optimization";
  std::string stays = "stays, and too long for the small string optimization";
  std::size_t chosen = unset;
  support::parties parties(how);
  const bool from_lvalue = GENERATE(true, false);
  parties.go([&](party me) -> rn::task<> {
    if (from_lvalue)
      chosen = co_await me.select(rn::on_send(ch, copied), rn::on_send(other, std::move(stays)));
    else
      chosen = co_await me.select(rn::on_send(ch, std::move(moved)), rn::on_send(other, std::move(stays)));
  });
  support::wait_until_sending(ch);
  support::wait_until_sending(other);
  copied = "changed meanwhile";
  CHECK(*ch.recv() == (from_lvalue ? "as it was" : "moved, and too long for the small string optimization"));
  parties.join();
  CHECK(chosen == 0);
  CHECK(stays.size() > 50);
  CHECK(moved.empty() == !from_lvalue);
}

TEST_CASE("S02 cases are switched off in a loop, by when and by a nil handle") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  rn::channel<int> in(8);
  rn::channel<int> out(8);
  for (int i = 0; i < 5; ++i) in.send(i);
  in.close();
  std::optional<int> held;
  int sent = 0;
  // A relay with room for one value: it receives only while it holds none, and sends only while it holds one.
  while (support::select(how,
                         rn::when(!held, rn::on_recv(in,
                                                     [&](rn::recv_result<int> v) {
                                                       held = v.to_optional();
                                                       if (!v) in = nullptr;
                                                     })),
                         rn::when(held.has_value(), rn::on_send(out, held.value_or(0), [&] {
                                    held.reset();
                                    ++sent;
                                  }))) != rn::select_none) {
  }
  CHECK(sent == 5);
  out.close();
  int next = 0;
  for (const int v : out) CHECK(v == next++);
}

TEST_CASE("S04 the destination of a case that lost is not assigned") {
  const auto how = GENERATE(values(support::mixes));
  CAPTURE(support::name_of(how));
  const rn::channel<int> wins(1);
  const rn::channel<int> loses;
  std::optional<int> kept = 5;
  bool ran = false;
  wins.send(1);
  CHECK(rn::select(rn::on_recv(loses, kept), rn::on_recv(wins), rn::on_recv(loses, [&] { ran = true; })) == 1);
  std::size_t chosen = unset;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    chosen = co_await me.select(rn::on_recv(loses, kept), rn::on_recv(wins), rn::on_send(loses, 1, [&] { ran = true; }));
  });
  support::wait_until_sending(loses);
  wins.send(2);
  parties.join();
  CHECK(chosen == 1);
  CHECK(kept == 5);
  CHECK_FALSE(ran);
}

TEST_CASE("S06 B11 B44 a select that lost leaves its place in the queue, wherever that was") {
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const std::size_t place = GENERATE(0U, 1U, 2U);
  INFO(support::name_of(how) << ", " << support::name_of(capacity) << ", place " << place);
  const auto c1 = support::make<int>(capacity);
  const auto c2 = support::make<int>(capacity);
  std::size_t chosen = unset;
  std::vector<int> got(2);
  support::parties parties(how);
  for (std::size_t i = 0, plain = 0; i < 3; ++i) {
    if (i == place) {
      parties.go([&](party me) -> rn::task<> { chosen = co_await me.select(rn::on_recv(c1), rn::on_recv(c2)); });
    } else {
      parties.go([&, plain](party me) -> rn::task<> { got[plain] = *co_await me.recv(c1); });
      ++plain;
    }
    support::wait_until_receiving(c1, i + 1);
  }
  support::wait_until_receiving(c2);
  c2.send(0);
  support::wait_until_receiving(c1, 2);
  c1.send(10);
  c1.send(11);
  parties.join();
  CHECK(chosen == 1);
  CHECK(got == std::vector<int>{10, 11});
  CHECK(support::receiving(c1) == 0);
}

TEST_CASE("S08 any number of cases means the same, and a handler may be left early") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  const rn::channel<int> ch(1);
  const rn::channel<int> idle;
  int past = 0;
  const auto leaves = [&](int v) {
    if (v != 0) return;
    ++past;
  };
  const auto check = [&](std::size_t index, auto&&... before) {
    ch.send(1);
    CHECK(support::select(how, before..., rn::on_recv(ch, leaves)) == index);
    CHECK(rn::try_select(before..., rn::on_recv(ch, leaves)) == rn::select_none);
    CHECK(support::select(how, before..., rn::on_recv(ch, leaves), rn::otherwise()) == index + 1);
    CHECK(support::select(how, before..., rn::on_recv(ch, leaves), rn::on_timeout(0s)) == index + 1);
  };
  check(0);
  check(1, rn::on_recv(idle));
  check(2, rn::on_recv(idle), rn::on_send(idle, 1));
  check(3, rn::on_recv(idle), rn::on_send(idle, 1), rn::on_recv(idle));
  CHECK(past == 0);
  for (int i = 0; i < 10; ++i) {
    ch.send(i);
    if (support::select(how, rn::on_recv(ch, leaves)) == 0 && i == 3) break;
  }
  CHECK(past == 1);
  CHECK(ch.size() == 0);
}

TEST_CASE("S16 a channel in two cases of one select, and another waiter behind it") {
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  INFO(support::name_of(how) << ", " << support::name_of(capacity));
  const auto c = support::make<int>(capacity);
  const auto d = support::make<int>(capacity);
  std::size_t first = unset;
  int second = 0;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> { first = co_await me.select(rn::on_recv(c), rn::on_recv(c), rn::on_recv(d)); });
  support::wait_until_receiving(c, 2);
  support::wait_until_receiving(d);
  parties.go([&](party me) -> rn::task<> { co_await me.select(rn::on_recv(c, [&](int v) { second = v; })); });
  support::wait_until_receiving(c, 3);
  d.send(7);
  support::wait_until_receiving(c, 1);
  c.send(8);
  parties.join();
  CHECK(first == 2);
  CHECK(second == 8);
}

TEST_CASE("S18 closed counts as ready, otherwise and timeouts do not") {
  const auto how = GENERATE(values(support::pure));
  const auto capacity = GENERATE(values<support::size_parameter>(every_size));
  CAPTURE(support::name_of(how), support::name_of(capacity));
  const auto a = support::make<int>(capacity);
  const auto b = support::make<int>(capacity);
  CHECK(support::select(how, rn::on_recv(a), rn::on_recv(b), rn::otherwise()) == 2);
  const auto before = rn::clock::now();
  CHECK(support::select(how, rn::on_recv(a), rn::on_recv(b), rn::on_timeout(3ms)) == 2);
  CHECK(rn::clock::now() - before >= 3ms);
  b.close();
  CHECK(support::select(how, rn::on_recv(a), rn::on_recv(b)) == 1);
  CHECK(support::select(how, rn::on_recv(a), rn::on_recv(b), rn::otherwise()) == 1);
  CHECK(support::select(how, rn::on_recv(a), rn::on_recv(b), rn::on_timeout(0s)) == 1);
  a.close();
  bool seen[2] = {};
  while (!seen[0] || !seen[1]) seen[support::select(how, rn::on_recv(a), rn::on_recv(b), rn::otherwise())] = true;
  CHECK(support::select(how, rn::otherwise()) == 0);
}

TEST_CASE("S19 S34 B05 a select is completed through any handle of its channel") {
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  INFO(support::name_of(how) << ", " << support::name_of(capacity));
  auto registered = std::make_unique<rn::channel<int>>(support::make<int>(capacity));
  const rn::channel<int> clone = *registered;
  std::size_t chosen = unset;
  std::optional<int> got;
  support::parties parties(how);
  SECTION("a value comes through another one") {
    parties.go([&](party me) -> rn::task<> {
      chosen = co_await me.select(rn::on_recv(rn::channel<int>()), rn::on_recv(*registered, got));
    });
    support::wait_until_receiving(clone);
    rn::send_channel<int>(clone).send(3);
    parties.join();
    CHECK(chosen == 1);
    CHECK(got == 3);
  }
  SECTION("what made the case ready is taken through another one: the select waits on") {
    parties.go([&](party me) -> rn::task<> {
      chosen = co_await me.select(rn::on_recv(*registered, got), rn::on_recv(rn::channel<int>()));
    });
    support::wait_until_receiving(clone);
    int plain = 0;
    parties.go([&](party me) -> rn::task<> { plain = *co_await me.recv(rn::recv_channel<int>(clone)); });
    support::wait_until_receiving(clone, 2);
    clone.send(1);
    clone.send(2);
    parties.join();
    CHECK(got == 1);
    CHECK(plain == 2);
  }
  SECTION("a handler uses another one, and drops the one that was registered") {
    rn::send_channel<int> feed = clone;
    parties.go([&](party me) -> rn::task<> { co_await me.send(feed, 4); });
    parties.run([&](party me) -> rn::task<> {
      chosen = co_await me.select(rn::on_recv(*registered, [&](int v) {
        got = v;
        registered.reset();
      }));
    });
    parties.join();
    CHECK(chosen == 0);
    CHECK(got == 4);
  }
}

TEST_CASE("S20 what was there before the select began is seen") {
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({1U, 4U, std::nullopt}));
  INFO(support::name_of(how) << ", " << support::name_of(capacity));
  const auto ch = support::make<int>(capacity);
  const rn::channel<int> idle;
  std::optional<int> got;
  SECTION("a value") {
    ch.send(1);
    CHECK(support::select(how, rn::on_recv(idle), rn::on_recv(ch, got)) == 1);
    CHECK(got == 1);
  }
  SECTION("a close") {
    ch.close();
    CHECK(support::select(how, rn::on_recv(idle), rn::on_recv(ch)) == 1);
  }
  SECTION("a value and a close") {
    ch.send(1);
    ch.close();
    CHECK(support::select(how, rn::on_recv(idle), rn::on_recv(ch, got)) == 1);
    CHECK(got == 1);
    CHECK(support::select(how, rn::on_recv(idle), rn::on_recv(ch, got)) == 1);
    CHECK_FALSE(got);
  }
  SECTION("a value of a sender that has gone") {
    auto ends = rn::make_channel<int>(1);
    std::exchange(ends.send, nullptr).send(2);
    CHECK(support::select(how, rn::on_recv(idle), rn::on_recv(ends.recv, got)) == 1);
    CHECK(got == 2);
  }
  SECTION("a sender and a receiver that wait") {
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> { co_await me.send(idle, 5); });
    support::wait_until_sending(idle);
    CHECK(support::select(how, rn::on_recv(ch), rn::on_recv(idle, got)) == 1);
    CHECK(got == 5);
    parties.go([&](party me) -> rn::task<> { got = co_await me.recv(idle); });
    support::wait_until_receiving(idle);
    CHECK(support::select(how, rn::on_recv(ch), rn::on_send(idle, 6)) == 1);
    parties.join();
    CHECK(got == 6);
  }
}

TEST_CASE("S22 a select in a handler, four deep") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  const rn::channel<int> ch(1);
  std::string path;
  const auto nested = [&](auto& self, int depth) -> void {
    if (depth == 4) return;
    support::select(how, rn::on_send(ch, depth, [&] {
                      support::select(how, rn::on_recv(ch, [&](int v) {
                                        path += std::to_string(v);
                                        self(self, depth + 1);
                                      }));
                    }));
  };
  nested(nested, 0);
  CHECK(path == "0123");
}

TEST_CASE("S25 a send and a receive of one channel: at rendezvous they time out, with room they meet through it") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  const rn::channel<int> rendezvous;
  CHECK(support::select(how, rn::on_send(rendezvous, 1), rn::on_recv(rendezvous), rn::on_timeout(2ms)) == 2);
  CHECK(rn::try_select(rn::on_send(rendezvous, 1), rn::on_recv(rendezvous)) == rn::select_none);
  const rn::channel<int> room(1);
  CHECK(support::select(how, rn::on_send(room, 1), rn::on_recv(room), rn::on_timeout(1h)) == 0);
  CHECK(support::select(how, rn::on_send(room, 1), rn::on_recv(room), rn::on_timeout(1h)) == 1);
}

TEST_CASE("C42 a value to send that is received from the same channel") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  const auto capacity = GENERATE(values<support::size_parameter>({1U, 4U, std::nullopt}));
  const auto ch = support::make<int>(capacity);
  ch.send(1);
  CHECK(support::select(how, rn::on_send(ch, *ch.recv() + 1), rn::on_timeout(1h)) == 0);
  CHECK(*ch.recv() == 2);
}

}  // namespace select_test
