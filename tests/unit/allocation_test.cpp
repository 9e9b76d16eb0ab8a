// Memory that runs out: for every k, the k-th allocation of an operation fails, and nothing is lost, leaked or half done. And what
// the operations of a channel allocate: nothing at all where they wait.
#include <chrono>
#include <memory>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "failing_new.hpp"
#include "support.hpp"

namespace allocation_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 7, std::nullopt};

/// Runs f with all allocations failing from the k-th on, for k = 0, 1, …, until it comes through. After each failure `check` looks
/// at what f has left behind. Answers how often f failed.
template <class F, class Check>
int sweep(F f, Check check) {
  for (std::uint64_t k = 0;; ++k) {
    bool failed = false;
    {
      const allocations::failing from(k);
      try {
        f();
      } catch (const std::bad_alloc&) {
        failed = true;
      }
    }
    if (!failed) return static_cast<int>(k);
    check();
  }
}

/// How many allocations f makes in this thread.
template <class F>
std::uint64_t allocated_by(F f) {
  const std::uint64_t before = allocations::made();
  f();
  return allocations::made() - before;
}

std::string word(int i) { return "a word too long to be kept in the string itself, number " + std::to_string(i); }

}  // namespace

TEST_CASE("B48 a channel that cannot be allocated leaves nothing behind") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto before = allocations::live();
    const int failures = sweep([&] { support::make<support::counted>(size); }, [&] { REQUIRE(allocations::live() == before); });
    CHECK(failures == (!size ? 3 : *size == 0 ? 1 : 2));  // the core; the ring, or the chain and its first segment
    sweep([&] { size ? static_cast<void>(rn::make_channel<int>(*size)) : static_cast<void>(rn::make_channel<int>(rn::unbounded)); },
          [&] { REQUIRE(allocations::live() == before); });
    CHECK(allocations::live() == before);
  }
}

TEST_CASE("B48 a send that finds no memory has done nothing, and the same send succeeds later") {
  auto live = rn::with_cancel(rn::context());
  for (int form = 0; form < 5; ++form) {
    CAPTURE(form);
    const auto before = allocations::live();
    {
      const rn::channel<support::counted> ch(rn::unbounded);
      int failures = 0;
      for (int i = 0; i < 300; ++i) {
        support::counted value(i);
        bool sent = false;
        failures += sweep(
            [&] {
              switch (form) {
                case 0: ch.send(std::move(value)), sent = true; break;
                case 1: sent = ch.try_send(std::move(value)).status() == rn::status::ok; break;
                case 2: sent = ch.send(live, std::move(value)).status() == rn::status::ok; break;
                case 3: sent = ch.try_send_for(1h, std::move(value)).status() == rn::status::ok; break;
                default: sent = ch.try_send_until(rn::time_point::max(), std::move(value)).status() == rn::status::ok;
              }
            },
            [&] {
              REQUIRE(value.value() == i);  // NOLINT(bugprone-use-after-move): that it was not moved from is what is asked
              REQUIRE(ch.size() == static_cast<std::size_t>(i));
              REQUIRE(support::counted::live() == i + 1);
            });
        REQUIRE(sent);
      }
      CHECK(failures == 300 / 63);
      for (int i = 0; i < 250; ++i) REQUIRE(ch.recv()->value() == i);
      CHECK(support::counted::live() == 50);
    }
    CHECK(support::counted::live() == 0);
    CHECK(allocations::live() == before);
  }
}

TEST_CASE("B20 B48 send_many that finds no memory has sent those before, and left the others") {
  const rn::channel<support::counted> ch(rn::unbounded);
  std::vector<support::counted> values;
  for (int i = 0; i < 300; ++i) values.emplace_back(i);
  int next = 0;
  sweep(
      [&] {
        std::vector<support::counted> taken = std::move(values);
        struct back {
          ~back() { *to = std::move(*from); }
          std::vector<support::counted>* from;
          std::vector<support::counted>* to;
        } const give_back{&taken, &values};
        ch.send_many(std::move(taken));
      },
      [&] {
        std::size_t left = 0;
        for (const auto& value : values) left += value.value() >= 0 ? 1 : 0;
        CHECK(ch.size() + left + static_cast<std::size_t>(next) == 300);
        while (auto value = ch.try_recv()) CHECK(value->value() == next++);
        std::erase_if(values, [](const support::counted& value) { return value.value() < 0; });
      });
  while (auto value = ch.try_recv()) CHECK(value->value() == next++);
  CHECK(next == 300);
}

TEST_CASE("C67 a copy that finds no memory changes nothing: send of an lvalue, send_many of somebody's range") {
  for (const auto size : {support::size_parameter(20), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const auto before = allocations::live();
    {
      const auto ch = support::make<std::string>(size);
      const std::string text = word(0);
      CHECK(sweep([&] { ch.send(text); }, [&] { REQUIRE(ch.size() == 0); }) == 1);
      CHECK(sweep([&] { static_cast<void>(ch.try_send(text)); }, [&] { REQUIRE(ch.size() == 1); }) == 1);
      CHECK(sweep([&] { static_cast<void>(ch.try_send_for(1h, text)); }, [&] { REQUIRE(ch.size() == 2); }) == 1);
      for (int i = 0; i < 3; ++i) CHECK(*ch.recv() == text);
      const std::vector<std::string> words{word(0), word(1), word(2), word(3)};
      std::size_t expected = 0;
      const int failures = sweep([&] { ch.send_many(words); },
                                 [&] {
                                   REQUIRE(ch.size() == expected);  // exactly those whose copies succeeded, in order
                                   for (std::size_t i = 0; i < expected; ++i) REQUIRE(*ch.recv() == words[i]);
                                   ++expected;
                                 });
      CHECK(failures == 4);
      for (const std::string& w : words) CHECK(*ch.recv() == w);
    }
    CHECK(allocations::live() == before);
  }
}

TEST_CASE("B48 recv_many that finds no memory keeps what it has appended, and leaves the rest in the channel") {
  for (const auto size : {support::size_parameter(100), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const auto before = allocations::live();
    {
      const auto ch = support::make<support::counted>(size);
      for (int i = 0; i < 100; ++i) ch.send(support::counted(i));
      std::vector<support::counted> out;
      const int failures = sweep([&] { ch.recv_many(out, 1'000); }, [&] { REQUIRE(out.size() + ch.size() == 100); });
      CHECK(failures >= 1);
      REQUIRE(out.size() == 100);
      for (int i = 0; i < 100; ++i) CHECK(out[static_cast<std::size_t>(i)].value() == i);
      CHECK(support::counted::live() == 100);
    }
    CHECK(support::counted::live() == 0);
    CHECK(allocations::live() == before);
  }
}

TEST_CASE("handles, ends and scopes allocate nothing, and neither do the operations of a bounded channel") {
  for (const std::size_t capacity : {1U, 2U, 7U}) {
    CAPTURE(capacity);
    const rn::channel<int> ch(capacity);
    const auto all = allocated_by([&] {
      const rn::channel<int> copy = ch;
      const rn::send_channel<int> sender = copy;
      const rn::recv_channel<int> receiver = copy;
      for (int i = 0; i < 100; ++i) {
        sender.send(i);
        static_cast<void>(receiver.recv());
        static_cast<void>(copy.try_send(i));
        static_cast<void>(copy.try_recv_for(1s));
        static_cast<void>(copy.send(rn::context(), i));
        static_cast<void>(copy.recv(rn::context()));
      }
      static_cast<void>(copy.try_recv());
      const rn::close_on_exit closing(ch);
    });
    CHECK(all == 0);
    CHECK(ch.closed());
  }
}

TEST_CASE("an unbounded channel allocates once in 63 sends while it grows, and not at all while it is kept short") {
  const rn::channel<int> ch(rn::unbounded);
  const auto growing = allocated_by([&] {
    for (int i = 0; i < 630; ++i) ch.send(i);
  });
  CHECK(growing == 10);
  const auto shrinking = allocated_by([&] {
    for (int i = 0; i < 630; ++i) static_cast<void>(ch.recv());
  });
  CHECK(shrinking == 0);
  const auto kept_short = allocated_by([&] {
    for (int i = 0; i < 10'000; ++i) {
      ch.send(i);
      static_cast<void>(ch.recv());
    }
  });
  CHECK(kept_short <= 1);
}

TEST_CASE("waiting to receive allocates nothing, in any form, nor does it cost whoever serves the waiter") {
  for (const auto size : sizes)
    for (int form = 0; form < 6; ++form) {
      CAPTURE(support::name_of(size), form);
      const auto ch = support::make<int>(size);
      auto live = rn::with_cancel(rn::context());
      auto ends_by_itself = rn::with_timeout(rn::context(), 1h);
      std::vector<int> out;
      out.reserve(4);
      std::uint64_t cost = 99;
      bool received = false;
      support::crew crew;
      crew.go([&] {
        cost = allocated_by([&] {
          switch (form) {
            case 0: received = static_cast<bool>(ch.recv()); break;
            case 1: received = static_cast<bool>(ch.recv(live)); break;
            case 2: received = static_cast<bool>(ch.recv(ends_by_itself)); break;
            case 3: received = static_cast<bool>(ch.try_recv_for(1h)); break;
            case 4: received = static_cast<bool>(ch.try_recv_until(rn::clock::now() + 1h)); break;
            default: received = ch.recv_many(out, 4) == 1;
          }
        });
      });
      support::wait_until_receiving(ch);
      CHECK(allocated_by([&] { ch.send(1); }) == 0);
      crew.join();
      CHECK(received);
      CHECK(cost == 0);
    }
}

TEST_CASE("waiting to send allocates nothing, in any form, nor does it cost whoever makes room") {
  for (const std::size_t capacity : {0U, 1U, 2U, 7U})
    for (int form = 0; form < 5; ++form) {
      CAPTURE(capacity, form);
      const rn::channel<int> ch(capacity);
      for (std::size_t i = 0; i < capacity; ++i) ch.send(0);
      auto live = rn::with_cancel(rn::context());
      const std::vector<int> one{1};
      std::uint64_t cost = 99;
      bool sent = false;
      support::crew crew;
      crew.go([&] {
        cost = allocated_by([&] {
          switch (form) {
            case 0: ch.send(1), sent = true; break;
            case 1: sent = static_cast<bool>(ch.send(live, 1)); break;
            case 2: sent = static_cast<bool>(ch.try_send_for(1h, 1)); break;
            case 3: sent = static_cast<bool>(ch.try_send_until(rn::time_point::max(), 1)); break;
            default: sent = ch.send_many(one) == 1;
          }
        });
      });
      support::wait_until_sending(ch);
      CHECK(allocated_by([&] { static_cast<void>(ch.recv()); }) == 0);
      crew.join();
      CHECK(sent);
      CHECK(cost == 0);
    }
}

TEST_CASE("waits that end without success, and closing, allocate nothing") {
  for (const std::size_t capacity : {0U, 1U}) {
    CAPTURE(capacity);
    const rn::channel<int> ch(capacity);
    for (std::size_t i = 0; i < capacity; ++i) ch.send(0);
    auto done = rn::with_cancel(rn::context());
    auto late = rn::with_timeout(rn::context(), 2ms);
    done.cancel();
    CHECK(allocated_by([&] {
            static_cast<void>(ch.try_send_for(1ms, 1));
            static_cast<void>(ch.send(done, 1));
            static_cast<void>(ch.send(late, 1));
            static_cast<void>(ch.try_send(1));
          }) == 0);
    std::uint64_t cost = 99;
    support::crew crew;
    crew.go([&] {
      cost = allocated_by([&] {
        while (ch.recv()) {
        }
      });
    });
    support::wait_until_receiving(ch);
    CHECK(allocated_by([&] { ch.close(); }) == 0);
    crew.join();
    CHECK(cost == 0);
  }
}

TEST_CASE("C66 a channel that lives long does not grow: values, canceled and timed-out waits, copies of handles") {
  const int rounds = support::scaled(200'000, 20'000);
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<support::counted>(size);
    auto done = rn::with_cancel(rn::context());
    done.cancel();
    if (size != 0U) {
      for (int i = 0; i < 200 && ch.try_send(support::counted(i)); ++i) {
      }
      while (ch.try_recv()) {
      }
    }
    const auto before = allocations::live();
    for (int i = 0; i < rounds; ++i) {
      const auto copy = ch;
      if (copy.try_send(support::counted(i))) static_cast<void>(copy.recv());
      static_cast<void>(copy.recv(done));
      if (i % 1'000 == 0) static_cast<void>(copy.try_recv_for(1us));
      if (i % 1'000 == 1) static_cast<void>(copy.recv(rn::with_timeout(rn::context(), 1us)));
    }
    CHECK(support::receiving(ch) == 0);
    CHECK(support::sending(ch) == 0);
    CHECK(support::counted::live() == 0);
    CHECK(allocations::live() <= before + 1);  // a spare segment may come or go
  }
}

}  // namespace allocation_test
