// selector: cases known at run time, kept between the waits.
#include <runnel/context.hpp>
#include <runnel/go.hpp>
#include <runnel/select.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace selector_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

rn::channel<int> holding(int value) {
  const rn::channel<int> ch(1);
  ch.send(value);
  return ch;
}

/// Throws in place of a copy if it is told to.
struct throwing_copy {
  throwing_copy() = default;
  throwing_copy(const throwing_copy& other) : armed(other.armed) {
    if (armed) throw std::runtime_error("copy");
  }
  throwing_copy(throwing_copy&&) noexcept = default;
  throwing_copy& operator=(const throwing_copy&) = delete;
  throwing_copy& operator=(throwing_copy&&) = delete;
  ~throwing_copy() = default;

  bool armed = false;
};

template <class Case>
concept can_be_added = requires(rn::selector& s, Case c) { s.add(std::move(c)); };

}  // namespace

TEST_CASE("a selector waits for the cases that it has, and answers their ids") {
  rn::selector cases;
  CHECK(cases.size() == 0);
  CHECK(cases.wait() == rn::select_none);
  std::vector<rn::channel<int>> channels;
  std::vector<std::size_t> ids;
  std::vector<int> got;
  for (int i = 0; i < 20; ++i) {
    channels.emplace_back(1);
    ids.push_back(cases.add(rn::on_recv(channels.back(), [&got, i](int v) { got.push_back(100 * i + v); })));
  }
  CHECK(cases.size() == 20);
  for (const std::size_t i : {3U, 19U, 0U, 3U}) {
    channels[i].send(static_cast<int>(i));
    CHECK(cases.wait() == ids[i]);
  }
  CHECK(got == std::vector<int>{303, 1919, 0, 303});

  support::crew threads;
  threads.go([&] {
    support::wait_until_receiving(channels[7]);
    channels[7].send(1);
  });
  CHECK(cases.wait() == ids[7]);
  threads.join();
  for (const auto& ch : channels) CHECK(support::receiving(ch) == 0);
}

TEST_CASE("a removed case is gone, and its id is not used again") {
  rn::selector cases;
  const auto ch = holding(1);
  const std::size_t first = cases.add(rn::on_recv(ch));
  const std::size_t second = cases.add(rn::otherwise());
  CHECK(cases.remove(first));
  CHECK_FALSE(cases.remove(first));
  CHECK_FALSE(cases.remove(first + 1000));
  CHECK(cases.wait() == second);
  CHECK(cases.remove(second));
  CHECK(cases.size() == 0);
  const std::size_t third = cases.add(rn::on_recv(ch));
  CHECK(third != first);
  CHECK(third != second);
  CHECK(cases.wait() == third);
}

TEST_CASE("a selector keeps handles, contexts, futures and handlers; slots stay outside") {
  rn::selector cases(rn::biased);
  std::optional<std::string> slot;
  auto ends = rn::make_channel<std::string>(2);
  const std::size_t id = cases.add(rn::on_recv(std::exchange(ends.recv, nullptr), slot));
  REQUIRE(ends.send.try_send("kept"));
  CHECK(cases.wait() == id);
  CHECK(slot == "kept");
  cases.remove(id);
  CHECK(ends.send.closed());

  rn::recv_channel<int> in;
  {
    const auto pair = rn::make_channel<int>(1);
    in = pair.recv;
    cases.add(rn::on_send(pair.send, 5));
  }
  CHECK_FALSE(in.closed());
  cases.wait();
  CHECK(*in.recv() == 5);
  CHECK(in.drained());

  int calls = 0;
  {
    const auto handler = [&calls, owned = std::make_shared<int>(3)] { calls += *owned; };
    rn::scoped_context ctx = rn::with_cancel(rn::context::background());
    cases.add(rn::on_done(ctx, handler));
  }
  cases.wait();
  CHECK(calls == 3);

  rn::selector futures;
  support::gate go_on;
  {
    const rn::future<void> answer = rn::async([&] { go_on.wait(); });
    futures.add(rn::on_ready(answer, [&] { ++calls; }));
  }
  CHECK(futures.try_wait().status() == rn::status::would_block);
  go_on.open();
  futures.wait();
  CHECK(calls == 4);
}

TEST_CASE("a selector refuses a temporary scoped_context, which ends at the semicolon; select does not") {
  const rn::context ctx;
  const rn::scoped_context scope = rn::with_cancel(ctx);
  STATIC_REQUIRE(can_be_added<decltype(rn::on_done(ctx))>);
  STATIC_REQUIRE(can_be_added<decltype(rn::on_done(rn::context()))>);
  STATIC_REQUIRE(can_be_added<decltype(rn::on_done(scope, [] {}))>);
  STATIC_REQUIRE(can_be_added<decltype(rn::when(true, rn::on_done(scope)))>);
  STATIC_REQUIRE_FALSE(can_be_added<decltype(rn::on_done(rn::with_timeout(ctx, 1h)))>);
  STATIC_REQUIRE_FALSE(can_be_added<decltype(rn::on_done(rn::with_timeout(ctx, 1h), [] {}))>);
  STATIC_REQUIRE_FALSE(can_be_added<decltype(rn::when(true, rn::on_done(rn::with_cancel(ctx))))>);
  CHECK(rn::select(rn::on_done(rn::with_timeout(ctx, 1ms)), rn::on_recv(rn::channel<int>())) == 0);
}

TEST_CASE("on_send: an lvalue is read at each wait, an rvalue is sent once and its case is gone") {
  rn::selector cases;
  const rn::channel<int> ch(1);
  int next = 1;
  const std::size_t again = cases.add(rn::on_send(ch, next, [&] { next *= 2; }));
  for (const int expected : {1, 2, 4, 8}) {
    CHECK(cases.wait() == again);
    CHECK(*ch.recv() == expected);
  }
  CHECK(cases.remove(again));

  const rn::channel<std::unique_ptr<int>> pointers(1);
  auto value = std::make_unique<int>(7);
  int sent = 0;
  const std::size_t once = cases.add(rn::on_send(pointers, std::move(value), [&] { ++sent; }));
  const std::size_t off = cases.add(rn::when(false, rn::on_send(pointers, std::make_unique<int>(8))));
  CHECK(cases.size() == 2);
  CHECK(cases.wait() == once);
  CHECK(sent == 1);
  CHECK(cases.size() == 1);
  CHECK_FALSE(cases.remove(once));
  CHECK(**pointers.recv() == 7);
  CHECK(cases.wait() == rn::select_none);
  CHECK(cases.remove(off));

  const std::size_t on = cases.add(rn::when(true, rn::on_send(pointers, std::make_unique<int>(9))));
  CHECK(cases.wait() == on);
  CHECK(cases.size() == 0);
  pointers.close();
  cases.add(rn::on_send(pointers, nullptr));
  CHECK_THROWS_AS(cases.wait(), rn::channel_closed);
  CHECK(cases.size() == 0);
}

TEST_CASE("on_send: an lvalue of another type is converted at each wait") {
  const rn::channel<long> ch(1);
  rn::selector cases;
  int next = 1;
  const std::size_t again = cases.add(rn::when(true, rn::on_send(ch, next, [&] { next *= 2; })));
  for (const long expected : {1, 2, 4}) {
    CHECK(cases.wait() == again);
    CHECK(*ch.recv() == expected);
  }
  CHECK(cases.size() == 1);

  const rn::channel<std::string> texts(1);
  const std::string before = "a text that is too long for the small string optimization";
  const char* word = before.c_str();
  rn::selector words;
  words.add(rn::on_send(texts, word));
  words.wait();
  CHECK(*texts.recv() == before);
  word = "after";
  words.wait();
  CHECK(*texts.recv() == "after");
  CHECK(rn::select(rn::on_send(texts, word), rn::on_timeout(1h)) == 0);
  CHECK(rn::try_select(rn::on_send(texts, word)) == rn::select_none);
  CHECK(rn::select(rn::on_send(texts, word), rn::on_timeout(1ms)) == 1);
  CHECK(*texts.recv() == "after");
  struct derived : std::string {};
  const derived part;
  words.add(rn::on_send(texts, part));
  CHECK(words.size() == 2);
}

TEST_CASE("on_send: a const temporary is copied into the selector, and sent once") {
  // NOLINTNEXTLINE(readability-const-return-type): that is what is tested
  const auto text = []() -> const std::string { return "a text that is too long for the small string optimization"; };
  const rn::channel<std::string> ch(2);
  rn::selector cases;
  cases.add(rn::on_send(ch, text()));
  CHECK(cases.wait() == 0);
  CHECK(*ch.recv() == text());
  CHECK(cases.size() == 0);
  CHECK(rn::select(rn::on_send(ch, text())) == 0);
  CHECK(rn::select(rn::on_send(ch, text()), rn::on_timeout(1h)) == 0);
  CHECK(*ch.recv() == text());
  CHECK(*ch.recv() == text());
}

TEST_CASE("add: where copying the handler fails, the value stays where it was") {
  struct fails {
    fails() = default;
    fails(const fails& /*other*/) { throw std::runtime_error("copy"); }
    void operator()() const {}
  };
  const rn::channel<std::unique_ptr<int>> ch(1);
  rn::selector cases;
  auto value = std::make_unique<int>(1);
  const fails f;
  CHECK_THROWS_WITH(cases.add(rn::on_send(ch, std::move(value), f)), "copy");
  CHECK_THROWS_WITH(cases.add(rn::when(true, rn::on_send(ch, std::move(value), f))), "copy");
  CHECK(value != nullptr);
  CHECK(cases.size() == 0);
}

TEST_CASE("what was not sent dies with the selector, what was received is not kept") {
  const auto before = support::counted::live();
  {
    const rn::channel<support::counted> full(1);
    const rn::channel<support::counted> in(2);
    full.send(support::counted(1));
    in.send(support::counted(2));
    rn::selector cases;
    cases.add(rn::on_send(full, support::counted(3)));
    cases.add(rn::on_recv(in));
    CHECK(support::counted::live() == before + 3);
    cases.wait();
    CHECK(support::counted::live() == before + 2);
  }
  CHECK(support::counted::live() == before);
}

TEST_CASE("the forms of wait: until a context is done, not at all, up to a time") {
  rn::selector cases;
  const rn::channel<int> ch(1);
  const std::size_t id = cases.add(rn::on_recv(ch));
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  CHECK(cases.try_wait().status() == rn::status::would_block);
  const auto before = rn::clock::now();
  CHECK(cases.try_wait_for(3ms).status() == rn::status::timed_out);
  CHECK(rn::clock::now() - before >= 3ms);
  CHECK(cases.try_wait_until(rn::clock::now() + 1ms).status() == rn::status::timed_out);
  CHECK(cases.try_wait_until(std::chrono::system_clock::now() - 1h).status() == rn::status::timed_out);
  CHECK(cases.try_wait_for(0s).status() == rn::status::timed_out);
  CHECK(cases.try_wait_for(rn::duration::min()).status() == rn::status::timed_out);
  CHECK(cases.wait(rn::with_timeout(ctx, 2ms)).status() == rn::status::timed_out);

  SECTION("a context that ends while it waits") {
    support::crew threads;
    threads.go([&] {
      support::wait_until_receiving(ch);
      ctx.cancel();
    });
    CHECK(cases.wait(ctx).status() == rn::status::canceled);
    threads.join();
    CHECK(support::receiving(ch) == 0);
  }
  SECTION("what is ready wins over what has ended") {
    ctx.cancel();
    CHECK(cases.wait(ctx).status() == rn::status::canceled);
    const auto ready = [&](auto form) {
      ch.send(1);
      const rn::result<std::size_t> chosen = form();
      CHECK(chosen.status() == rn::status::ok);
      CHECK(*chosen == id);
    };
    ready([&] { return cases.wait(ctx); });
    ready([&] { return cases.wait(rn::with_timeout(rn::context(), -1s)); });
    ready([&] { return cases.try_wait(); });
    ready([&] { return cases.try_wait_for(-1s); });
    ready([&] { return cases.try_wait_for(rn::duration::max()); });
    ready([&] { return cases.try_wait_until(rn::time_point::min()); });
    ready([&] { return cases.wait(rn::context::background()); });
  }
  SECTION("a value that comes while it waits") {
    const auto comes = [&](auto form) {
      support::crew threads;
      threads.go([&] {
        support::wait_until_receiving(ch);
        ch.send(1);
      });
      const rn::result<std::size_t> chosen = form();
      CHECK(chosen.status() == rn::status::ok);
      CHECK(*chosen == id);
    };
    comes([&] { return cases.wait(ctx); });
    comes([&] { return cases.try_wait_for(1h); });
    comes([&] { return cases.try_wait_until(std::chrono::system_clock::now() + 1h); });
  }
}

TEST_CASE("select_none is an answer, not a failure, in every form") {
  rn::selector cases;
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  const rn::channel<int> ch;
  cases.add(rn::on_recv(ch, [](int) {}));
  cases.add(rn::on_recv(rn::channel<int>(nullptr)));
  cases.add(rn::on_done(rn::context()));
  ch.close();
  const auto none = [](const rn::result<std::size_t>& r) { return r && *r == rn::select_none; };
  CHECK(cases.wait() == rn::select_none);
  CHECK(none(cases.wait(ctx)));
  CHECK(none(cases.try_wait()));
  CHECK(none(cases.try_wait_for(1h)));
  CHECK(none(cases.try_wait_until(rn::clock::now() + 1h)));
}

TEST_CASE("on_timeout counts from each wait, on_deadline does not") {
  rn::selector cases;
  const rn::channel<int> idle;
  cases.add(rn::on_recv(idle));
  const std::size_t pause = cases.add(rn::on_timeout(3ms));
  for (int i = 0; i < 3; ++i) {
    const auto before = rn::clock::now();
    CHECK(cases.wait() == pause);
    CHECK(rn::clock::now() - before >= 3ms);
  }
  const std::size_t past = cases.add(rn::on_deadline(rn::clock::now()));
  CHECK(cases.wait() == past);
  CHECK(*cases.try_wait() == past);
  CHECK(cases.remove(past));
  CHECK(cases.try_wait_for(1ms).status() == rn::status::timed_out);
  CHECK(*cases.try_wait_for(1h) == pause);
  CHECK(cases.try_wait().status() == rn::status::would_block);
  const std::size_t fallback = cases.add(rn::otherwise());
  CHECK(cases.wait() == fallback);
}

TEST_CASE("biased takes the case that was added first, else each has its share") {
  const auto a = rn::channel<int>();
  a.close();
  rn::selector in_order(rn::biased);
  const std::size_t first = in_order.add(rn::on_recv(a));
  in_order.add(rn::on_recv(a));
  for (int i = 0; i < 100; ++i) REQUIRE(in_order.wait() == first);

  rn::selector fair;
  std::array<int, 3> count{};
  for (auto& n : count) fair.add(rn::on_recv(a, [&n] { ++n; }));
  for (int i = 0; i < 3000; ++i) fair.wait();
  CHECK(*std::min_element(count.begin(), count.end()) >= 500);
}

TEST_CASE("handlers may add, remove and wait, and what they throw comes out") {
  rn::selector cases(rn::biased);
  const rn::channel<int> ch(4);
  std::string path;
  std::size_t self = 0;
  std::size_t inner = rn::select_none;
  SECTION("add another, remove itself") {
    self = cases.add(rn::on_recv(ch, [&, owned = std::make_shared<int>(1)](int v) {
      CHECK(cases.remove(self));
      inner = cases.add(rn::on_recv(ch, [&](int w) { path += std::to_string(w); }));
      path += std::to_string(v + *owned);  // what the handler owns lives until it returns
    }));
    ch.send(1);
    ch.send(7);
    CHECK(cases.wait() == self);
    CHECK(cases.size() == 1);
    CHECK(cases.wait() == inner);
    CHECK(path == "27");
  }
  SECTION("wait within a handler, also for its own case") {
    self = cases.add(rn::on_recv(ch, [&](int v) {
      path += std::to_string(v);
      if (v < 3) inner = cases.wait();
      path += std::to_string(v);
    }));
    for (int i = 1; i <= 3; ++i) ch.send(i);
    CHECK(cases.wait() == self);
    CHECK(inner == self);
    CHECK(path == "123321");
  }
  SECTION("a throw: the case has happened, and the selector goes on") {
    self = cases.add(rn::on_recv(ch, [&](int v) {
      if (v == 1) throw std::runtime_error("mine");
    }));
    ch.send(1);
    ch.send(2);
    CHECK_THROWS_WITH(cases.wait(), "mine");
    CHECK(ch.size() == 1);
    CHECK(cases.wait() == self);
  }
}

TEST_CASE("a copy or an operand that throws in wait: nothing has happened, the selector goes on") {
  rn::selector cases(rn::biased);
  const rn::channel<throwing_copy> ch(1);
  const auto ready = holding(1);
  throwing_copy value;
  cases.add(rn::on_recv(ready));
  const std::size_t send = cases.add(rn::on_send(ch, value));
  value.armed = true;
  CHECK_THROWS_WITH(cases.wait(), "copy");
  CHECK_THROWS_WITH(cases.try_wait(), "copy");
  CHECK(ready.size() == 1);
  value.armed = false;
  cases.wait();
  CHECK(cases.wait() == send);

  rn::selector futures;
  const std::size_t empty = futures.add(rn::on_ready(rn::future<int>()));
  CHECK_THROWS_AS(futures.wait(), std::logic_error);
  futures.remove(empty);
  CHECK(futures.wait() == rn::select_none);
}

TEST_CASE("while one thread waits, another that waits or changes the cases gets a logic_error") {
  rn::selector cases;
  const rn::channel<int> ch;
  const std::size_t id = cases.add(rn::on_recv(ch));
  std::size_t chosen = rn::select_none;
  support::crew threads;
  threads.go([&] { chosen = cases.wait(); });
  support::wait_until_receiving(ch);
  CHECK_THROWS_AS(cases.wait(), std::logic_error);
  CHECK_THROWS_AS(cases.try_wait(), std::logic_error);
  CHECK_THROWS_AS(cases.add(rn::otherwise()), std::logic_error);
  CHECK_THROWS_AS(cases.remove(id), std::logic_error);
  ch.send(1);
  threads.join();
  CHECK(chosen == id);
  CHECK(cases.size() == 1);
  CHECK(cases.remove(id));
}

}  // namespace selector_test
