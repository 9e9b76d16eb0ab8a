// Section 1 of the behaviours, how a channel ends: by close, and with the last handle of either side.
#include <chrono>
#include <memory>
#include <optional>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace channel_close_test {

namespace rn = runnel;
using namespace std::chrono_literals;

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
  for (const auto size : sizes)
    for (const ending how : endings) {
      CAPTURE(support::name_of(size), how == ending::by_close);
      auto ends = make_ends<int>(size);
      auto live = rn::with_cancel(rn::context());
      support::counter closed{0};
      support::crew crew;
      const auto count = [&](rn::status s) { support::add(closed, s == rn::status::closed ? 1 : 100); };
      crew.go([&] { count(ends.recv.recv().status()); });
      crew.go([&] { count(ends.recv.recv(live).status()); });
      crew.go([&] { count(ends.recv.try_recv_for(1h).status()); });
      crew.go([&] { count(ends.recv.begin() == ends.recv.end() ? rn::status::closed : rn::status::ok); });
      crew.go([&] {
        std::vector<int> out;
        count(ends.recv.recv_many(out, 5) == 0 ? rn::status::closed : rn::status::ok);
      });
      support::wait_until_receiving(ends.recv, 5);
      CHECK(support::read(closed) == 0);
      how == ending::by_close ? ends.send.close() : static_cast<void>(ends.send = nullptr);
      crew.join();
      CHECK(support::read(closed) == 5);
      CHECK(ends.recv.drained());
    }
}

TEST_CASE("C33 B15 B26 B51 close wakes every sender that waits: none sends, and their values stay whole") {
  for (const std::size_t capacity : bounds)
    for (const ending how : endings) {
      CAPTURE(capacity, how == ending::by_close);
      auto ends = rn::make_channel<support::counted>(capacity);
      for (std::size_t i = 0; i < capacity; ++i) ends.send.send(support::counted(static_cast<int>(i)));
      auto live = rn::with_cancel(rn::context());
      support::counter whole{0};
      support::crew crew;
      crew.go([&] {
        support::counted value(7);
        try {
          ends.send.send(std::move(value));
        } catch (const rn::channel_closed&) {
          support::add(whole, value.value() == 7 ? 1 : 100);  // NOLINT(bugprone-use-after-move): what is asked
        }
      });
      const auto check = [&](auto send) {
        crew.go([&, send] {
          support::counted value(7);
          const bool closed = send(std::move(value)).status() == rn::status::closed;
          support::add(whole, closed && value.value() == 7 ? 1 : 100);  // NOLINT(bugprone-use-after-move): as above
        });
      };
      check([&](support::counted&& value) { return ends.send.send(live, std::move(value)); });
      check([&](support::counted&& value) { return ends.send.try_send_for(1h, std::move(value)); });
      check([&](support::counted&& value) { return ends.send.try_send_until(rn::time_point::max(), std::move(value)); });
      support::wait_until_sending(ends.send, 4);
      how == ending::by_close ? ends.send.close() : static_cast<void>(ends.recv = nullptr);
      crew.join();
      CHECK(support::read(whole) == 4);
      if (how == ending::by_last_handle) {
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
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    {
      auto ends = make_ends<support::counted>(size);
      support::counter ended{0};
      support::crew crew;
      for (int i = 0; i < 2; ++i)
        crew.go([&, sender = ends.send]() mutable {
          while (sender.try_send_for(1h, support::counted(1))) {
          }
          support::add(ended);
        });
      std::vector<rn::recv_channel<support::counted>> receivers(3, ends.recv);
      ends.recv = nullptr;
      for (int i = 0; i < 100; ++i) CHECK(receivers[static_cast<std::size_t>(i) % 3].recv());
      CHECK(support::read(ended) == 0);
      receivers.clear();
      crew.join();
      CHECK(support::read(ended) == 2);
    }
    {
      auto ends = make_ends<support::counted>(size);
      support::counter received{0};
      support::crew crew;
      for (int i = 0; i < 2; ++i)
        crew.go([&, receiver = ends.recv] {
          for (const auto& value : receiver) support::add(received, static_cast<std::uint32_t>(value.value()));
        });
      std::vector<rn::send_channel<support::counted>> senders(3, ends.send);
      ends.send = nullptr;
      for (int i = 0; i < 100; ++i) senders[static_cast<std::size_t>(i) % 3].send(support::counted(1));
      senders.clear();
      crew.join();
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
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const rn::channel<job> jobs;
    support::crew crew;
    crew.go([&] {
      for (job& j : jobs) j.to.send(**j.from.recv());
    });
    int sum = 0;
    const int rounds = support::scaled(10'000, 1'000);
    for (int i = 0; i < rounds; ++i) {
      auto ends = make_ends<std::unique_ptr<int>>(size);
      const rn::channel<int> answer;
      jobs.send(job{std::move(ends.recv), answer});
      std::exchange(ends.send, nullptr).send(std::make_unique<int>(1));
      sum += *answer.recv();
    }
    jobs.close();
    CHECK(sum == rounds);
  }
}

TEST_CASE("C40 every value is destroyed once: when it was received, or with the channel") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    for (int round = 0; round < 100; ++round) {
      const auto steps = static_cast<int>(rn::detail::random_below(static_cast<std::uint32_t>(support::scaled(2'000, 100))));
      const auto extra = size ? 0 : static_cast<int>(rn::detail::random_below(200));
      {
        auto ends = make_ends<support::counted>(size);
        support::crew crew;
        crew.go([&] {
          for (int i = 0; i < steps; ++i) ends.send.send(support::counted(i));
        });
        int wrong = 0;
        for (int i = 0; i < steps; ++i) wrong += ends.recv.recv()->value() == i ? 0 : 1;
        crew.join();
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
