// Section 1 of the behaviours, what one channel does: blocking, order, the try forms, identity. Every test runs over all kinds of
// channels that it makes sense for, and over threads and coroutines. Close and lifetime: channel_close_test.cpp; programs of many
// tasks: channel_programs_test.cpp.
#include <chrono>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace channel_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 7, std::nullopt};
constexpr std::size_t bounds[] = {0, 1, 2, 7};

/// Puts values into a channel from 0 on until it is full. Answers how many.
int fill(const rn::channel<int>& ch) {
  int count = 0;
  while (ch.size() < ch.capacity() && ch.try_send(count)) ++count;
  return count;
}

constexpr int many = support::scaled(100'000, 10'000);

}  // namespace

TEST_CASE("C01 receiving from an empty channel waits, trying to does not, and each send releases one receiver") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<int>(size);
    support::counter received{0};
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      const auto value = co_await me.recv(ch);
      support::add(received, value ? 1 : 0);
    });
    parties.go([&](party me) -> rn::task<> {
      const auto value = co_await me.recv(ch);
      support::add(received, static_cast<std::uint32_t>(*value));
    });
    support::wait_until_receiving(ch, 2);
    CHECK(support::read(received) == 0);
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK(support::receiving(ch) == 2);
    ch.send(1);
    support::wait_for(received, 1);
    CHECK(support::receiving(ch) == 1);
    ch.send(1);
    parties.join();
    CHECK(support::read(received) == 2);
    CHECK(ch.size() == 0);
  }
}

TEST_CASE("C02 sending to a full channel waits, trying to does not, and each receive releases one sender") {
  const auto how = GENERATE(values(support::mixes));
  for (const std::size_t capacity : bounds) {
    CAPTURE(support::name_of(how), capacity);
    const rn::channel<int> ch(capacity);
    const int filled = fill(ch);
    CHECK(filled == static_cast<int>(capacity));
    support::counter sent{0};
    support::parties parties(how);
    for (int i = 0; i < 2; ++i) {
      parties.go([&, value = filled + i](party me) -> rn::task<> {
        co_await me.send(ch, value);
        support::add(sent);
      });
      support::wait_until_sending(ch, static_cast<std::size_t>(i) + 1);
    }
    CHECK(support::read(sent) == 0);
    CHECK(ch.try_send(99).status() == rn::status::would_block);
    CHECK(*ch.recv() == 0);
    support::wait_for(sent, 1);
    CHECK(support::sending(ch) == 1);
    for (int i = 1; i < filled + 2; ++i) CHECK(*ch.recv() == i);
    parties.join();
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
}

TEST_CASE("C05 C15 C27 values come out in the order in which they went in, by every form of receiving") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<int>(size);
    auto live = rn::with_cancel(rn::context());
    std::vector<int> got;
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      for (int i = 0; i < 600; ++i) co_await me.send(ch, i);
    });
    parties.run([&](party me) -> rn::task<> {
      support::values_of range(me, ch);
      for (int i = 0; i < 600; i += 6) {
        got.push_back(*co_await me.recv(ch));
        auto tried = ch.try_recv();
        for (rn::detail::backoff wait; !tried; tried = ch.try_recv()) co_await me.pause(wait);
        got.push_back(*tried);
        got.push_back((co_await me.recv(live, ch)).value());
        got.push_back((co_await me.recv_for(ch, 1h)).value());
        got.push_back((co_await me.recv_until(ch, rn::clock::now() + 1h)).value());
        got.push_back(*co_await range.next());
      }
    });
    parties.join();
    REQUIRE(got.size() == 600);
    for (int i = 0; i < 600; ++i) REQUIRE(got[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("C08 try_recv never answers would_block while there is a value, whoever closes meanwhile") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : {support::size_parameter(1), support::size_parameter(4), support::size_parameter()}) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const rn::channel<rn::channel<int>> rounds;
    int would_block = 0;
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      support::values_of all(me, rounds);
      while (const auto ch = co_await all.next()) ch->close();
    });
    parties.run([&](party me) -> rn::task<> {
      for (int i = support::shared(how, many / 10); i > 0; --i) {
        const auto ch = support::make<int>(size);
        co_await me.send(ch, 1);
        co_await me.send(rounds, ch);
        if (ch.try_recv().status() != rn::status::ok) ++would_block;
      }
    });
    rounds.close();
    parties.join();
    CHECK(would_block == 0);
  }
}

TEST_CASE("C28 a timed receive that waits takes what comes in time, and leaves no trace when nothing does") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<int>(size);
    for (int round = 0; round < 3; ++round) {
      support::parties parties(how);
      rn::status early = rn::status::ok;
      parties.run([&](party me) -> rn::task<> { early = (co_await me.recv_for(ch, 1ms)).status(); });
      CHECK(early == rn::status::timed_out);
      CHECK(support::receiving(ch) == 0);
      parties.go([&](party me) -> rn::task<> {
        support::wait_until_receiving(ch);
        co_await me.send(ch, round);
      });
      std::optional<int> got;
      parties.run([&](party me) -> rn::task<> { got = (co_await me.recv_for(ch, 1h)).to_optional(); });
      parties.join();
      CHECK(got == round);
    }
    CHECK(ch.size() == 0);
  }
}

TEST_CASE("C35 many values from one sender to one receiver, in order") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<int>(size);
    const int count = support::shared(how, many);
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      for (int i = 0; i < count; ++i) co_await me.send(ch, i);
      ch.close();
    });
    int next = 0;
    parties.run([&](party me) -> rn::task<> {
      support::values_of all(me, ch);
      while (const auto value = co_await all.next())
        if (*value == next) ++next;
    });
    parties.join();
    CHECK(next == count);
  }
}

TEST_CASE("C42 a value that is received from the channel it is sent to") {
  const auto how = GENERATE(values(support::pure));
  for (const auto size : {support::size_parameter(1), support::size_parameter(2), support::size_parameter()}) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<int>(size);
    ch.send(1);
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      for (int i = 0; i < 10; ++i) co_await me.send(ch, *co_await me.recv(ch) + 1);
    });
    CHECK(*ch.recv() == 11);
  }
}

TEST_CASE("B04 C60 an operation that was withdrawn while it waited leaves no value and no waiter behind") {
  const auto how = GENERATE(values(support::mixes));
  for (const std::size_t capacity : bounds) {
    CAPTURE(support::name_of(how), capacity);
    const rn::channel<support::counted> ch(capacity);
    for (std::size_t i = 0; i < capacity; ++i) ch.send(support::counted(static_cast<int>(i)));
    auto ctx = rn::with_cancel(rn::context());
    support::counted value(77);
    rn::status sent = rn::status::ok;
    support::parties parties(how);
    parties.go([&] {
      support::wait_until_sending(ch);
      ctx.cancel();
    });
    parties.run([&](party me) -> rn::task<> { sent = (co_await me.send(ctx, ch, std::move(value))).status(); });
    parties.join();
    CHECK(sent == rn::status::canceled);
    CHECK(value.value() == 77);  // NOLINT(bugprone-use-after-move): that it was not moved from is what is asked
    CHECK(support::sending(ch) == 0);
    parties.run([&](party me) -> rn::task<> { sent = (co_await me.send_for(ch, 1ms, std::move(value))).status(); });
    CHECK(sent == rn::status::timed_out);
    CHECK(value.value() == 77);  // NOLINT(bugprone-use-after-move): as above
    for (std::size_t i = 0; i < capacity; ++i) CHECK(ch.recv()->value() == static_cast<int>(i));
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("C60 a waiter that was withdrawn from the middle of the queue lets those around it go on") {
  const auto how = GENERATE(values(support::mixes));
  for (const std::size_t capacity : bounds) {
    CAPTURE(support::name_of(how), capacity);
    const rn::channel<int> ch(capacity);
    auto ctx = rn::with_cancel(rn::context());
    support::counter got{0};
    const auto receive = [&](party me) -> rn::task<> {
      const auto value = co_await me.recv(ch);
      support::add(got, static_cast<std::uint32_t>(*value));
    };
    support::parties parties(how);
    parties.go(receive);
    support::wait_until_receiving(ch, 1);
    support::counter canceled{0};
    parties.go([&](party me) -> rn::task<> {
      const auto none = co_await me.recv(ctx, ch);
      support::add(canceled, none.status() == rn::status::canceled ? 1 : 100);
    });
    support::wait_until_receiving(ch, 2);
    parties.go(receive);
    support::wait_until_receiving(ch, 3);
    ctx.cancel();
    support::wait_for(canceled, 1);
    CHECK(support::receiving(ch) == 2);
    ch.send(10);
    support::wait_for(got, 10);
    ch.send(20);
    parties.join();
    CHECK(support::read(got) == 30);
  }
}

TEST_CASE("B25 a try form serves a peer that waits, as the waiting form does") {
  const auto how = GENERATE(values(support::pure));
  for (const std::size_t capacity : {0U, 1U, 2U}) {
    CAPTURE(support::name_of(how), capacity);
    const rn::channel<int> ch(capacity);
    support::parties parties(how);
    int received = 0;
    parties.go([&](party me) -> rn::task<> { received = *co_await me.recv(ch); });
    support::wait_until_receiving(ch);
    CHECK(ch.try_send(5));
    parties.join();
    CHECK(received == 5);
    const int filled = fill(ch);
    parties.go([&](party me) -> rn::task<> { co_await me.send(ch, filled); });
    support::wait_until_sending(ch);
    for (int i = 0; i <= filled; ++i) CHECK(ch.try_recv().to_optional() == i);
    parties.join();
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
}

TEST_CASE("B13 waiting senders are served first come, first served, and nobody who comes later passes them") {
  const auto how = GENERATE(values(support::mixes));
  for (const std::size_t capacity : bounds) {
    CAPTURE(support::name_of(how), capacity);
    const rn::channel<int> ch(capacity);
    const int filled = fill(ch);
    auto live = rn::with_cancel(rn::context());
    support::parties parties(how);
    for (int i = 0; i < 6; ++i) {
      parties.go([&, value = filled + i, form = i % 3](party me) -> rn::task<> {
        if (form == 0) co_await me.send(ch, value);
        if (form == 1) (co_await me.send(live, ch, value)).value();
        if (form == 2) (co_await me.send_for(ch, 1h, value)).value();
      });
      support::wait_until_sending(ch, static_cast<std::size_t>(i) + 1);
    }
    CHECK(ch.try_send(99).status() == rn::status::would_block);
    for (int i = 0; i < filled + 6; ++i) CHECK(*ch.recv() == i);
    parties.join();
  }
}

TEST_CASE("B41 waiting receivers are served first come, first served") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<int>(size);
    std::vector<int> got(6, -1);
    support::parties parties(how);
    for (std::size_t i = 0; i < got.size(); ++i) {
      parties.go([&, i](party me) -> rn::task<> { got[i] = *co_await me.recv(ch); });
      support::wait_until_receiving(ch, i + 1);
    }
    for (int i = 0; i < 6; ++i) ch.send(i);
    parties.join();
    CHECK(got == std::vector<int>{0, 1, 2, 3, 4, 5});
  }
}

TEST_CASE("B17 a value that is handed straight to a receiver is built in its place, once") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    {
      const auto ch = support::make<support::counted>(size);
      support::parties parties(how);
      for (int round = 0; round < 20; ++round) {
        parties.go([&](party me) -> rn::task<> {
          support::wait_until_receiving(ch);
          co_await me.send(ch, support::counted(round));
        });
        std::optional<support::counted> got;
        parties.run([&](party me) -> rn::task<> { got.emplace(*co_await me.recv(ch)); });
        parties.join();
        CHECK(got->value() == round);
        CHECK(support::counted::live() == 1);
      }
    }
    CHECK(support::counted::live() == 0);
  }
}

TEST_CASE("C57 a channel can be waited for while a thread ends, in the destructor of a thread_local") {
  struct late {
    explicit late(const rn::channel<int>& to) : ch(to) {}
    ~late() {
      ch.send(1);
      if (auto value = ch.recv()) ch.send(*value + 1);
    }
    rn::channel<int> ch;
  };
  const rn::channel<int> ch;
  support::crew crew;
  crew.go([&] { thread_local const late at_exit(ch); });
  CHECK(*ch.recv() == 1);
  ch.send(5);
  CHECK(*ch.recv() == 6);
}

}  // namespace channel_test
