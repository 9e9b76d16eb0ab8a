// Section 1 of the behaviours, programs of many tasks that are wired with channels.
#include <array>
#include <cstdint>
#include <memory>
#include <numeric>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace channel_programs_test {

namespace rn = runnel;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 10, std::nullopt};

/// Uses a good piece of stack, so that what a waiter left on it would be overwritten.
[[gnu::noinline]] int deep(int depth) {
  volatile int here[64] = {};
  here[depth % 64] = depth;
  return depth == 0 ? 0 : here[depth % 64] + deep(depth - 1);
}

}  // namespace

TEST_CASE("C10 23 workers range over one channel, and none of the sum is lost") {
  const int items = support::scaled(271'828, 20'000);
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto questions = support::make<int>(size);
    const auto answers = support::make<int>(size);
    support::crew crew;
    crew.go([&] {
      support::crew workers;
      for (int w = 0; w < 23; ++w)
        workers.go([&] {
          for (const int value : questions) answers.send(value % 3 == 0 ? value : 1);
        });
      for (int i = 0; i < items; ++i) questions.send(i);
      questions.close();
      workers.join();
      answers.close();
    });
    std::int64_t sum = 0;
    int count = 0;
    for (const int value : answers) {
      sum += value;
      ++count;
    }
    std::int64_t expected = 0;
    for (int i = 0; i < items; ++i) expected += i % 3 == 0 ? i : 1;
    CHECK(count == items);
    CHECK(sum == expected);
  }
}

TEST_CASE("C11 a value on the stack of a sender that waits arrives whole, and the stack is the sender's again afterwards") {
  for (const std::size_t capacity : {0U, 1U}) {
    CAPTURE(capacity);
    const rn::channel<std::array<int, 8>> ch(capacity);
    support::crew crew;
    crew.go([&] {
      for (int i = 0; i < 10; ++i) {
        std::array<int, 8> value{};
        value.fill(i);
        ch.send(value);
        value.fill(deep(200));
      }
      ch.close();
    });
    int next = 0;
    for (const auto& value : ch) {
      if (next + 1 + static_cast<int>(capacity) < 10) support::wait_until_sending(ch);
      for (const int word : value) CHECK(word == next);
      ++next;
    }
    CHECK(next == 10);
  }
}

TEST_CASE("C13 a value that a task built and sent as its last act is whole after the task has gone") {
  struct report {
    std::vector<int> numbers;
    std::unique_ptr<int> sum;
  };
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    auto ends = size ? rn::make_channel<report>(*size) : rn::make_channel<report>(rn::unbounded);
    support::crew crew;
    for (int i = 0; i < 30; ++i)
      crew.go([out = ends.send, i] {
        report r{std::vector<int>(static_cast<std::size_t>(i), i), nullptr};
        r.sum = std::make_unique<int>(i * i);
        out.send(std::move(r));
      });
    ends.send = nullptr;
    int total = 0;
    for (const report& r : ends.recv) {
      CHECK(std::accumulate(r.numbers.begin(), r.numbers.end(), 0) == *r.sum);
      ++total;
    }
    CHECK(total == 30);
  }
}

TEST_CASE("C17 one value ripples through a chain of tasks") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto leftmost = support::make<int>(size);
    support::crew crew;
    rn::channel<int> left = leftmost;
    for (int i = 0; i < 64; ++i) {
      const auto right = support::make<int>(size);
      crew.go([left, right] { left.send(*right.recv() + 1); });
      left = right;
    }
    left.send(1);
    CHECK(*leftmost.recv() == 65);
  }
}

TEST_CASE("C21 a channel that is received from a channel of channels is the sender's own") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto requests = support::make<rn::channel<int>>(size);
    support::crew crew;
    crew.go([&] {
      for (const rn::channel<int>& reply : requests) {
        reply.send(7);
        reply.close();
      }
    });
    for (int i = 0; i < 10; ++i) {
      const rn::channel<int> reply;
      requests.send(reply);
      CHECK(*reply.recv() == 7);
      CHECK(reply.recv().status() == rn::status::closed);
    }
    requests.close();
  }
}

TEST_CASE("C43 a thousand channels, each delivered through the one before it") {
  struct next {
    rn::recv_channel<next> through;
  };
  for (const std::size_t capacity : {0U, 1U, 2U}) {
    CAPTURE(capacity);
    auto first = rn::make_channel<next>(capacity);
    support::crew crew;
    crew.go([out = std::move(first.send), capacity]() mutable {
      for (int i = 0; i < 1'000; ++i) {
        auto ends = rn::make_channel<next>(capacity);
        out.send(next{std::move(ends.recv)});
        out = std::move(ends.send);
      }
    });
    int hops = 0;
    for (rn::recv_channel<next> in = std::move(first.recv);; ++hops) {
      auto received = in.recv();
      if (!received) break;
      in = std::move(received->through);
    }
    CHECK(hops == 1'000);
  }
}

TEST_CASE("C38 requests and responses over two channels, taken by trying, until the channels end") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    auto requests = size ? rn::make_channel<int>(*size) : rn::make_channel<int>(rn::unbounded);
    auto responses = size ? rn::make_channel<int>(*size) : rn::make_channel<int>(rn::unbounded);
    support::crew crew;
    crew.go([in = std::move(requests.recv), out = std::move(responses.send)] {
      for (rn::detail::backoff wait;;) {
        const auto request = in.try_recv();
        if (request) {
          out.send(*request * 2);
        } else if (request.status() == rn::status::closed) {
          return;
        } else {
          wait.pause();
        }
      }
    });
    int sum = 0;
    for (int i = 0; i < 500; ++i) {
      requests.send.send(i);
      sum += *responses.recv.recv();
    }
    requests.send = nullptr;
    CHECK(sum == 499 * 500);
    CHECK(responses.recv.recv().status() == rn::status::closed);
  }
}

TEST_CASE("C22 the prime sieve: a chain of filters that grows as it goes, and is torn down by cancel") {
  for (const std::size_t capacity : {0U, 1U, 8U}) {
    CAPTURE(capacity);
    std::vector<int> primes;
    {
      rn::errgroup sieve;
      auto numbers = rn::make_channel<int>(capacity);
      sieve.go([out = std::move(numbers.send)](const rn::context& ctx) {
        for (int i = 2; out.send(ctx, i); ++i) {
        }
      });
      rn::recv_channel<int> source = std::move(numbers.recv);
      while (primes.size() < 25) {
        const int prime = *source.recv();
        primes.push_back(prime);
        auto filtered = rn::make_channel<int>(capacity);
        sieve.go([in = std::move(source), out = std::move(filtered.send), prime](const rn::context& ctx) {
          while (const auto value = in.recv(ctx))
            if (*value % prime != 0 && !out.send(ctx, *value)) return;
        });
        source = std::move(filtered.recv);
      }
      sieve.cancel();
      CHECK(sieve.wait_result() == nullptr);
    }
    CHECK(primes ==
          std::vector<int>{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97});
  }
}

}  // namespace channel_programs_test
