// Section 1 of the behaviours, programs of many tasks that are wired with channels, over threads and coroutines.
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
#include "parties.hpp"
#include "support.hpp"

namespace channel_programs_test {

namespace rn = runnel;
using support::party;

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
  const auto how = GENERATE(values(support::mixes));
  const int items = support::shared(how, support::scaled(271'828, 20'000));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto questions = support::make<int>(size);
    const auto answers = support::make<int>(size);
    support::parties parties(how);
    support::parties workers(how);
    for (int w = 0; w < 23; ++w)
      workers.go([&](party me) -> rn::task<> {
        support::values_of all(me, questions);
        while (const auto value = co_await all.next()) co_await me.send(answers, *value % 3 == 0 ? *value : 1);
      });
    parties.go([&](party me) -> rn::task<> {
      for (int i = 0; i < items; ++i) co_await me.send(questions, i);
      questions.close();
      workers.join();
      answers.close();
    });
    std::int64_t sum = 0;
    int count = 0;
    parties.run([&](party me) -> rn::task<> {
      support::values_of all(me, answers);
      while (const auto value = co_await all.next()) {
        sum += *value;
        ++count;
      }
    });
    parties.join();
    std::int64_t expected = 0;
    for (int i = 0; i < items; ++i) expected += i % 3 == 0 ? i : 1;
    CHECK(count == items);
    CHECK(sum == expected);
  }
}

TEST_CASE("C11 a value on the stack of a sender that waits arrives whole, and the stack is the sender's again afterwards") {
  const auto how = GENERATE(values(support::mixes));
  for (const std::size_t capacity : {0U, 1U}) {
    CAPTURE(support::name_of(how), capacity);
    const rn::channel<std::array<int, 8>> ch(capacity);
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      for (int i = 0; i < 10; ++i) {
        std::array<int, 8> value{};
        value.fill(i);
        co_await me.send(ch, value);
        value.fill(deep(200));
      }
      ch.close();
    });
    int next = 0;
    int wrong = 0;
    parties.run([&](party me) -> rn::task<> {
      support::values_of all(me, ch);
      while (const auto value = co_await all.next()) {
        if (next + 1 + static_cast<int>(capacity) < 10) support::wait_until_sending(ch);
        for (const int word : *value) wrong += word == next ? 0 : 1;
        ++next;
      }
    });
    parties.join();
    CHECK(wrong == 0);
    CHECK(next == 10);
  }
}

TEST_CASE("C13 a value that a task built and sent as its last act is whole after the task has gone") {
  const auto how = GENERATE(values(support::mixes));
  struct report {
    std::vector<int> numbers;
    std::unique_ptr<int> sum;
  };
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    auto ends = size ? rn::make_channel<report>(*size) : rn::make_channel<report>(rn::unbounded);
    support::parties parties(how);
    for (int i = 0; i < 30; ++i)
      parties.go([out = ends.send, i](party me) -> rn::task<> {
        report r{std::vector<int>(static_cast<std::size_t>(i), i), nullptr};
        r.sum = std::make_unique<int>(i * i);
        co_await me.send(out, std::move(r));
      });
    ends.send = nullptr;
    int total = 0;
    int wrong = 0;
    parties.run([&](party me) -> rn::task<> {
      support::values_of all(me, ends.recv);
      while (const auto r = co_await all.next()) {
        if (std::accumulate(r->numbers.begin(), r->numbers.end(), 0) != *r->sum) ++wrong;
        ++total;
      }
    });
    parties.join();
    CHECK(wrong == 0);
    CHECK(total == 30);
  }
}

TEST_CASE("C17 one value ripples through a chain of tasks") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto leftmost = support::make<int>(size);
    support::parties parties(how);
    rn::channel<int> left = leftmost;
    const int links = how == support::mix::coroutines ? 2'000 : 64;
    for (int i = 0; i < links; ++i) {
      const auto right = support::make<int>(size);
      parties.go([left, right](party me) -> rn::task<> {
        const auto value = co_await me.recv(right);
        co_await me.send(left, *value + 1);
      });
      left = right;
    }
    left.send(1);
    CHECK(*leftmost.recv() == links + 1);
    parties.join();
  }
}

TEST_CASE("C21 a channel that is received from a channel of channels is the sender's own") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto requests = support::make<rn::channel<int>>(size);
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      support::values_of all(me, requests);
      while (const auto reply = co_await all.next()) {
        co_await me.send(*reply, 7);
        reply->close();
      }
    });
    int right = 0;
    parties.run([&](party me) -> rn::task<> {
      for (int i = 0; i < 10; ++i) {
        const rn::channel<int> reply;
        co_await me.send(requests, reply);
        const auto seven = co_await me.recv(reply);
        const auto end = co_await me.recv(reply);
        if (seven && *seven == 7 && end.status() == rn::status::closed) ++right;
      }
    });
    requests.close();
    parties.join();
    CHECK(right == 10);
  }
}

TEST_CASE("C43 a thousand channels, each delivered through the one before it") {
  const auto how = GENERATE(values(support::mixes));
  struct next {
    rn::recv_channel<next> through;
  };
  for (const std::size_t capacity : {0U, 1U, 2U}) {
    CAPTURE(support::name_of(how), capacity);
    auto first = rn::make_channel<next>(capacity);
    support::parties parties(how);
    parties.go([out = std::move(first.send), capacity](party me) mutable -> rn::task<> {
      for (int i = 0; i < 1'000; ++i) {
        auto ends = rn::make_channel<next>(capacity);
        next hop{std::move(ends.recv)};
        co_await me.send(out, std::move(hop));
        out = std::move(ends.send);
      }
    });
    int hops = 0;
    parties.run([&](party me) -> rn::task<> {
      for (rn::recv_channel<next> in = std::move(first.recv);; ++hops) {
        auto received = co_await me.recv(in);
        if (!received) break;
        in = std::move(received->through);
      }
    });
    parties.join();
    CHECK(hops == 1'000);
  }
}

TEST_CASE("C38 requests and responses over two channels, taken by trying, until the channels end") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    auto requests = size ? rn::make_channel<int>(*size) : rn::make_channel<int>(rn::unbounded);
    auto responses = size ? rn::make_channel<int>(*size) : rn::make_channel<int>(rn::unbounded);
    support::parties parties(how);
    parties.go([in = std::move(requests.recv), out = std::move(responses.send)](party me) -> rn::task<> {
      for (rn::detail::backoff wait;;) {
        const auto request = in.try_recv();
        if (request) {
          co_await me.send(out, *request * 2);
        } else if (request.status() == rn::status::closed) {
          co_return;
        } else {
          co_await me.pause(wait);
        }
      }
    });
    int sum = 0;
    parties.run([&](party me) -> rn::task<> {
      for (int i = 0; i < 500; ++i) {
        co_await me.send(requests.send, i);
        sum += *co_await me.recv(responses.recv);
      }
    });
    requests.send = nullptr;
    CHECK(sum == 499 * 500);
    CHECK(responses.recv.recv().status() == rn::status::closed);
  }
}

TEST_CASE("C22 the prime sieve: a chain of filters that grows as it goes, and is torn down by cancel") {
  const auto how = GENERATE(values(support::mixes));
  for (const std::size_t capacity : {0U, 1U, 8U}) {
    CAPTURE(support::name_of(how), capacity);
    std::vector<int> primes;
    {
      // Tasks of a group as they are: functions, coroutines, or each in its turn.
      rn::errgroup sieve;
      unsigned turn = 0;
      const auto start = [&](auto filter) {
        if (support::blocks_at(how, turn++))
          sieve.go([filter](const rn::context& ctx) { rn::sync_wait(filter(party(true), ctx)); });
        else
          sieve.go([filter](const rn::context& ctx) { return filter(party(false), ctx); });
      };
      auto numbers = rn::make_channel<int>(capacity);
      start([out = std::move(numbers.send)](party me, rn::context ctx) -> rn::task<> {
        for (int i = 2; co_await me.send(ctx, out, i); ++i) {
        }
      });
      rn::recv_channel<int> source = std::move(numbers.recv);
      while (primes.size() < 25) {
        const int prime = *source.recv();
        primes.push_back(prime);
        auto filtered = rn::make_channel<int>(capacity);
        start([in = std::move(source), out = std::move(filtered.send), prime](party me, rn::context ctx) -> rn::task<> {
          while (const auto value = co_await me.recv(ctx, in)) {
            if (*value % prime == 0) continue;
            const auto sent = co_await me.send(ctx, out, *value);
            if (!sent) break;
          }
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
