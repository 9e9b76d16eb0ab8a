// Section 1 of the behaviours, how a channel ends: by close, and with the last handle of either side, over threads and coroutines.
#include <chrono>
#include <memory>
#include <optional>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace channel_close_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 7, std::nullopt};
const support::size_parameter buffered_sizes[] = {1, 2, 7, std::nullopt};
constexpr std::size_t bounds[] = {0, 1, 2, 7};

template <class T>
rn::channel_ends<T> make_ends(support::size_parameter size) {
  return size ? rn::make_channel<T>(*size) : rn::make_channel<T>(rn::unbounded);
}

/// A way for a channel to end while others wait: what is done with the handle of the other side.
enum class ending { by_close, by_last_handle };
constexpr ending endings[] = {ending::by_close, ending::by_last_handle};

/// Sends by a form, in vain. Whether it was told that the channel is closed, and its value stayed whole.
rn::task<bool> is_refused(party me, const rn::send_channel<support::counted>& to, const rn::context& live, int form) {
  support::counted value(7);
  rn::status sent = rn::status::ok;
  bool threw = false;
  try {
    if (form == 0) co_await me.send(to, std::move(value));
    if (form == 1) sent = (co_await me.send(live, to, std::move(value))).status();
    if (form == 2) sent = (co_await me.send_for(to, 1h, std::move(value))).status();
    if (form == 3) sent = (co_await me.send_until(to, rn::time_point::max(), std::move(value))).status();
  } catch (const rn::channel_closed&) {
    threw = true;
  }
  co_return threw == (form == 0) && (threw || sent == rn::status::closed) && value.value() == 7;
}

}  // namespace

TEST_CASE("C03 C31 after close what is buffered is received in order, then closed, for ever") {
  for (const auto size : buffered_sizes)
    for (const ending how : endings) {
      CAPTURE(support::name_of(size), how == ending::by_close);
      auto ends = make_ends<int>(size);
      const int count = size ? static_cast<int>(*size) : 200;
      for (int i = 0; i < count; ++i) ends.send.send(i);
      how == ending::by_close ? ends.send.close() : static_cast<void>(ends.send = nullptr);
      CHECK(ends.recv.closed());
      for (int i = 0; i < count; ++i) {
        REQUIRE_FALSE(ends.recv.drained());
        REQUIRE(ends.recv.recv().to_optional() == i);
      }
      for (int again = 0; again < 2; ++again) {
        CHECK(ends.recv.recv().status() == rn::status::closed);
        CHECK(ends.recv.try_recv().status() == rn::status::closed);
        CHECK(ends.recv.drained());
      }
    }
}

TEST_CASE("C04 C34 B51 the end of sending wakes every receiver that waits, whatever its form") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes)
    for (const ending by : endings) {
      CAPTURE(support::name_of(how), support::name_of(size), by == ending::by_close);
      auto ends = make_ends<int>(size);
      auto live = rn::with_cancel(rn::context());
      support::counter closed{0};
      support::parties parties(how);
      const auto count = [&](bool was_closed) { support::add(closed, was_closed ? 1 : 100); };
      parties.go([&](party me) -> rn::task<> { count((co_await me.recv(ends.recv)).status() == rn::status::closed); });
      parties.go([&](party me) -> rn::task<> { count((co_await me.recv(live, ends.recv)).status() == rn::status::closed); });
      parties.go([&](party me) -> rn::task<> { count((co_await me.recv_for(ends.recv, 1h)).status() == rn::status::closed); });
      parties.go([&](party me) -> rn::task<> {
        support::values_of all(me, ends.recv);
        count(!co_await all.next());
      });
      parties.go([&](party me) -> rn::task<> {
        std::vector<int> out;
        count(co_await me.recv_many(ends.recv, out, 5) == 0);
      });
      support::wait_until_receiving(ends.recv, 5);
      CHECK(support::read(closed) == 0);
      by == ending::by_close ? ends.send.close() : static_cast<void>(ends.send = nullptr);
      parties.join();
      CHECK(support::read(closed) == 5);
      CHECK(ends.recv.drained());
    }
}

TEST_CASE("C33 B15 B26 B51 close wakes every sender that waits: none sends, and their values stay whole") {
  const auto how = GENERATE(values(support::mixes));
  for (const std::size_t capacity : bounds)
    for (const ending by : endings) {
      CAPTURE(support::name_of(how), capacity, by == ending::by_close);
      auto ends = rn::make_channel<support::counted>(capacity);
      for (std::size_t i = 0; i < capacity; ++i) ends.send.send(support::counted(static_cast<int>(i)));
      auto live = rn::with_cancel(rn::context());
      support::counter whole{0};
      support::parties parties(how);
      for (int form = 0; form < 4; ++form)
        parties.go([&, form](party me) -> rn::task<> {
          const bool right = co_await me.call(is_refused(me, ends.send, live, form));
          support::add(whole, right ? 1 : 100);
        });
      support::wait_until_sending(ends.send, 4);
      by == ending::by_close ? ends.send.close() : static_cast<void>(ends.recv = nullptr);
      parties.join();
      CHECK(support::read(whole) == 4);
      if (by == ending::by_last_handle) {
        CHECK(ends.send.size() == 0);
        CHECK(support::counted::live() == 0);
        continue;
      }
      for (std::size_t i = 0; i < capacity; ++i) CHECK(ends.recv.recv()->value() == static_cast<int>(i));
      CHECK(ends.recv.recv().status() == rn::status::closed);
    }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("C45 B07 when the last receiver goes, what nobody received is destroyed at once") {
  for (const auto size : buffered_sizes) {
    CAPTURE(support::name_of(size));
    auto ends = make_ends<support::counted>(size);
    const int count = size ? static_cast<int>(*size) : 200;
    for (int i = 0; i < count; ++i) ends.send.send(support::counted(i));
    std::optional second = std::exchange(ends.recv, nullptr);
    CHECK(support::counted::live() == count);
    second.reset();
    CHECK(support::counted::live() == 0);
    CHECK(ends.send.closed());
    CHECK(ends.send.drained());
  }
}

TEST_CASE("C47 C69 what is left in a channel is destroyed with it, also across laps and segments") {
  for (const auto size : buffered_sizes)
    for (int left = 0; left < 150; left = left * 2 + 1) {
      CAPTURE(support::name_of(size), left);
      {
        const auto ch = support::make<support::counted>(size);
        for (int i = 0; i < 100; ++i) {
          ch.send(support::counted(i));
          CHECK(ch.recv()->value() == i);
        }
        for (int i = 0; i < left && ch.try_send(support::counted(i)); ++i) {
        }
        CHECK(support::counted::live() == static_cast<std::int64_t>(ch.size()));
        const auto shared = ch;
        CHECK(shared == ch);
      }
      CHECK(support::counted::live() == 0);
    }
}

TEST_CASE("C48 a sender goes on until the last receiver has gone, a receiver until the last sender has") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    {
      auto ends = make_ends<support::counted>(size);
      support::counter ended{0};
      support::parties parties(how);
      for (int i = 0; i < 2; ++i)
        parties.go([&, sender = ends.send](party me) -> rn::task<> {
          while (co_await me.send_for(sender, 1h, support::counted(1))) {
          }
          support::add(ended);
        });
      std::vector<rn::recv_channel<support::counted>> receivers(3, ends.recv);
      ends.recv = nullptr;
      int received = 0;
      parties.run([&](party me) -> rn::task<> {
        for (int i = 0; i < 100; ++i) received += (co_await me.recv(receivers[static_cast<std::size_t>(i) % 3])) ? 1 : 0;
      });
      CHECK(received == 100);
      CHECK(support::read(ended) == 0);
      receivers.clear();
      parties.join();
      CHECK(support::read(ended) == 2);
    }
    {
      auto ends = make_ends<support::counted>(size);
      support::counter received{0};
      support::parties parties(how);
      for (int i = 0; i < 2; ++i)
        parties.go([&, receiver = ends.recv](party me) -> rn::task<> {
          support::values_of all(me, receiver);
          while (const auto value = co_await all.next()) support::add(received, static_cast<std::uint32_t>(value->value()));
        });
      std::vector<rn::send_channel<support::counted>> senders(3, ends.send);
      ends.send = nullptr;
      parties.run([&](party me) -> rn::task<> {
        for (int i = 0; i < 100; ++i) co_await me.send(senders[static_cast<std::size_t>(i) % 3], support::counted(1));
      });
      senders.clear();
      parties.join();
      CHECK(support::read(received) == 100);
    }
    CHECK(support::counted::live() == 0);
  }
}

TEST_CASE("C56 the sender may go after the receiver, and the other way round, in any state") {
  for (const auto size : sizes)
    for (const bool receiver_first : {true, false})
      for (const bool by_hand : {true, false})
        for (int values = 0; values < 3; ++values) {
          CAPTURE(support::name_of(size), receiver_first, by_hand, values);
          {
            auto ends = make_ends<support::counted>(size);
            for (int i = 0; i < values; ++i) static_cast<void>(ends.send.try_send(support::counted(i)));
            if (by_hand) ends.send.close();
            if (receiver_first) ends.recv = nullptr;
            CHECK(ends.send.try_send(support::counted(9)).status() ==
                  (receiver_first || by_hand                                          ? rn::status::closed
                   : size && static_cast<std::size_t>(values) >= ends.send.capacity() ? rn::status::would_block
                                                                                      : rn::status::ok));
            ends.send = nullptr;
          }
          CHECK(support::counted::live() == 0);
        }
}

TEST_CASE("C37 a channel is made, used once from two sides, and gone, over and over") {
  struct job {
    rn::recv_channel<std::unique_ptr<int>> from;
    rn::channel<int> to;
  };
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const rn::channel<job> jobs;
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      support::values_of all(me, jobs);
      while (const auto j = co_await all.next()) {
        const auto value = co_await me.recv(j->from);
        co_await me.send(j->to, **value);
      }
    });
    int sum = 0;
    const int rounds = support::shared(how, support::scaled(10'000, 1'000));
    parties.run([&](party me) -> rn::task<> {
      for (int i = 0; i < rounds; ++i) {
        auto ends = make_ends<std::unique_ptr<int>>(size);
        const rn::channel<int> answer;
        job j{std::move(ends.recv), answer};
        co_await me.send(jobs, std::move(j));
        const auto out = std::exchange(ends.send, nullptr);
        co_await me.send(out, std::make_unique<int>(1));
        sum += *co_await me.recv(answer);
      }
      jobs.close();
    });
    parties.join();
    CHECK(sum == rounds);
  }
}

TEST_CASE("C40 every value is destroyed once: when it was received, or with the channel") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    for (int round = support::shared(how, 100); round > 0; --round) {
      const auto steps = static_cast<int>(rn::detail::random_below(static_cast<std::uint32_t>(support::scaled(2'000, 100))));
      const auto extra = size ? 0 : static_cast<int>(rn::detail::random_below(200));
      {
        auto ends = make_ends<support::counted>(size);
        support::parties parties(how);
        parties.go([&](party me) -> rn::task<> {
          for (int i = 0; i < steps; ++i) co_await me.send(ends.send, support::counted(i));
        });
        int wrong = 0;
        parties.run([&](party me) -> rn::task<> {
          for (int i = 0; i < steps; ++i) wrong += (co_await me.recv(ends.recv))->value() == i ? 0 : 1;
        });
        parties.join();
        REQUIRE(wrong == 0);
        REQUIRE(support::counted::live() == 0);
        for (int i = 0; i < extra; ++i) ends.send.send(support::counted(i));
        REQUIRE(support::counted::live() == extra);
      }
      REQUIRE(support::counted::live() == 0);
    }
  }
}

TEST_CASE("C53 a long queue is drained, or dropped, without deep recursion") {
  // Each value holds the channel that holds the next: nothing of the library's stands between them but handles.
  struct link {
    std::unique_ptr<int> value;
    rn::recv_channel<link> next;
  };
  rn::recv_channel<link> chain;
  for (int i = 0; i < 1'000; ++i) {
    auto ends = rn::make_channel<link>(1);
    ends.send.send(link{std::make_unique<int>(i), std::move(chain)});
    chain = std::move(ends.recv);
  }
  int length = 0;
  while (auto head = chain.recv()) {
    ++length;
    chain = std::move(head->next);
    if (chain == nullptr) break;
  }
  CHECK(length == 1'000);
  const rn::channel<support::counted> queue(rn::unbounded);
  for (int i = 0; i < 20'000; ++i) queue.send(support::counted(i));
  for (int i = 0; i < 10'000; ++i) REQUIRE(queue.recv()->value() == i);
  CHECK(support::counted::live() == 10'000);
}

TEST_CASE("a destructor may use the channel that its value is dropped from") {
  struct noisy {
    explicit noisy(rn::send_channel<noisy> to, int* n) : back(std::move(to)), refused(n) {}
    noisy(noisy&& other) noexcept : back(std::move(other.back)), refused(std::exchange(other.refused, nullptr)) {}
    noisy& operator=(noisy&&) = delete;
    ~noisy() {
      if (refused != nullptr && back.closed() && !back.try_send(noisy(nullptr, nullptr))) ++*refused;
    }
    rn::send_channel<noisy> back;
    int* refused;
  };
  for (const auto size : buffered_sizes) {
    CAPTURE(support::name_of(size));
    int refused = 0;
    auto ends = make_ends<noisy>(size);
    REQUIRE(ends.send.try_send(noisy(ends.send, &refused)));
    ends.send = nullptr;
    CHECK_FALSE(ends.recv.closed());  // the value itself holds a handle that can send
    ends.recv = nullptr;
    CHECK(refused == 1);
  }
}

}  // namespace channel_close_test
