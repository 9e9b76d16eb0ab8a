// timer.hpp: the interface, what stop and reset promise, what is freed when, and what tickers do about ticks that were missed.
#include <runnel/select.hpp>
#include <runnel/timer.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "failing_new.hpp"
#include "support.hpp"

namespace timer_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::read;
using support::wait_for;
using support::wait_until;

namespace {

std::size_t armed() { return rn::detail::timer_queue::instance().armed(); }
rn::time_point now() { return rn::clock::now(); }
void wait_until_time(rn::time_point at) {
  wait_until([at] { return now() >= at; });
}
/// Waits until the timer thread, which runs by now, has done all that was due, what it frees included: one thing after the other.
void wait_until_timers_rest() {
  struct probe final : rn::detail::timer_entry {
    probe() noexcept : timer_entry(&due) {}
    static void due(timer_entry& self) noexcept { static_cast<probe&>(self).reached.open(); }
    support::gate reached;
  } last;
  rn::detail::timer_queue::instance().arm(last, rn::time_point::min());
  last.reached.wait();
  rn::detail::timer_queue::instance().cancel(last);
}
/// Waits until a timer's value is on offer, without receiving it.
void wait_until_due(const rn::recv_channel<rn::time_point>& ch) { support::wait_until_sending(ch); }

using seconds_double = std::chrono::duration<double>;

template <class... Args>
concept makes_timer = requires(Args... args) { rn::timer(args...); };
static_assert(makes_timer<std::chrono::hours> && makes_timer<seconds_double> && makes_timer<rn::duration, void (*)()>);
static_assert(!makes_timer<int> && !makes_timer<rn::time_point> && !makes_timer<rn::duration, int>);
static_assert(!makes_timer<rn::duration, void (*)(int)>);
static_assert(!std::convertible_to<rn::duration, rn::timer> && !std::convertible_to<rn::duration, rn::ticker>);
static_assert(!std::move_constructible<rn::timer> && !std::is_move_assignable_v<rn::timer>);
static_assert(!std::move_constructible<rn::ticker> && !std::is_move_assignable_v<rn::ticker>);
static_assert(std::same_as<decltype(rn::after(1s)), rn::recv_channel<rn::time_point>>);
static_assert(std::same_as<decltype(std::declval<const rn::timer&>().channel()), rn::recv_channel<rn::time_point>>);
static_assert(std::same_as<decltype(std::declval<const rn::ticker&>().channel()), rn::recv_channel<rn::time_point>>);

}  // namespace

// after

TEST_CASE("after: one value, the time at which it was due, then closed") {
  const rn::time_point before = now();
  const auto ch = rn::after(3ms);
  const rn::time_point made = now();
  const auto due = ch.recv();
  REQUIRE(due);
  CHECK(*due >= before + 3ms);
  CHECK(*due <= made + 3ms);
  CHECK(now() >= *due);
  CHECK(ch.recv().status() == rn::status::closed);
  CHECK(ch.drained());
}

TEST_CASE("after: zero and below are due at once, without a timer") {
  const std::size_t armed_before = armed();
  for (const rn::duration d : {rn::duration::zero(), rn::duration(-1), rn::duration::min()}) {
    const rn::time_point before = now();
    const auto ch = rn::after(d);
    const auto due = ch.try_recv();
    REQUIRE(due);
    CHECK(*due >= before);
    CHECK(*due <= now());
    CHECK(ch.try_recv().status() == rn::status::closed);
  }
  CHECK(armed() == armed_before);
}

TEST_CASE("after: dropped unread it is gone at once, memory and all") {
  rn::after(1ns).recv();  // from here on there is a timer thread
  wait_until_timers_rest();
  SECTION("one handle each") {
    std::vector<rn::recv_channel<rn::time_point>> channels(1000);
    const std::int64_t blocks_before = allocations::live();
    for (auto& ch : channels) ch = rn::after(1h);
    CHECK(armed() == 1000);
    CHECK(allocations::live() > blocks_before);
    for (std::size_t i = 0; i < channels.size(); i += 2) channels[i] = nullptr;
    CHECK(armed() == 500);
    for (auto& ch : channels) ch = nullptr;
    CHECK(armed() == 0);
    CHECK(allocations::live() == blocks_before);
  }
  SECTION("the last of several handles") {
    const std::int64_t blocks_before = allocations::live();
    auto first = rn::after(1h);
    auto second = first;
    first = nullptr;
    CHECK(armed() == 1);
    CHECK(second.try_recv().status() == rn::status::would_block);
    second = nullptr;
    CHECK(armed() == 0);
    CHECK(allocations::live() == blocks_before);
  }
  SECTION("one that is never due") {
    const std::int64_t blocks_before = allocations::live();
    auto ch = rn::after(rn::duration::max());
    CHECK(armed() == 0);
    ch = nullptr;
    CHECK(allocations::live() == blocks_before);
  }
  SECTION("a limit on one wait of a select") {
    const rn::channel<int> ch(1);
    const std::int64_t blocks_before = allocations::live();
    for (int i = 0; i < 100; ++i) {
      ch.send(i);
      CHECK(rn::select(rn::on_recv(ch), rn::on_recv(rn::after(1h))) == 0);
    }
    CHECK(armed() == 0);
    CHECK(allocations::live() == blocks_before);
  }
  SECTION("one that was due and not received") {
    const std::int64_t blocks_before = allocations::live();
    {
      const auto ch = rn::after(1ns);
      wait_until([&] { return ch.size() == 1 && ch.closed(); });
    }
    wait_until([&] { return allocations::live() == blocks_before; });
  }
}

TEST_CASE("after: dropped while it falls due") {
  rn::after(1ns).recv();
  wait_until_timers_rest();
  const std::int64_t blocks_before = allocations::live();
  for (int i = 0; i < 2000; ++i) {
    const auto ch = rn::after(std::chrono::nanoseconds(1 + i * 37 % 20000));
    if (i % 3 == 0) wait_until_time(now() + std::chrono::nanoseconds(i * 53 % 30000));
  }
  CHECK(armed() == 0);
  wait_until([&] { return allocations::live() == blocks_before; });  // the timer thread may be freeing the last of them
}

// timer with a channel

TEST_CASE("timer: its states, and what stop and reset answer in each") {
  rn::timer t(1h);
  const auto ch = t.channel();
  SECTION("waiting") {
    CHECK(armed() == 1);
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK(t.stop());
    CHECK(armed() == 0);
    CHECK_FALSE(t.stop());
    CHECK_FALSE(t.reset(1h));
    CHECK(armed() == 1);
    CHECK(t.reset(2h));
    CHECK(armed() == 1);
    CHECK(t.stop());
  }
  SECTION("due, and not received: as if it had not been due") {
    CHECK(t.reset(1ns));
    wait_until_due(ch);
    CHECK(t.stop());
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK_FALSE(t.stop());
    t.reset(1ns);
    wait_until_due(ch);
    CHECK(t.reset(1h));
    CHECK(ch.try_recv().status() == rn::status::would_block);
  }
  SECTION("received") {
    t.reset(1ns);
    CHECK(ch.recv());
    CHECK_FALSE(t.stop());
    CHECK_FALSE(t.reset(1ns));
    CHECK(ch.recv());
    CHECK_FALSE(t.reset(1h));
  }
  SECTION("never due") {
    CHECK(t.reset(rn::duration::max()));
    CHECK(armed() == 0);
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK(t.reset(rn::duration::max()));
    CHECK(t.stop());
    CHECK_FALSE(t.stop());
  }
}

TEST_CASE("timer: the value is the time at which it was due, and waits for its receiver") {
  const rn::time_point before = now();
  rn::timer t(2ms);
  const rn::time_point made = now();
  const auto ch = t.channel();
  wait_until_due(ch);
  CHECK(ch.size() == 0);
  CHECK(ch.capacity() == 0);
  wait_until_time(made + 5ms);
  const auto due = ch.recv();
  REQUIRE(due);
  CHECK(*due >= before + 2ms);
  CHECK(*due <= made + 2ms);
  CHECK(ch.try_recv().status() == rn::status::would_block);
  CHECK_FALSE(ch.closed());
}

TEST_CASE("timer: after reset no value of the earlier setting is received") {
  rn::timer t(rn::duration::max());
  const auto ch = t.channel();
  for (int i = 0; i < 200; ++i) {
    t.reset(std::chrono::nanoseconds(i * 101 % 5000));
    if (i % 2 == 0) wait_until_due(ch);
    const rn::time_point before = now();
    t.reset(100us);
    const rn::time_point after = now();
    const auto due = ch.recv();
    REQUIRE(due);
    REQUIRE(*due >= before + 100us);
    REQUIRE(*due <= after + 100us);
  }
}

TEST_CASE("timer: zero and below are due at once") {
  for (const rn::duration d : {rn::duration::zero(), rn::duration(-1), rn::duration::min()}) {
    const rn::time_point before = now();
    rn::timer t(d);
    auto due = t.channel().try_recv();
    REQUIRE(due);
    CHECK(*due >= before);
    CHECK(*due <= now());
    CHECK_FALSE(t.reset(d));
    CHECK(t.stop());
    CHECK(t.channel().try_recv().status() == rn::status::would_block);
    t.reset(d);
    due = t.channel().try_recv();
    REQUIRE(due);
    CHECK(*due <= now());
  }
}

TEST_CASE("timer: destroying it stops it and closes its channel") {
  SECTION("nobody waits") {
    auto t = std::make_unique<rn::timer>(1h);
    const auto ch = t->channel();
    CHECK(armed() == 1);
    t.reset();
    CHECK(armed() == 0);
    CHECK(ch.drained());
    CHECK(ch.recv().status() == rn::status::closed);
  }
  SECTION("a receiver waits") {
    auto t = std::make_unique<rn::timer>(1h);
    const auto ch = t->channel();
    rn::status got = rn::status::ok;
    support::crew others;
    others.go([&] { got = ch.recv().status(); });
    support::wait_until_receiving(ch);
    t.reset();
    others.join();
    CHECK(got == rn::status::closed);
  }
  SECTION("its value is on offer") {
    auto t = std::make_unique<rn::timer>(1ns);
    const auto ch = t->channel();
    wait_until_due(ch);
    t.reset();
    CHECK(ch.recv().status() == rn::status::closed);
  }
  SECTION("its channel was never asked for") {
    const rn::timer due(1ns);
    const rn::timer waiting(1h);
  }
  CHECK(armed() == 0);
}

TEST_CASE("timer: stop says whether the value is received, whoever else is receiving") {
  int received = 0;
  int stopped = 0;
  for (int i = 0; i < 300; ++i) {
    auto t = std::make_unique<rn::timer>(std::chrono::nanoseconds(i * 97 % 40000));
    const auto ch = t->channel();
    bool got = false;
    support::crew others;
    others.go([&] { got = ch.recv().status() == rn::status::ok; });
    if (i % 2 == 0) wait_until_time(now() + std::chrono::nanoseconds(i * 131 % 60000));
    const bool was_stopped = t->stop();
    t.reset();
    others.join();
    REQUIRE(got != was_stopped);
    (got ? received : stopped) += 1;
  }
  CHECK(received + stopped == 300);
}

TEST_CASE("timer: stop and reset from several threads at once") {
  rn::timer t(1h);
  {
    support::crew others;
    for (int thread = 0; thread < 4; ++thread)
      others.go([&t, thread] {
        for (int i = 0; i < 300; ++i) {
          if ((i + thread) % 2 == 0)
            t.reset(std::chrono::nanoseconds(i % 7 * 1000));
          else
            t.stop();
          t.channel().try_recv();
        }
      });
    others.join();
  }
  t.stop();
  CHECK(armed() == 0);
  CHECK(t.channel().try_recv().status() == rn::status::would_block);
  t.reset(1ns);
  CHECK(t.channel().recv());
}

TEST_CASE("timer: its channel is a case of a select") {
  rn::timer t(1ms);
  const rn::channel<int> silent;
  std::optional<rn::time_point> due;
  CHECK(rn::select(rn::on_recv(silent), rn::on_recv(t.channel(), due)) == 1);
  REQUIRE(due);
  CHECK(now() >= *due);
}

// timer with a function

TEST_CASE("timer: a function runs once, elsewhere, and not early") {
  const rn::time_point before = now();
  rn::time_point ran_at;
  const void* ran_on = nullptr;
  counter runs{0};
  rn::timer t(2ms, [&] {
    ran_at = now();
    ran_on = rn::detail::this_thread_id();
    support::add(runs);
  });
  CHECK(t.channel() == rn::recv_channel<rn::time_point>(nullptr));
  wait_for(runs, 1);
  CHECK(ran_at >= before + 2ms);
  CHECK(ran_on != rn::detail::this_thread_id());
  CHECK_FALSE(t.stop());
  CHECK(armed() == 0);
}

TEST_CASE("timer: what stop and reset of a function answer") {
  counter runs{0};
  rn::timer t(1h, [&] { support::add(runs); });
  CHECK(t.stop());
  CHECK_FALSE(t.stop());
  CHECK(armed() == 0);
  CHECK_FALSE(t.reset(1h));
  CHECK(t.reset(0ns));
  wait_for(runs, 1);
  CHECK_FALSE(t.reset(1ns));
  wait_for(runs, 2);
  CHECK_FALSE(t.reset(rn::duration::max()));
  CHECK(armed() == 0);
  CHECK(t.stop());
  CHECK_FALSE(t.stop());
  CHECK(read(runs) == 2);
}

TEST_CASE("timer: a function may be move-only, and is destroyed with its timer") {
  const auto token = std::make_shared<int>(0);
  counter runs{0};
  {
    auto own = std::make_unique<int>(1);
    const rn::timer t(0ns, [&runs, token, own = std::move(own)] { support::add(runs, static_cast<std::uint32_t>(*own)); });
    wait_for(runs, 1);
    CHECK(token.use_count() == 2);
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("timer: its destructor waits for a function that runs") {
  support::gate started;
  support::gate go_on;
  counter ended{0};
  counter ended_first{0};
  auto t = std::make_unique<rn::timer>(0ns, [&] {
    started.open();
    go_on.wait();
    support::add(ended);
  });
  started.wait();
  CHECK_FALSE(t->stop());  // does not wait
  CHECK(read(ended) == 0);
  support::crew others;
  others.go([&] {
    t.reset();
    support::add(ended_first, read(ended));
  });
  go_on.open();
  others.join();
  CHECK(read(ended_first) == 1);
}

TEST_CASE("timer: a function may run beside an earlier run, and the destructor waits for both") {
  support::gate go_on;
  counter started{0};
  counter ended{0};
  {
    rn::timer t(0ns, [&] {
      support::add(started);
      go_on.wait();
      support::add(ended);
    });
    wait_for(started, 1);
    CHECK_FALSE(t.reset(1ns));
    wait_for(started, 2);
    go_on.open();
  }
  CHECK(read(ended) == 2);
}

TEST_CASE("timer: a function may destroy its timer") {
  counter ended{0};
  for (std::uint32_t i = 1; i <= 50; ++i) {
    std::unique_ptr<rn::timer> t;
    support::gate made;
    t = std::make_unique<rn::timer>(0ns, [&] {
      made.wait();
      t.reset();
      support::add(ended);
    });
    made.open();
    wait_for(ended, i);
    CHECK(t == nullptr);
  }
}

TEST_CASE("timer: one whose function starts it anew can be destroyed at any time") {
  for (const auto pause : {0ns, 1ns, 100000ns}) {
    for (int i = 0; i < 20; ++i) {
      counter runs{0};
      rn::timer* self = nullptr;
      support::gate made;
      auto t = std::make_unique<rn::timer>(0ns, [&] {
        made.wait();
        support::add(runs);
        self->reset(pause);
      });
      self = t.get();
      made.open();
      wait_until([&] { return read(runs) >= 3; });
      t.reset();
      const std::uint32_t at_end = read(runs);
      REQUIRE(armed() == 0);
      rn::after(200us).recv();
      REQUIRE(read(runs) == at_end);
    }
  }
}

// ticker

TEST_CASE("ticker: values are due times, a period apart") {
  const rn::time_point before = now();
  rn::ticker t(1ms, rn::missed::burst);
  const rn::time_point made = now();
  const auto ch = t.channel();
  const auto first = ch.recv();
  REQUIRE(first);
  CHECK(*first >= before + 1ms);
  CHECK(*first <= made + 1ms);
  for (int i = 1; i <= 10; ++i) {
    const auto due = ch.recv();
    REQUIRE(due);
    CHECK(*due == *first + i * 1ms);
    CHECK(now() >= *due);
  }
}

TEST_CASE("ticker: stop leaves the channel open, reset starts anew, destroying it closes") {
  std::optional<rn::ticker> t(std::in_place, 1ms);
  const auto ch = t->channel();
  CHECK(ch.recv());
  t->stop();
  CHECK(armed() == 0);
  CHECK(ch.try_recv_for(5ms).status() == rn::status::timed_out);
  CHECK_FALSE(ch.closed());
  t->stop();
  const rn::time_point before = now();
  t->reset(2ms);
  const auto due = ch.recv();
  REQUIRE(due);
  CHECK(*due >= before + 2ms);
  wait_until_due(ch);
  t->stop();
  CHECK(ch.try_recv().status() == rn::status::would_block);
  t->reset(1h);
  CHECK(armed() == 1);
  t.reset();
  CHECK(armed() == 0);
  CHECK(ch.recv().status() == rn::status::closed);
}

TEST_CASE("ticker: after reset no tick of the earlier period is received") {
  rn::ticker t(20us, rn::missed::burst);
  const auto ch = t.channel();
  for (int i = 0; i < 100; ++i) {
    t.reset(20us);
    for (int n = 0; n < i % 4; ++n) REQUIRE(ch.recv());
    if (i % 2 == 0) wait_until_due(ch);
    const rn::time_point before = now();
    t.reset(150us);
    const rn::time_point after = now();
    const auto due = ch.recv();
    REQUIRE(due);
    REQUIRE(*due >= before + 150us);
    REQUIRE(*due <= after + 150us);
    REQUIRE(*ch.recv() == *due + 150us);
  }
}

TEST_CASE("ticker: a period that is not above zero is refused, and changes nothing") {
  CHECK_THROWS_AS(rn::ticker(0ns), std::invalid_argument);
  CHECK_THROWS_AS(rn::ticker(-1h), std::invalid_argument);
  CHECK_THROWS_AS(rn::ticker(rn::duration::min()), std::invalid_argument);
  CHECK_THROWS_AS(rn::ticker(seconds_double(std::numeric_limits<double>::quiet_NaN())), std::invalid_argument);
  CHECK_THROWS_WITH(rn::ticker(0s), "runnel::ticker: a period of 0 ns; it must be above zero");
  rn::ticker t(1ms, rn::missed::burst);
  const auto ch = t.channel();
  const auto first = ch.recv();
  REQUIRE(first);
  CHECK_THROWS_AS(t.reset(0ns), std::invalid_argument);
  CHECK_THROWS_AS(t.reset(rn::duration::min()), std::invalid_argument);
  CHECK_THROWS_WITH(t.reset(-5ns), "runnel::ticker::reset: a period of -5 ns; it must be above zero");
  CHECK(*ch.recv() == *first + 1ms);
  t.stop();
  CHECK_THROWS_AS(t.reset(0ns), std::invalid_argument);
  CHECK(armed() == 0);
}

TEST_CASE("ticker: missed::skip leaves out what was missed and keeps the grid") {
  rn::ticker t(500us);
  const auto ch = t.channel();
  rn::time_point previous = *ch.recv();
  for (int i = 0; i < 5; ++i) {
    wait_until_due(ch);
    wait_until_time(now() + 2ms);
    const rn::time_point before = now();
    const rn::time_point late = *ch.recv();
    const rn::time_point after = now();
    CHECK(late < before);
    CHECK(late > previous);
    const rn::time_point next = *ch.recv();
    CHECK(next > before);
    CHECK(next - 500us <= after);
    CHECK((next - late) % 500us == 0ns);
    CHECK((late - previous) % 500us == 0ns);
    previous = next;
  }
}

TEST_CASE("ticker: missed::burst leaves none out") {
  rn::ticker t(500us, rn::missed::burst);
  const auto ch = t.channel();
  const rn::time_point first = *ch.recv();
  wait_until_time(first + 10ms);
  const rn::time_point before = now();
  int late = 0;
  for (int i = 1; i <= 25; ++i) {
    const rn::time_point due = *ch.recv();
    CHECK(due == first + i * 500us);
    if (due <= before) ++late;
  }
  CHECK(late >= 20);
}

TEST_CASE("ticker: missed::delay counts the period from when the late one was received") {
  rn::ticker t(500us, rn::missed::delay);
  const auto ch = t.channel();
  ch.recv();
  for (int i = 0; i < 5; ++i) {
    wait_until_due(ch);
    wait_until_time(now() + 1500us);  // later than the tick after it
    const rn::time_point before = now();
    const rn::time_point late = *ch.recv();
    const rn::time_point after = now();
    const rn::time_point next = *ch.recv();
    CHECK(late + 500us < before);
    CHECK(next >= before + 500us);
    CHECK(next <= after + 500us);
  }
}

TEST_CASE("ticker: several receivers get each tick once") {
  std::vector<std::vector<rn::time_point>> got(3);
  auto t = std::make_unique<rn::ticker>(50us, rn::missed::burst);
  const auto ch = t->channel();
  counter received{0};
  support::crew others;
  for (auto& mine : got)
    others.go([&] {
      for (const rn::time_point due : ch) {
        mine.push_back(due);
        support::add(received);
      }
    });
  wait_until([&] { return read(received) >= 100; });
  t.reset();
  others.join();
  std::vector<rn::time_point> all;
  for (const auto& mine : got) {
    CHECK(std::ranges::is_sorted(mine));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::ranges::sort(all);
  CHECK(all.size() >= 100);
  for (std::size_t i = 1; i < all.size(); ++i) REQUIRE(all[i] == all[0] + static_cast<int>(i) * 50us);
}

TEST_CASE("one for a time that saturates waits for ever, and stop says that it was still to come") {
  rn::timer far(rn::duration::max() - 1ns);
  CHECK(far.channel().try_recv().status() == rn::status::would_block);
  CHECK(far.stop());
  CHECK_FALSE(far.stop());
  rn::timer function(rn::duration::max() - 1ns, [] {});
  CHECK(function.stop());
  CHECK_FALSE(function.stop());
  CHECK_FALSE(function.reset(rn::duration::max() - 1ns));
  CHECK(function.reset(rn::duration::max()));
  CHECK(function.stop());
}

TEST_CASE("zero is due before the constructor, or reset, returns") {
  rn::timer t(0s);
  CHECK(t.channel().try_recv());
  t.reset(0s);
  CHECK(t.channel().try_recv());
}

// A run used to keep the function alive after ~timer had returned, and so whatever f holds.
TEST_CASE("a function that has run is destroyed before its timer's destructor returns") {
  for (int round = 0; round < 300; ++round) {
    const auto held = std::make_shared<int>(0);
    counter ran{0};
    {
      rn::timer t(0s, [held, &ran] { support::add(ran); });
      wait_for(ran, 1);
    }
    REQUIRE(held.use_count() == 1);
  }
}

}  // namespace timer_test
