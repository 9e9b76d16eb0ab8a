// Timers, tickers, after and every timed operation, as the suites of Go and crossbeam-channel ask for.
//
// There is no virtual clock here, and a loaded machine may be late by any amount: nothing is ever early, values are the times
// at which they were due, which are exact, and order is that of these times. Waits of channels, select and sleep are those of threads and
// of coroutines.
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>
#include <runnel/select.hpp>
#include <runnel/timer.hpp>
#include <runnel/wait_group.hpp>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace timer_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;
using support::wait_for;
using support::wait_until;

namespace {

std::size_t armed() { return rn::detail::timer_queue::instance().armed(); }
rn::time_point now() { return rn::clock::now(); }

}  // namespace

// Sleeping, after, and the order of both

TEST_CASE("T01 a sleep and an after are never early") {
  const auto how = GENERATE(values(support::pure));
  for (const rn::duration d : {rn::duration(1), rn::duration(1us), rn::duration(100us), rn::duration(3ms)}) {
    CAPTURE(support::name_of(how), d.count());
    rn::duration slept[3] = {};
    rn::status end = rn::status::would_block;
    rn::time_point third;
    std::optional<rn::time_point> due;
    rn::time_point received;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const rn::context live;
      const rn::time_point before = now();
      co_await me.sleep_for(d);
      slept[0] = now() - before;
      const rn::time_point again = now();
      co_await me.sleep_until(again + d);
      slept[1] = now() - again;
      end = (co_await me.sleep_for(live, d)).status();
      slept[2] = now() - again;
      third = now();
      due = (co_await me.recv(rn::after(d))).to_optional();
      received = now();
    });
    CHECK(slept[0] >= d);
    CHECK(slept[1] >= d);
    CHECK(slept[2] >= d + d);
    CHECK(end == rn::status::ok);
    REQUIRE(due);
    CHECK(*due >= third + d);
    CHECK(received >= *due);
  }
}

TEST_CASE("T01 several that are due at different times come in the order of these times") {
  constexpr std::size_t size = 10;
  const std::size_t slots[size] = {5, 3, 6, 6, 6, 1, 1, 2, 7, 9};
  std::vector<rn::recv_channel<rn::time_point>> chain;
  std::vector<rn::time_point> firing;
  for (const std::size_t slot : slots) chain.push_back(rn::after(slot * 100us));
  for (const auto& ch : chain) firing.push_back(*ch.recv());
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t k = i + 1; k < size; ++k)
      if (slots[i] <= slots[k]) CHECK(firing[i] <= firing[k]);
}

TEST_CASE("T02 a timer with a function arms itself ten times") {
  for (const rn::duration d : {rn::duration(0), rn::duration(1), rn::duration(300us)}) {
    std::vector<rn::time_point> runs;
    support::gate done;
    support::gate made;
    std::optional<rn::timer> t;
    const rn::time_point before = now();
    t.emplace(d, [&] {
      made.wait();
      runs.push_back(now());
      if (runs.size() == 10)
        done.open();
      else
        t->reset(d);
    });
    made.open();
    done.wait();
    t.reset();
    REQUIRE(runs.size() == 10);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      CHECK(runs[i] >= before + static_cast<int>(i + 1) * d);
      CHECK(runs[i] >= (i == 0 ? before : runs[i - 1]) + d);
    }
  }
}

TEST_CASE("T03 ten afters one after another take ten times as long") {
  const rn::time_point before = now();
  rn::time_point previous = before;
  for (int i = 0; i < 10; ++i) {
    const auto due = rn::after(500us).recv();
    REQUIRE(due);
    CHECK(*due >= previous + 500us);
    previous = *due;
  }
  CHECK(now() >= before + 5ms);
}

// Tickers

TEST_CASE("T04 a ticker ticks each period, each double period after a reset, and not after stop") {
  const auto policy = GENERATE(rn::missed::skip, rn::missed::burst);
  constexpr auto delta = 200us;
  const rn::time_point before = now();
  rn::ticker t(delta, policy);
  const auto ch = t.channel();
  const auto check_ticks = [&](rn::time_point start, rn::duration period) {
    rn::time_point previous = *ch.recv();
    CHECK(previous >= start + period);
    for (int i = 1; i < 10; ++i) {
      const rn::time_point due = *ch.recv();
      CHECK(now() >= due);
      if (policy == rn::missed::burst) CHECK(due == previous + period);
      CHECK(due >= previous + period);
      CHECK((due - previous) % period == 0ns);
      previous = due;
    }
  };
  check_ticks(before, delta);
  const rn::time_point again = now();
  t.reset(2 * delta);
  check_ticks(again, 2 * delta);
  t.stop();
  const rn::time_point stopped = now();
  CHECK(ch.try_recv_until(stopped + 10 * delta).status() == rn::status::timed_out);
  CHECK_FALSE(ch.closed());
}

TEST_CASE("T15 tickers come and go, also as an exception passes, and no lock stays held") {
  for (int i = 0; i < 3; ++i) {
    rn::ticker t(50us);
    CHECK(t.channel().recv());
    t.stop();
  }
  for (int i = 0; i < 20; ++i) {
    rn::recv_channel<rn::time_point> ticks;
    rn::recv_channel<rn::time_point> one;
    const auto take_a_period_of_zero = [&] {
      rn::ticker t(20us);
      rn::timer single(1h);
      counter runs{0};
      const rn::timer function(1ns, [&] { support::add(runs); });
      ticks = t.channel();
      one = single.channel();
      CHECK(ticks.recv());
      t.reset(0ns);
    };
    REQUIRE_THROWS_AS(take_a_period_of_zero(), std::invalid_argument);
    CHECK(ticks.recv().status() == rn::status::closed);
    CHECK(one.recv().status() == rn::status::closed);
  }
  rn::ticker t(20us);
  CHECK_THROWS_AS(t.reset(-1ns), std::invalid_argument);
  t.stop();
  t.reset(20us);
  CHECK(t.channel().recv());
  t.stop();
  CHECK(armed() == 0);
}

TEST_CASE("T15 a ticker of one nanosecond, and one of the longest period") {
  rn::ticker endless(rn::duration::max());
  rn::ticker nearly(rn::duration::max() - 1ns);
  for (const auto policy : {rn::missed::skip, rn::missed::burst, rn::missed::delay}) {
    rn::ticker fast(1ns, policy);
    rn::time_point previous = *fast.channel().recv();
    for (int i = 0; i < 200; ++i) {
      const rn::time_point due = *fast.channel().recv();
      REQUIRE(due >= previous + 1ns);
      REQUIRE(now() >= due);
      previous = due;
    }
  }
  CHECK(endless.channel().try_recv().status() == rn::status::would_block);
  CHECK(nearly.channel().try_recv().status() == rn::status::would_block);
  endless.reset(1us);
  nearly.reset(1us);
  CHECK(endless.channel().recv());
  CHECK(nearly.channel().recv());
}

TEST_CASE("T15 afters by the thousand, dropped and received") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  counter received{0};
  support::parties others(how);
  for (int n = 0; n < 3; ++n)
    others.go([&](party me) -> rn::task<> {
      for (int i = 0; i < 500; ++i) {
        static_cast<void>(rn::after(1h));
        const auto brief = rn::after(std::chrono::nanoseconds(i));
        if (i % 2 != 0) continue;
        const auto due = co_await me.recv(brief);
        if (due) support::add(received);
      }
    });
  others.join();
  CHECK(read(received) == 3 * 250);
  CHECK(armed() == 0);
}

TEST_CASE("T14 errors of the program are refused") {
  CHECK_THROWS_AS(rn::ticker(0ns), std::invalid_argument);
  CHECK_THROWS_AS(rn::ticker(-1ns), std::invalid_argument);
  CHECK_THROWS_AS(rn::ticker(std::chrono::duration<double>(-1e300)), std::invalid_argument);
  CHECK_THROWS_AS(rn::ticker(0ns), std::logic_error);  // std::invalid_argument is one
  rn::ticker t(1h);
  CHECK_THROWS_AS(t.reset(0ns), std::invalid_argument);
  CHECK_THROWS_AS(t.reset(-1ns), std::invalid_argument);
  CHECK(armed() == 1);                                               // ticks on as before
  STATIC_REQUIRE_FALSE(std::is_default_constructible_v<rn::timer>);  // no timer or ticker without a setting exists
  STATIC_REQUIRE_FALSE(std::is_default_constructible_v<rn::ticker>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<rn::timer>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<rn::ticker>);
}

// Stopping

TEST_CASE("T06 a timer that is stopped never fires, and a second stop is false") {
  counter runs{0};
  std::optional<rn::timer> function(std::in_place, 2ms, [&] { support::add(runs); });
  rn::timer value(2ms);
  const rn::time_point made = now();
  const bool function_stopped = function->stop();
  const bool value_stopped = value.stop();
  CHECK_FALSE(function->stop());
  CHECK_FALSE(value.stop());
  CHECK(value.channel().try_recv_until(made + 5ms).status() == rn::status::timed_out);
  function.reset();
  CHECK(read(runs) == (function_stopped ? 0 : 1));
  CHECK(value_stopped);  // late or not, nobody received it
}

TEST_CASE("T06 a timer that has fired is not stopped") {
  counter runs{0};
  rn::timer function(0ns, [&] { support::add(runs); });
  wait_for(runs, 1);
  CHECK_FALSE(function.stop());
  rn::timer value(1ns);
  CHECK(value.channel().recv());
  CHECK_FALSE(value.stop());
}

TEST_CASE("T11 sleeping for nothing beside timers that are stopped ends") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  support::parties others(how);
  others.go([] {
    for (int i = 0; i < 100; ++i) {
      const rn::timer t(1us, [] {});
    }
  });
  int slept = 0;
  for (int i = 0; i < 100; ++i) {
    const rn::channel<int> ch;
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> { co_await me.send(ch, 1); });
    parties.run([&](party me) -> rn::task<> {
      const rn::context live;
      co_await me.sleep_for(0ns);
      co_await me.sleep_for(-1ns);
      const auto end = co_await me.sleep_for(live, 0ns);
      if (end) ++slept;
      co_await me.recv(ch);
    });
    parties.join();
  }
  CHECK(slept == 100);
}

// after as a channel

TEST_CASE("T16 after: a channel of one value and then closed, in every form of receive") {
  SECTION("state table") {
    const rn::time_point before = now();
    const auto ch = rn::after(1ms);
    CHECK(ch.capacity() == 1);
    if (const std::size_t size = ch.size(); now() < before + 1ms) CHECK(size == 0);
    if (const auto early = ch.try_recv(); now() < before + 1ms) CHECK(early.status() == rn::status::would_block);
    const auto second = ch;
    wait_until([&] { return ch.closed(); });
    CHECK(ch == second);
  }
  SECTION("try_recv before and after") {
    const auto ch = rn::after(1h);
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK(ch.size() == 0);
    CHECK_FALSE(ch.closed());
    CHECK_FALSE(ch.drained());
    const auto due = rn::after(1us);
    wait_until([&] { return due.size() == 1; });
    CHECK(due.try_recv());
    CHECK(due.size() == 0);
    CHECK(due.try_recv().status() == rn::status::closed);
    CHECK(due.drained());
  }
  SECTION("limits") {
    const auto late = rn::after(1h);
    const rn::time_point before = now();
    CHECK(late.try_recv_for(1ms).status() == rn::status::timed_out);
    CHECK(now() >= before + 1ms);
    const auto soon = rn::after(1ms);
    CHECK(soon.try_recv_for(1h));
    const auto with_context = rn::after(1ms);
    CHECK(with_context.recv(rn::context()));
  }
  SECTION("two") {
    const rn::time_point before = now();
    const auto a = rn::after(1ms);
    const auto b = rn::after(1ms);
    const auto first = a.recv();
    const auto second = b.recv();
    REQUIRE((first && second));
    CHECK(*first >= before + 1ms);
    CHECK(*second >= *first);
  }
  SECTION("a range of one") {
    int n = 0;
    for (const rn::time_point due : rn::after(1us)) n += now() >= due ? 1 : 100;
    CHECK(n == 1);
  }
}

TEST_CASE("T16 B06 once its value has been taken every receive answers at once") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const auto ch = rn::after(1us);
  CHECK(ch.recv());
  CHECK(ch.recv().status() == rn::status::closed);
  CHECK(ch.try_recv().status() == rn::status::closed);
  CHECK(ch.try_recv_for(rn::duration::max()).status() == rn::status::closed);
  CHECK(ch.try_recv_until(rn::time_point::max()).status() == rn::status::closed);
  CHECK(ch.recv(rn::context()).status() == rn::status::closed);
  CHECK(support::select(how, rn::on_recv(ch)) == 0);
  std::vector<rn::time_point> out;
  CHECK(ch.recv_many(out, 5) == 0);
}

TEST_CASE("T16 exactly one receiver, whatever handle it has") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  constexpr int receivers = 4;
  const int channels = support::shared(how, 1000);
  std::vector<rn::recv_channel<rn::time_point>> all;
  for (int i = 0; i < channels; ++i) all.push_back(rn::after(std::chrono::microseconds(i / 4)));
  counter hits{0};
  counter closed{0};
  support::parties others(how);
  for (int r = 0; r < receivers; ++r)
    others.go([&, mine = all](party me) -> rn::task<> {
      for (const auto& ch : mine) {
        const auto due = co_await me.recv(ch);
        support::add(due ? hits : closed);
      }
    });
  others.join();
  CHECK(read(hits) == static_cast<std::uint32_t>(channels));
  CHECK(read(closed) == static_cast<std::uint32_t>(channels * (receivers - 1)));
}

TEST_CASE("T16 after in a select: waiting, ready, and fair among equals") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  SECTION("the earlier of two") {
    const auto late = rn::after(1h);
    std::optional<rn::time_point> due;
    CHECK(support::select(how, rn::on_recv(late), rn::on_recv(rn::after(1ms), due)) == 1);
    CHECK(due);
  }
  SECTION("a value elsewhere is first") {
    const rn::channel<int> ch(1);
    ch.send(1);
    CHECK(support::select(how, rn::on_recv(rn::after(1h)), rn::on_recv(ch)) == 1);
  }
  SECTION("eight, taken in any order, each once") {
    std::vector<rn::recv_channel<rn::time_point>> all;
    for (int i = 0; i < 8; ++i) all.push_back(rn::after(500us));
    std::vector<int> taken(8);
    rn::selector s;
    for (std::size_t i = 0; i < all.size(); ++i) s.add(rn::on_recv(all[i], [&taken, i](rn::time_point) { ++taken[i]; }));
    while (s.wait() != rn::select_none) {
    }
    CHECK(taken == std::vector<int>(8, 1));
  }
  SECTION("each of those that are due is chosen its share of times") {
    constexpr int count = 400;
    std::vector<std::uint32_t> hits(2);
    for (int i = 0; i < count; ++i) {
      const auto a = rn::after(0ns);
      const auto b = rn::after(0ns);
      ++hits[support::select(how, rn::on_recv(a), rn::on_recv(b))];
    }
    for (const std::uint32_t n : hits) CHECK(n >= count / 2 / 2);
    hits.assign(4, 0);
    for (int i = 0; i < count; ++i) {
      const auto ch = rn::after(0ns);
      ++hits[support::select(how, rn::on_recv(ch), rn::on_recv(ch), rn::on_recv(ch), rn::on_recv(ch))];
    }
    for (const std::uint32_t n : hits) CHECK(n >= count / 4 / 2);
  }
}

// Exact instants

TEST_CASE("T19 values are the instants at which they were due, whenever they are received") {
  SECTION("received before it is due") {
    const rn::time_point before = now();
    rn::timer t(2ms);
    const rn::time_point made = now();
    const rn::time_point due = *t.channel().recv();
    CHECK(due >= before + 2ms);
    CHECK(due <= made + 2ms);
    CHECK(now() >= due);
  }
  SECTION("received long after it was due") {
    const rn::time_point before = now();
    rn::timer t(1us);
    const rn::time_point made = now();
    wait_until([&] { return now() >= made + 3ms; });
    const rn::time_point due = *t.channel().recv();
    CHECK(due >= before + 1us);
    CHECK(due <= made + 1us);
  }
  SECTION("reset") {
    rn::timer t(1h);
    for (const rn::duration d : {rn::duration(1us), rn::duration(1ms)}) {
      const rn::time_point before = now();
      CHECK(t.reset(d) == (d == 1us));
      const rn::time_point after = now();
      const rn::time_point due = *t.channel().recv();
      CHECK(due >= before + d);
      CHECK(due <= after + d);
    }
  }
  SECTION("after") {
    const rn::time_point before = now();
    const auto ch = rn::after(1ms);
    const rn::time_point made = now();
    wait_until([&] { return now() >= made + 2ms; });
    const rn::time_point due = *ch.recv();
    CHECK(due >= before + 1ms);
    CHECK(due <= made + 1ms);
  }
  SECTION("a ticker's are on its grid, to the nanosecond") {
    rn::ticker t(333us);
    const rn::time_point first = *t.channel().recv();
    for (int i = 0; i < 10; ++i) CHECK((*t.channel().recv() - first) % 333us == 0ns);
  }
  SECTION("zero runs at once") {
    const rn::timer t(0ns);
    CHECK(t.channel().recv());
    support::gate ran;
    const rn::timer f(0ns, [&] { ran.open(); });
    ran.wait();
    CHECK(rn::after(0ns).try_recv());
  }
}

// Limits of any value, in every operation that takes one

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();
using seconds_double = std::chrono::duration<double>;
using seconds_float = std::chrono::duration<float>;
using wall = std::chrono::system_clock;

template <class L>
inline constexpr bool is_length = false;
template <class Rep, class Period>
inline constexpr bool is_length<std::chrono::duration<Rep, Period>> = true;

/// Lengths that never end.
template <class F>
void for_endless_lengths(F f) {
  f(rn::duration::max());
  f(rn::duration::max() - rn::duration(1));
  f(std::chrono::hours::max());
  f(std::chrono::duration<std::uint64_t>(UINT64_MAX));
  f(std::chrono::duration<std::int64_t, std::ratio<31556952>>(1000));
  f(seconds_double(1e300));
  f(seconds_double(infinite));
  f(seconds_float(std::numeric_limits<float>::max()));
}
/// Lengths that are over as they begin.
template <class F>
void for_past_lengths(F f) {
  f(rn::duration::zero());
  f(rn::duration(-1));
  f(rn::duration::min());
  f(std::chrono::hours::min());
  f(std::chrono::duration<std::int64_t, std::ratio<31556952>>(-1000));
  f(seconds_double(-1e300));
  f(seconds_double(-infinite));
  f(seconds_double(not_a_number));
  f(seconds_float(-0.0F));
}
/// Both, and times of this clock and another.
template <class F>
void for_endless_limits(F f) {
  for_endless_lengths(f);
  f(rn::time_point::max());
  f(rn::time_point::max() - rn::duration(1));
  f(std::chrono::time_point<rn::clock, std::chrono::hours>::max());
  f(std::chrono::time_point<rn::clock, seconds_double>(seconds_double(1e300)));
  f(wall::time_point::max());
  f(wall::time_point::max() - wall::duration(1));
  f(std::chrono::time_point<wall, std::chrono::hours>::max());
  f(std::chrono::time_point<wall, seconds_double>(seconds_double(infinite)));
}
template <class F>
void for_past_limits(F f) {
  for_past_lengths(f);
  f(now());
  f(rn::time_point());
  f(rn::time_point::min());
  f(std::chrono::time_point<rn::clock, std::chrono::hours>::min());
  f(std::chrono::time_point<rn::clock, seconds_double>(seconds_double(not_a_number)));
  f(wall::now());
  f(wall::time_point::min());
  f(std::chrono::time_point<wall, std::chrono::hours>::min());
  f(std::chrono::time_point<wall, seconds_double>(seconds_double(not_a_number)));
}

/// Calls a function elsewhere and some time later.
template <class F>
void soon(support::parties& others, F& f) {
  others.go([&f] {
    rn::after(300us).recv();  // another timer is not disturbed
    f();
  });
}

/// `operation(limit)` answers timed_out at once for a limit that has passed. For one that never comes it waits until
/// `make_ready()` is called, elsewhere and some time later, and answers ok; afterwards it is not ready again.
template <class Operation, class MakeReady>
void check_limits(support::mix how, Operation operation, MakeReady make_ready) {
  for_past_limits([&](auto limit) { CHECK(operation(limit) == rn::status::timed_out); });
  for_endless_limits([&](auto limit) {
    support::parties others(how);
    soon(others, make_ready);
    CHECK(operation(limit) == rn::status::ok);
    others.join();
  });
}
template <class Operation, class MakeReady>
void check_limits(Operation operation, MakeReady make_ready) {
  check_limits(support::mix::threads, std::move(operation), std::move(make_ready));
}

/// A context that ends at a limit: that of a coroutine.
template <class Limit>
rn::scoped_context limited(Limit limit) {
  if constexpr (is_length<Limit>)
    return rn::with_timeout(rn::context(), limit);
  else
    return rn::with_deadline(rn::context(), limit);
}
/// How the wait of a coroutine ends.
template <class Awaiter>
rn::status awaited(Awaiter&& awaiter) {
  return rn::sync_wait(support::awaits(awaiter)).status();
}

rn::status any(std::size_t count) { return count > 0 ? rn::status::ok : rn::status::timed_out; }

}  // namespace

TEST_CASE("T09 B09 any limit: a channel's receives") {
  const rn::channel<int> ch;
  const auto make_ready = [&] { ch.send(1); };
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return ch.try_recv_for(limit).status();
        else
          return ch.try_recv_until(limit).status();
      },
      make_ready);
  std::vector<int> out;
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return any(ch.try_recv_many_for(limit, out, 1));
        else
          return any(ch.try_recv_many_until(limit, out, 1));
      },
      make_ready);
  const rn::channel<void> signals;
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return signals.try_recv_for(limit).status();
        else
          return signals.try_recv_until(limit).status();
      },
      [&] { signals.send(); });
}

TEST_CASE("T09 B09 any limit: a channel's sends") {
  const rn::channel<int> ch(1);
  ch.send(0);
  const auto make_ready = [&] { ch.recv(); };
  const int lvalue = 1;
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return ch.try_send_for(limit, lvalue).status();
        else
          return ch.try_send_until(limit, lvalue).status();
      },
      make_ready);
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return ch.try_send_for(limit, 2).status();
        else
          return ch.try_send_until(limit, 2).status();
      },
      make_ready);
  const std::vector<int> values{3};
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return any(ch.try_send_many_for(limit, values));
        else
          return any(ch.try_send_many_until(limit, values));
      },
      make_ready);
  const rn::channel<void> signals;
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return signals.try_send_for(limit).status();
        else
          return signals.try_send_until(limit).status();
      },
      [&] { signals.recv(); });
}

TEST_CASE("T09 B09 any limit: what is ready wins, and nil channels time out") {
  const rn::channel<int> full(1);
  const rn::channel<int> nil = nullptr;
  for_past_limits([&](auto limit) {
    if constexpr (is_length<decltype(limit)>) {
      CHECK(full.try_send_for(limit, 1));
      CHECK(full.try_recv_for(limit));
      CHECK(nil.try_recv_for(limit).status() == rn::status::timed_out);
      CHECK(nil.try_send_for(limit, 1).status() == rn::status::timed_out);
    } else {
      CHECK(full.try_send_until(limit, 1));
      CHECK(full.try_recv_until(limit));
      CHECK(nil.try_recv_until(limit).status() == rn::status::timed_out);
      CHECK(nil.try_send_until(limit, 1).status() == rn::status::timed_out);
    }
  });
}

TEST_CASE("T09 B09 any limit: select") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const rn::channel<int> ch;
  const auto make_ready = [&] { ch.send(1); };
  const auto answer = [](std::size_t chosen) { return chosen == 0 ? rn::status::ok : rn::status::timed_out; };
  check_limits(
      how,
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return answer(support::select(how, rn::on_recv(ch), rn::on_timeout(limit)));
        else
          return answer(support::select(how, rn::on_recv(ch), rn::on_deadline(limit)));
      },
      make_ready);
  check_limits(
      how,
      [&](auto limit) {  // of several timeouts the earliest counts
        if constexpr (is_length<decltype(limit)>)
          return answer(support::select(how, rn::on_recv(ch), rn::on_timeout(rn::duration::max()), rn::on_timeout(limit)));
        else
          return answer(support::select(how, rn::on_recv(ch), rn::on_deadline(rn::time_point::max()), rn::on_deadline(limit)));
      },
      make_ready);
}

TEST_CASE("T09 B09 any limit: a selector") {
  const rn::channel<int> ch;
  const auto make_ready = [&] { ch.send(1); };
  rn::selector plain;
  plain.add(rn::on_recv(ch));
  check_limits(
      [&](auto limit) {
        if constexpr (is_length<decltype(limit)>)
          return plain.try_wait_for(limit).status();
        else
          return plain.try_wait_until(limit).status();
      },
      make_ready);
  check_limits(
      [&](auto limit) {
        rn::selector s;
        s.add(rn::on_recv(ch));
        if constexpr (is_length<decltype(limit)>)
          s.add(rn::on_timeout(limit));
        else
          s.add(rn::on_deadline(limit));
        return s.wait() == 0 ? rn::status::ok : rn::status::timed_out;
      },
      make_ready);
  check_limits(
      support::mix::coroutines,
      [&](auto limit) {
        const rn::scoped_context ctx = limited(limit);
        return awaited(plain.async_wait(ctx));
      },
      make_ready);
}

TEST_CASE("T09 B09 any limit: contexts") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const rn::channel<int> ch;
  const auto make_ready = [&] { ch.send(1); };
  const auto receive = [&](const rn::context& ctx) {
    rn::status s = rn::status::would_block;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> { s = (co_await me.recv(ctx, ch)).status(); });
    return s;
  };
  check_limits(how, [&](auto limit) { return receive(limited(limit)); }, make_ready);
  check_limits(
      how,
      [&](auto limit) {
        const rn::scoped_context ctx = limited(limit);
        return support::select(how, rn::on_recv(ch), rn::on_done(ctx)) == 0 ? rn::status::ok : rn::status::timed_out;
      },
      make_ready);
  for_past_limits([&](auto limit) {
    const rn::scoped_context ctx = limited(limit);
    CHECK(ctx.done());
    CHECK(ctx.err() == rn::status::timed_out);
    const rn::scoped_context child = rn::with_timeout(ctx, rn::duration::max());
    CHECK(child.done());
  });
  for_endless_limits([&](auto limit) {
    const rn::scoped_context ctx = limited(limit);
    const rn::scoped_context child = rn::with_timeout(ctx, 1us);
    CHECK(child.done_channel().recv().status() == rn::status::closed);
    CHECK_FALSE(ctx.done());
    CHECK_FALSE(ctx.err());
  });
  CHECK_FALSE(rn::with_timeout(rn::context(), rn::duration::max()).deadline());
  CHECK_FALSE(rn::with_deadline(rn::context(), wall::time_point::max()).deadline());
  CHECK(armed() == 0);
}

TEST_CASE("T09 B09 any limit: sleeping") {
  static counter asleep{0};
  static counter awake{0};
  const rn::context live;
  // Awaiters have one type whatever their limit has.
  const auto sleep = [](auto& awaiter) { return rn::sync_wait(support::awaits(awaiter)); };
  for_past_limits([&](auto limit) {
    if constexpr (is_length<decltype(limit)>) {
      auto plain = rn::async_sleep_for(limit);
      sleep(plain);
      auto with_context = rn::async_sleep_for(live, limit);
      CHECK(sleep(with_context).status() == rn::status::ok);
    } else {
      auto plain = rn::async_sleep_until(limit);
      sleep(plain);
      auto with_context = rn::async_sleep_until(live, limit);
      CHECK(sleep(with_context).status() == rn::status::ok);
    }
  });
  for_endless_limits([&](auto limit) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    support::parties others(support::mix::coroutines);
    const auto cancel = [&ctx] { ctx.cancel(); };
    soon(others, cancel);
    if constexpr (is_length<decltype(limit)>) {
      auto for_ever = rn::async_sleep_for(ctx, limit);
      CHECK(sleep(for_ever).status() == rn::status::canceled);
    } else {
      auto for_ever = rn::async_sleep_until(ctx, limit);
      CHECK(sleep(for_ever).status() == rn::status::canceled);
    }
  });
  for_past_limits([&](auto limit) {
    if constexpr (is_length<decltype(limit)>) {
      rn::sleep_for(limit);
      CHECK(rn::sleep_for(rn::context(), limit).status() == rn::status::ok);
    } else {
      rn::sleep_until(limit);
      CHECK(rn::sleep_until(rn::context(), limit).status() == rn::status::ok);
    }
  });
  for_endless_limits([&](auto limit) {
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    support::crew others;
    others.go([&] {
      rn::after(300us).recv();
      ctx.cancel();
    });
    if constexpr (is_length<decltype(limit)>)
      CHECK(rn::sleep_for(ctx, limit).status() == rn::status::canceled);
    else
      CHECK(rn::sleep_until(ctx, limit).status() == rn::status::canceled);
    rn::go([limit] {  // sleeps until the end of the program abandons it
      support::add(asleep);
      if constexpr (is_length<decltype(limit)>)
        rn::sleep_for(limit);
      else
        rn::sleep_until(limit);
      support::add(awake);
    });
  });
  wait_for(asleep, 16);
  rn::after(1ms).recv();
  CHECK(read(awake) == 0);
}

TEST_CASE("T09 B09 any limit: a future") {
  const rn::channel<void> go_on;
  const auto make_ready = [&] { go_on.send(); };
  const auto begin = [&] {
    return rn::async([&] {
      go_on.recv();
      return 7;
    });
  };
  rn::future<int> answer = begin();
  check_limits(
      [&](auto limit) {
        const auto got = [&] {
          if constexpr (is_length<decltype(limit)>)
            return answer.try_get_for(limit);
          else
            return answer.try_get_until(limit);
        }();
        if (got) answer = begin();
        return got.status();
      },
      make_ready);
  check_limits(
      [&](auto limit) {
        const rn::status how = [&] {
          if constexpr (is_length<decltype(limit)>)
            return answer.try_wait_for(limit).status();
          else
            return answer.try_wait_until(limit).status();
        }();
        if (how != rn::status::ok) return how;
        CHECK(answer.get() == 7);
        answer = begin();
        return how;
      },
      make_ready);
  check_limits(
      support::mix::coroutines,
      [&](auto limit) {
        const rn::scoped_context ctx = limited(limit);
        const rn::status how = awaited(answer.async_get(ctx));
        if (how == rn::status::ok) answer = begin();
        return how;
      },
      make_ready);
  go_on.close();
  CHECK(answer.get() == 7);
}

TEST_CASE("T09 B09 any limit: a wait_group") {
  rn::wait_group group;
  group.add();
  check_limits(
      [&](auto limit) {
        const rn::status how = [&] {
          if constexpr (is_length<decltype(limit)>)
            return group.try_wait_for(limit).status();
          else
            return group.try_wait_until(limit).status();
        }();
        if (how == rn::status::ok) group.add();
        return how;
      },
      [&] { group.done(); });
  check_limits(
      support::mix::coroutines,
      [&](auto limit) {
        const rn::scoped_context ctx = limited(limit);
        const rn::status how = awaited(group.async_wait(ctx));
        if (how == rn::status::ok) group.add();
        return how;
      },
      [&] { group.done(); });
  group.done();
}

TEST_CASE("T09 B09 any limit: an errgroup") {
  const rn::channel<void> go_on;
  rn::errgroup group;
  const auto begin = [&] { group.go([&] { go_on.recv(); }); };
  begin();
  check_limits(
      [&](auto limit) {
        const rn::status how = [&] {
          if constexpr (is_length<decltype(limit)>)
            return group.try_wait_for(limit).status();
          else
            return group.try_wait_until(limit).status();
        }();
        if (how == rn::status::ok) begin();
        return how;
      },
      [&] { go_on.send(); });
  check_limits(
      support::mix::coroutines,
      [&](auto limit) {
        const rn::scoped_context ctx = limited(limit);
        const rn::status how = rn::sync_wait(group.async_wait(ctx)).status();
        if (how == rn::status::ok) begin();
        return how;
      },
      [&] { go_on.send(); });
  go_on.close();
  group.wait();
}

TEST_CASE("T09 B09 any limit: a guarded value") {
  rn::guarded<bool> flag(false);
  const auto is_set = [](bool b) { return b; };
  check_limits(
      [&](auto limit) {
        const auto held = [&] {
          if constexpr (is_length<decltype(limit)>)
            return flag.try_wait_for(limit, is_set);
          else
            return flag.try_wait_until(limit, is_set);
        }();
        if (held) *held = false;
        return held ? rn::status::ok : rn::status::timed_out;
      },
      [&] { flag.with([](bool& b) { b = true; }); });
  bool (*const as_function)(const bool&) = [](const bool& b) { return b; };
  check_limits(
      support::mix::coroutines,
      [&](auto limit) {
        const rn::scoped_context ctx = limited(limit);
        auto waits = flag.async_wait(ctx, as_function);
        const auto held = rn::sync_wait(support::awaits(waits));
        if (held) *held = false;
        return held ? rn::status::ok : rn::status::timed_out;
      },
      [&] { flag.with([](bool& b) { b = true; }); });
}

TEST_CASE("T09 B09 any length: timers, tickers and after") {
  for_past_lengths([](auto d) {
    CHECK(rn::after(d).try_recv());
    rn::timer value(d);
    CHECK(value.channel().recv());
    CHECK_FALSE(value.reset(d));
    CHECK(value.channel().recv());
    counter runs{0};
    rn::timer function(d, [&] { support::add(runs); });
    wait_for(runs, 1);
    CHECK_FALSE(function.reset(d));
    wait_for(runs, 2);
    CHECK_THROWS_AS(rn::ticker(d), std::invalid_argument);
    rn::ticker ticks(1h);
    CHECK_THROWS_AS(ticks.reset(d), std::invalid_argument);
  });
  for_endless_lengths([](auto d) {
    const auto never = rn::after(d);
    rn::timer value(d);
    counter runs{0};
    rn::timer function(d, [&] { support::add(runs); });
    rn::ticker ticks(d);
    CHECK(rn::after(300us).recv());
    CHECK(never.try_recv().status() == rn::status::would_block);
    CHECK(value.channel().try_recv().status() == rn::status::would_block);
    CHECK(ticks.channel().try_recv().status() == rn::status::would_block);
    CHECK(read(runs) == 0);
    CHECK(value.reset(d));
    CHECK(function.reset(d));
    ticks.reset(d);
    CHECK(value.stop());
    CHECK(function.stop());
    ticks.reset(1us);
    CHECK(ticks.channel().recv());
  });
  CHECK(armed() == 0);
}

}  // namespace timer_test
