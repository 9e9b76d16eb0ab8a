// Timers under load: what is started, stopped, received and dropped by several threads at once adds up. Those that receive are threads,
// coroutines, or both.
#include <runnel/select.hpp>
#include <runnel/timer.hpp>

#include <memory>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace timer_stress_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;
using support::wait_until;

namespace {

rn::time_point now() { return rn::clock::now(); }
std::size_t armed() { return rn::detail::timer_queue::instance().armed(); }
/// Short enough to fall due while it is being stopped, or dropped.
rn::duration brief() { return std::chrono::nanoseconds(rn::detail::random_below(60'000)); }
void dawdle() {
  const rn::time_point until = now() + std::chrono::nanoseconds(rn::detail::random_below(40'000));
  while (now() < until) rn::detail::spin_hint();
}
/// Receives until the channel is drained.
rn::task<> receive_all(party me, rn::recv_channel<rn::time_point> ch, counter& early, counter& received) {
  for (support::values_of values(me, ch);;) {
    const auto due = co_await values.next();
    if (!due) break;
    if (now() < *due) support::add(early);
    support::add(received);
  }
}

}  // namespace

TEST_CASE("stress: T06 a value is received exactly if no stop or reset took it back") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  constexpr int threads = 3;
  const int rounds = support::shared(how, 6000);
  counter wrong{0};
  support::crew others;
  for (int thread = 0; thread < threads; ++thread)
    others.go([&] {
      counter received{0};
      counter early{0};
      support::parties receiver(how);
      rn::timer t(rn::duration::max());  // destroyed first: closes the channel, and the receiver ends
      const auto ch = t.channel();
      receiver.go([&, ch](party me) { return receive_all(me, ch, early, received); });
      std::uint32_t started = 0;
      std::uint32_t taken_back = 0;
      t.stop();
      for (int i = 0; i < rounds; ++i) {
        if (t.reset(brief())) ++taken_back;
        ++started;
        if (i % 2 == 0) dawdle();
        if (i % 3 == 0 && t.stop()) ++taken_back;
      }
      if (t.stop()) ++taken_back;
      wait_until([&] { return read(received) + taken_back >= started; });
      t.reset(0ns);
      wait_until([&] { return read(received) + taken_back >= started + 1; });
      if (read(received) + taken_back != started + 1 || read(early) != 0) support::add(wrong);
    });
  others.join();
  CHECK(read(wrong) == 0);
  CHECK(armed() == 0);
}

TEST_CASE("stress: T02 a function runs exactly once for each start that was not stopped") {
  constexpr int threads = 3;
  constexpr int rounds = 6000;
  counter wrong{0};
  support::crew others;
  for (int thread = 0; thread < threads; ++thread)
    others.go([&] {
      counter runs{0};
      std::uint32_t started = 1;
      std::uint32_t stopped = 0;
      {
        rn::timer t(brief(), [&] { support::add(runs); });
        for (int i = 0; i < rounds; ++i) {
          if (i % 3 != 0) dawdle();
          if (i % 2 == 0 && t.stop()) ++stopped;
          if (t.reset(brief())) ++stopped;
          ++started;
        }
        if (t.stop()) ++stopped;
      }  // waits for those that run
      if (read(runs) + stopped != started) support::add(wrong);
    });
  others.join();
  CHECK(read(wrong) == 0);
  CHECK(armed() == 0);
}

TEST_CASE("stress: T16 afters that are received, dropped and selected while they fall due") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  constexpr int threads = 3;
  const int rounds = support::shared(how, 6000);
  counter wrong{0};
  support::parties others(how);
  for (int thread = 0; thread < threads; ++thread)
    others.go([&](party me) -> rn::task<> {
      for (int i = 0; i < rounds; ++i) {
        auto ch = rn::after(brief());
        switch (i % 4) {
          case 0: {
            const auto due = co_await me.recv(ch);
            const auto end = co_await me.recv(ch);
            if (!due || end.status() != rn::status::closed) support::add(wrong);
            break;
          }
          case 1: dawdle(); break;
          case 2: {
            const auto other = rn::after(brief());
            const std::size_t chosen = co_await me.select(rn::on_recv(ch), rn::on_recv(other));
            if (chosen > 1) support::add(wrong);
            break;
          }
          default: {
            counter hits{0};
            support::crew second;
            second.go([&hits, copy = ch] {
              if (copy.recv()) support::add(hits);
            });
            const auto due = co_await me.recv(ch);
            if (due) support::add(hits);
            second.join();
            if (read(hits) != 1) support::add(wrong);
          }
        }
      }
    });
  others.join();
  CHECK(read(wrong) == 0);
  CHECK(armed() == 0);
}

TEST_CASE("stress: T04 tickers are reset, stopped and destroyed under their receivers") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int rounds = support::shared(how, 150);
  for (int i = 0; i < rounds; ++i) {
    const auto policy = i % 3 == 0 ? rn::missed::skip : i % 3 == 1 ? rn::missed::burst : rn::missed::delay;
    auto t = std::make_unique<rn::ticker>(10us, policy);
    const auto ch = t->channel();
    counter received{0};
    counter early{0};
    support::parties others(how);
    for (int receiver = 0; receiver < 2; ++receiver) others.go([&](party me) { return receive_all(me, ch, early, received); });
    support::crew resetting;
    resetting.go([&t] {
      for (int k = 0; k < 50; ++k) {
        if (k % 5 == 0) t->stop();
        t->reset(std::chrono::microseconds(1 + k % 7));
      }
    });
    for (int k = 0; k < 50; ++k) {
      t->reset(std::chrono::microseconds(1 + k % 11));
      dawdle();
    }
    resetting.join();
    t->reset(1us);
    wait_until([&, before = read(received)] { return read(received) > before + 5; });
    t->stop();
    t.reset();
    others.join();
    REQUIRE(read(early) == 0);
    REQUIRE(ch.drained());
  }
  CHECK(armed() == 0);
}

TEST_CASE("stress: T13 many timers, moved about by several threads, come in order and none is lost") {
  constexpr int threads = 3;
  constexpr std::size_t each = 60;
  counter wrong{0};
  support::crew others;
  for (int thread = 0; thread < threads; ++thread)
    others.go([&] {
      std::vector<std::unique_ptr<rn::timer>> timers;
      for (std::size_t i = 0; i < each; ++i) timers.push_back(std::make_unique<rn::timer>(1h));
      for (int step = 0; step < 40'000; ++step) {
        rn::timer& t = *timers[rn::detail::random_below(each)];
        switch (rn::detail::random_below(4)) {
          case 0: t.stop(); break;
          case 1: t.reset(brief()); break;
          case 2: t.reset(1h + brief()); break;
          default: t.channel().try_recv();
        }
      }
      std::vector<std::pair<rn::time_point, rn::time_point>> limits;
      for (auto& t : timers) {
        const rn::duration d = brief();
        const rn::time_point before = now();
        t->reset(d);
        limits.emplace_back(before + d, now() + d);
      }
      for (std::size_t i = 0; i < each; ++i) {
        const auto due = timers[i]->channel().recv();
        if (!due || *due < limits[i].first || *due > limits[i].second || now() < *due) support::add(wrong);
      }
    });
  others.join();
  CHECK(read(wrong) == 0);
  CHECK(armed() == 0);
}

}  // namespace timer_stress_test
