// Section 1 of the behaviours, what one channel does: blocking, order, the try forms, identity. Every test runs over all kinds of
// channels that it makes sense for. Close and lifetime: channel_close_test.cpp; programs of many tasks: channel_programs_test.cpp.
#include <chrono>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace channel_test {

namespace rn = runnel;
using namespace std::chrono_literals;

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
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    support::counter received{0};
    support::crew crew;
    crew.go([&] { support::add(received, ch.recv() ? 1 : 0); });
    crew.go([&] { support::add(received, static_cast<std::uint32_t>(*ch.recv())); });
    support::wait_until_receiving(ch, 2);
    CHECK(support::read(received) == 0);
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK(support::receiving(ch) == 2);
    ch.send(1);
    support::wait_for(received, 1);
    CHECK(support::receiving(ch) == 1);
    ch.send(1);
    crew.join();
    CHECK(support::read(received) == 2);
    CHECK(ch.size() == 0);
  }
}

TEST_CASE("C02 sending to a full channel waits, trying to does not, and each receive releases one sender") {
  for (const std::size_t capacity : bounds) {
    CAPTURE(capacity);
    const rn::channel<int> ch(capacity);
    const int filled = fill(ch);
    CHECK(filled == static_cast<int>(capacity));
    support::counter sent{0};
    support::crew crew;
    for (int i = 0; i < 2; ++i) {
      crew.go([&, value = filled + i] {
        ch.send(value);
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
    crew.join();
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
}

TEST_CASE("C05 C15 C27 values come out in the order in which they went in, by every form of receiving") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    auto live = rn::with_cancel(rn::context());
    support::crew crew;
    crew.go([&] {
      for (int i = 0; i < 600; ++i) ch.send(i);
    });
    const auto trying = [&] {
      for (rn::detail::backoff wait;; wait.pause())
        if (auto value = ch.try_recv()) return *value;
    };
    for (int i = 0; i < 600; i += 6) {
      REQUIRE(*ch.recv() == i);
      REQUIRE(trying() == i + 1);
      REQUIRE(ch.recv(live).value() == i + 2);
      REQUIRE(ch.try_recv_for(1h).value() == i + 3);
      REQUIRE(ch.try_recv_until(rn::clock::now() + 1h).value() == i + 4);
      REQUIRE(*ch.begin() == i + 5);
    }
  }
}

TEST_CASE("C08 try_recv never answers would_block while there is a value, whoever closes meanwhile") {
  for (const auto size : {support::size_parameter(1), support::size_parameter(4), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const rn::channel<rn::channel<int>> rounds;
    support::crew crew;
    crew.go([&] {
      for (const auto& ch : rounds) ch.close();
    });
    int would_block = 0;
    for (int i = 0; i < many / 10; ++i) {
      const auto ch = support::make<int>(size);
      ch.send(1);
      rounds.send(ch);
      if (ch.try_recv().status() != rn::status::ok) ++would_block;
    }
    rounds.close();
    CHECK(would_block == 0);
  }
}

TEST_CASE("C28 a timed receive that waits takes what comes in time, and leaves no trace when nothing does") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    for (int round = 0; round < 3; ++round) {
      CHECK(ch.try_recv_for(1ms).status() == rn::status::timed_out);
      CHECK(support::receiving(ch) == 0);
      support::crew crew;
      crew.go([&] {
        support::wait_until_receiving(ch);
        ch.send(round);
      });
      CHECK(ch.try_recv_for(1h).to_optional() == round);
    }
    CHECK(ch.size() == 0);
  }
}

TEST_CASE("C35 many values from one sender to one receiver, in order") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    support::crew crew;
    crew.go([&] {
      for (int i = 0; i < many; ++i) ch.send(i);
      ch.close();
    });
    int next = 0;
    for (const int value : ch)
      if (value == next) ++next;
    CHECK(next == many);
  }
}

TEST_CASE("C42 a value that is received from the channel it is sent to") {
  for (const auto size : {support::size_parameter(1), support::size_parameter(2), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    ch.send(1);
    for (int i = 0; i < 10; ++i) ch.send(*ch.recv() + 1);
    CHECK(*ch.recv() == 11);
  }
}

TEST_CASE("B04 C60 an operation that was withdrawn while it waited leaves no value and no waiter behind") {
  for (const std::size_t capacity : bounds) {
    CAPTURE(capacity);
    const rn::channel<support::counted> ch(capacity);
    for (std::size_t i = 0; i < capacity; ++i) ch.send(support::counted(static_cast<int>(i)));
    auto ctx = rn::with_cancel(rn::context());
    support::counted value(77);
    support::crew crew;
    crew.go([&] {
      support::wait_until_sending(ch);
      ctx.cancel();
    });
    CHECK(ch.send(ctx, std::move(value)).status() == rn::status::canceled);
    crew.join();
    CHECK(value.value() == 77);  // NOLINT(bugprone-use-after-move): that it was not moved from is what is asked
    CHECK(support::sending(ch) == 0);
    CHECK(ch.try_send_for(1ms, std::move(value)).status() == rn::status::timed_out);
    CHECK(value.value() == 77);  // NOLINT(bugprone-use-after-move): as above
    for (std::size_t i = 0; i < capacity; ++i) CHECK(ch.recv()->value() == static_cast<int>(i));
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("C60 a waiter that was withdrawn from the middle of the queue lets those around it go on") {
  for (const std::size_t capacity : bounds) {
    CAPTURE(capacity);
    const rn::channel<int> ch(capacity);
    auto ctx = rn::with_cancel(rn::context());
    support::counter got{0};
    support::crew crew;
    crew.go([&] { support::add(got, static_cast<std::uint32_t>(*ch.recv())); });
    support::wait_until_receiving(ch, 1);
    support::counter canceled{0};
    crew.go([&] { support::add(canceled, ch.recv(ctx).status() == rn::status::canceled ? 1 : 100); });
    support::wait_until_receiving(ch, 2);
    crew.go([&] { support::add(got, static_cast<std::uint32_t>(*ch.recv())); });
    support::wait_until_receiving(ch, 3);
    ctx.cancel();
    support::wait_for(canceled, 1);
    CHECK(support::receiving(ch) == 2);
    ch.send(10);
    support::wait_for(got, 10);
    ch.send(20);
    crew.join();
    CHECK(support::read(got) == 30);
  }
}

TEST_CASE("B25 a try form serves a peer that waits, as the waiting form does") {
  for (const std::size_t capacity : {0U, 1U, 2U}) {
    CAPTURE(capacity);
    const rn::channel<int> ch(capacity);
    support::crew crew;
    int received = 0;
    crew.go([&] { received = *ch.recv(); });
    support::wait_until_receiving(ch);
    CHECK(ch.try_send(5));
    crew.join();
    CHECK(received == 5);
    const int filled = fill(ch);
    crew.go([&] { ch.send(filled); });
    support::wait_until_sending(ch);
    for (int i = 0; i <= filled; ++i) CHECK(ch.try_recv().to_optional() == i);
    crew.join();
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
}

TEST_CASE("B13 waiting senders are served first come, first served, and nobody who comes later passes them") {
  for (const std::size_t capacity : bounds) {
    CAPTURE(capacity);
    const rn::channel<int> ch(capacity);
    const int filled = fill(ch);
    auto live = rn::with_cancel(rn::context());
    support::crew crew;
    for (int i = 0; i < 6; ++i) {
      crew.go([&, value = filled + i, form = i % 3] {
        if (form == 0) ch.send(value);
        if (form == 1) ch.send(live, value).value();
        if (form == 2) ch.try_send_for(1h, value).value();
      });
      support::wait_until_sending(ch, static_cast<std::size_t>(i) + 1);
    }
    CHECK(ch.try_send(99).status() == rn::status::would_block);
    for (int i = 0; i < filled + 6; ++i) CHECK(*ch.recv() == i);
  }
}

TEST_CASE("B41 waiting receivers are served first come, first served") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    std::vector<int> got(6, -1);
    support::crew crew;
    for (std::size_t i = 0; i < got.size(); ++i) {
      crew.go([&, i] { got[i] = *ch.recv(); });
      support::wait_until_receiving(ch, i + 1);
    }
    for (int i = 0; i < 6; ++i) ch.send(i);
    crew.join();
    CHECK(got == std::vector<int>{0, 1, 2, 3, 4, 5});
  }
}

TEST_CASE("B17 a value that is handed straight to a receiver is built in its place, once") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    {
      const auto ch = support::make<support::counted>(size);
      support::crew crew;
      for (int round = 0; round < 20; ++round) {
        crew.go([&] {
          support::wait_until_receiving(ch);
          ch.send(support::counted(round));
        });
        const auto value = ch.recv();
        CHECK(value->value() == round);
        crew.join();
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
