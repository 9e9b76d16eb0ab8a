// Section 3 of the catalogue, select: fair and biased choice, operands and handlers, closes, times, happens-before. Over threads
// and coroutines.
#include <runnel/context.hpp>
#include <runnel/go.hpp>
#include <runnel/select.hpp>
#include <runnel/timer.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace select_choice_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

constexpr std::size_t unset = 1000;

rn::channel<int> closed_channel() {
  const rn::channel<int> ch;
  ch.close();
  return ch;
}

/// How often each index was chosen.
template <std::size_t N, class Select>
std::array<int, N> choices(int rounds, Select select) {
  std::array<int, N> count{};
  for (int i = 0; i < rounds; ++i) ++count.at(select());
  return count;
}

}  // namespace

TEST_CASE("S14 two channels that are always ready are chosen equally often") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  constexpr int rounds = 10000;
  const auto a = closed_channel();
  const auto b = closed_channel();
  const auto count = choices<2>(rounds, [&] { return support::select(how, rn::on_recv(a), rn::on_recv(b)); });
  // Six times in a million a fair choice is further off: Go's bound.
  const double share = static_cast<double>(count[0]) / rounds;
  CHECK(std::abs(share - 0.5) < 4.891676 / (2 * std::sqrt(static_cast<double>(rounds))));
}

TEST_CASE("S21 S30 an operation that stands in several cases happens in each of them") {
  const auto how = GENERATE(values(support::pure));
  const auto capacity = GENERATE(values<support::size_parameter>({1U, 16U, std::nullopt}));
  CAPTURE(support::name_of(how), support::name_of(capacity));
  const auto ch = support::make<int>(capacity);
  const auto sends = choices<3>(3000, [&] {
    const std::size_t index = support::select(how, rn::on_send(ch, 1), rn::on_send(ch, 2), rn::on_send(ch, 3));
    if (*ch.recv() != static_cast<int>(index) + 1) throw std::logic_error("another value than that of the case");
    return index;
  });
  CHECK(*std::min_element(sends.begin(), sends.end()) >= 500);
  const auto receives = choices<3>(3000, [&] {
    ch.send(1);
    return support::select(how, rn::on_recv(ch), rn::on_recv(ch, [](int) {}), rn::on_recv(ch, [] {}));
  });
  CHECK(*std::min_element(receives.begin(), receives.end()) >= 500);
}

TEST_CASE("S30 each of several ready cases has its share") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  constexpr int rounds = 10000;
  SECTION("receives from channels of every kind, a void one, a timer's, a context and a future") {
    const rn::channel<int> bounded(rounds);
    const rn::channel<int> unbounded(rn::unbounded);
    const rn::channel<int> closed = closed_channel();
    const rn::channel<void> signals(rounds);
    const auto due = rn::after(0s);
    rn::scoped_context done = rn::with_cancel(rn::context::background());
    done.cancel();
    rn::future<void> ready = rn::async([] {});
    ready.wait();
    for (int i = 0; i < rounds; ++i) {
      bounded.send(i);
      unbounded.send(i);
      signals.send();
    }
    support::select(how, rn::on_recv(due));
    const auto count = choices<7>(rounds, [&] {
      return support::select(how, rn::on_recv(bounded), rn::on_recv(unbounded), rn::on_recv(closed), rn::on_recv(signals),
                             rn::on_recv(due), rn::on_done(done), rn::on_ready(ready));
    });
    CHECK(*std::min_element(count.begin(), count.end()) >= rounds / 7 / 2);
  }
  SECTION("sends to channels of several kinds") {
    const rn::channel<int> bounded(rounds);
    const rn::channel<int> larger(std::size_t{2} * rounds);
    const rn::channel<int> unbounded(rn::unbounded);
    const auto count = choices<3>(
        rounds, [&] { return rn::try_select(rn::on_send(bounded, 1), rn::on_send(larger, 1), rn::on_send(unbounded, 1)); });
    CHECK(*std::min_element(count.begin(), count.end()) >= rounds / 3 / 2);
  }
  SECTION("cases that are never ready do not take part") {
    const rn::channel<int> idle;
    const auto a = closed_channel();
    const auto b = closed_channel();
    const auto count = choices<6>(rounds, [&] {
      return support::select(how, rn::on_recv(idle), rn::on_recv(a), rn::on_send(idle, 1), rn::on_recv(rn::channel<int>(nullptr)),
                             rn::on_recv(b), rn::otherwise());
    });
    CHECK(count[1] + count[4] == rounds);
    CHECK(std::min(count[1], count[4]) >= rounds / 4);
  }
}

TEST_CASE("S31 a biased select takes the first that is ready, with every kind of limit") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  const rn::channel<int> idle;
  const auto a = closed_channel();
  const auto b = closed_channel();
  const auto is_first = [](const std::array<int, 3>& count) { return count == std::array<int, 3>{0, 1000, 0}; };
  CHECK(is_first(
      choices<3>(1000, [&] { return support::select(how, rn::biased, rn::on_recv(idle), rn::on_recv(a), rn::on_recv(b)); })));
  CHECK(is_first(
      choices<3>(1000, [&] { return support::select(how, rn::biased, rn::on_timeout(0s), rn::on_recv(a), rn::on_recv(b)); })));
  CHECK(is_first(
      choices<3>(1000, [&] { return support::select(how, rn::biased, rn::otherwise(), rn::on_recv(a), rn::on_recv(b)); })));
  CHECK(
      is_first(choices<3>(1000, [&] { return rn::try_select(rn::biased, rn::on_send(idle, 1), rn::on_recv(a), rn::on_recv(b)); })));
}

TEST_CASE("S36 what an operand throws leaves nothing queued") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  const rn::channel<int> ch;
  const rn::channel<std::string> texts(1);
  texts.send("full");
  const auto fails = []() -> int { throw std::runtime_error("operand"); };
  CHECK_THROWS_WITH(support::select(how, rn::on_recv(ch), rn::on_send(ch, fails())), "operand");
  CHECK_THROWS_WITH(support::select(how, rn::on_send(texts, std::string("x")), rn::on_send(ch, fails()), rn::otherwise()),
                    "operand");
  CHECK(support::receiving(ch) == 0);
  CHECK(support::sending(ch) == 0);
  CHECK(*texts.recv() == "full");
  CHECK_FALSE(texts.try_recv());
}

TEST_CASE("S37 cases of many forms together; each handler is called once, for its case alone") {
  const auto how = GENERATE(values(support::pure));
  CAPTURE(support::name_of(how));
  struct on_heap {
    rn::channel<std::string> texts{1};
    rn::channel<std::unique_ptr<int>> pointers{1};
  };
  const auto heap = std::make_unique<on_heap>();
  std::array<int, 3> calls{};
  std::unique_ptr<int> next = std::make_unique<int>(9);
  std::unique_ptr<int> got;
  const auto round = [&] {
    return support::select(
        how,
        rn::on_recv(heap->texts,
                    [&calls, one = std::make_unique<int>(1)](const std::string& text) mutable {
                      calls[0] += text == "text" ? std::exchange(*one, 0) : 100;
                    }),
        rn::when(next != nullptr, rn::on_send(rn::send_channel<std::unique_ptr<int>>(heap->pointers), std::move(next),
                                              [&] {
                                                ++calls[1];
                                                return "what a handler answers is dropped";
                                              })),
        rn::on_recv(heap->pointers,
                    [&](std::unique_ptr<int> value) noexcept {
                      got = std::move(value);
                      ++calls[2];
                    }),
        rn::otherwise());
  };
  CHECK(round() == 1);
  CHECK(next == nullptr);
  CHECK(round() == 2);
  CHECK(*got == 9);
  CHECK(round() == 3);
  heap->texts.send("text");
  CHECK(round() == 0);
  CHECK(calls == std::array<int, 3>{1, 1, 1});
}

TEST_CASE("S38 a close, and the end of the last handle, wake a select") {
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const bool by_hand = GENERATE(true, false);
  INFO(support::name_of(how) << ", " << support::name_of(capacity) << (by_hand ? ", closed" : ", dropped"));
  const rn::channel<int> idle;
  rn::status ended = rn::status::ok;
  std::size_t chosen = unset;
  support::parties parties(how);
  auto ends = capacity ? rn::make_channel<int>(*capacity) : rn::make_channel<int>(rn::unbounded);
  SECTION("that receives") {
    parties.go([&](party me) -> rn::task<> {
      chosen = co_await me.select(rn::on_recv(idle), rn::on_recv(ends.recv, [&](rn::recv_result<int> r) { ended = r.status(); }));
    });
    support::wait_until_receiving(ends.recv);
    if (by_hand) ends.send.close();
    ends.send = nullptr;
    parties.join();
    CHECK(chosen == 1);
    CHECK(ended == rn::status::closed);
  }
  SECTION("that sends") {
    if (!capacity) return;  // a send never waits
    for (std::size_t i = 0; i < *capacity; ++i) ends.send.send(0);
    parties.go([&](party me) -> rn::task<> {
      chosen = co_await me.select(rn::on_recv(idle), rn::on_send(ends.send, 1, [&](rn::send_result r) { ended = r.status(); }));
    });
    support::wait_until_sending(ends.send);
    if (by_hand)
      rn::send_channel<int>(ends.send).close();
    else
      ends.recv = nullptr;
    parties.join();
    CHECK(chosen == 1);
    CHECK(ended == rn::status::closed);
  }
  CHECK(support::receiving(idle) == 0);
}

TEST_CASE("S39 bare cases and try_select say what really happened") {
  const rn::channel<int> a(1);
  const rn::channel<int> b(1);
  CHECK(rn::try_select(rn::on_recv(a), rn::on_recv(b)) == rn::select_none);
  CHECK(rn::try_select(rn::on_recv(a), rn::on_send(b, 1)) == 1);
  CHECK(b.size() == 1);
  CHECK(rn::try_select(rn::on_recv(a), rn::on_send(b, 1)) == rn::select_none);
  CHECK(b.size() == 1);
  CHECK(rn::try_select(rn::on_recv(a), rn::on_recv(b)) == 1);
  CHECK(b.size() == 0);
}

TEST_CASE("S44 times, bias and loops") {
  const auto how = GENERATE(values(support::mixes));
  CAPTURE(support::name_of(how));
  const rn::channel<int> idle;
  CHECK(support::select(how, rn::on_recv(idle), rn::on_timeout(0s)) == 1);
  CHECK(support::select(how, rn::on_recv(idle), rn::on_timeout(-1h)) == 1);
  CHECK(support::select(how, rn::on_timeout(3h), rn::on_timeout(1ms), rn::on_timeout(2h)) == 1);
  const rn::channel<int> numbers;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    for (int i = 1; i <= 100; ++i) co_await me.send(numbers, i);
    numbers.close();
  });
  int sum = 0;
  parties.run([&](party me) -> rn::task<> {
    bool open = true;
    while (open)
      co_await me.select(rn::on_recv(numbers,
                                     [&](rn::recv_result<int> n) {
                                       open = static_cast<bool>(n);
                                       if (n) sum += *n;
                                     }),
                         rn::on_timeout(1h, [&] { open = false; }));
  });
  parties.join();
  CHECK(sum == 5050);
}

TEST_CASE("S45 H02 what a peer did before its half of a case is visible after the select") {
  // ThreadSanitizer is the judge of the plain variable.
  int plain = 0;
  const rn::channel<int> idle;
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const bool parked = GENERATE(true, false);
  INFO(support::name_of(how) << ", " << support::name_of(capacity) << (parked ? ", parked" : ""));
  const auto ch = support::make<int>(capacity);
  support::parties parties(how);
  // Either is a task<> that the party is to make its own.
  const auto run = [&](auto publish, auto wait) {
    const auto waits = [&plain, wait](party me) -> rn::task<> {
      co_await me.call(wait(me));
      ++plain;
    };
    if (parked) {
      parties.go(waits);
      support::wait_until_receiving(idle);
    }
    parties.go([&plain, publish](party me) -> rn::task<> {
      plain = 41;
      co_await me.call(publish(me));
    });
    if (!parked) parties.run(waits);
    parties.join();
    CHECK(plain == 42);
  };
  const auto receives = [&](party me) -> rn::task<> { co_await me.select(rn::on_recv(ch), rn::on_recv(idle)); };
  SECTION("a receive") {
    run([&](party me) -> rn::task<> { co_await me.send(ch, 1); }, receives);
  }
  SECTION("a receive from a select that sends") {
    run([&](party me) -> rn::task<> { co_await me.select(rn::on_send(ch, 1)); }, receives);
  }
  SECTION("a close") {
    run(
        [&](party /*me*/) -> rn::task<> {
          ch.close();
          co_return;
        },
        receives);
  }
  SECTION("a send that waited for room, or for its receiver") {
    if (!capacity) return;
    for (std::size_t i = 0; i < *capacity; ++i) ch.send(0);
    run([&](party me) -> rn::task<> { co_await me.select(rn::on_recv(ch)); },
        [&](party me) -> rn::task<> { co_await me.select(rn::on_send(ch, 1), rn::on_recv(idle)); });
  }
  SECTION("a context") {
    rn::scoped_context ctx = rn::with_cancel(rn::context::background());
    run(
        [&](party /*me*/) -> rn::task<> {
          ctx.cancel();
          co_return;
        },
        [&](party me) -> rn::task<> { co_await me.select(rn::on_done(ctx), rn::on_recv(idle)); });
  }
  SECTION("a future") {
    support::gate go_on;
    rn::future<void> work = rn::async([&] { go_on.wait(); });
    run(
        [&](party /*me*/) -> rn::task<> {
          go_on.open();
          co_return;
        },
        [&](party me) -> rn::task<> { co_await me.select(rn::on_ready(work), rn::on_recv(idle)); });
  }
}

}  // namespace select_choice_test
