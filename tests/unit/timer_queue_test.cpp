// detail/timer_queue.hpp: the heap keeps the order, and canceling meets firing in every way.
#include <runnel/detail/timer_queue.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace timer_queue_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using rn::detail::timer_queue;
using support::counter;
using support::read;
using support::wait_for;
using support::wait_until;

namespace {

timer_queue& queue() {
  timer_queue::instance().start();
  return timer_queue::instance();
}
rn::time_point now() { return rn::clock::now(); }

/// Calls f() on the timer thread. The tests' functions may block there, which holds up all that is due.
template <class F>
class entry final : public rn::detail::timer_entry {
 public:
  explicit entry(F f) : timer_entry(&due), f_(std::move(f)) {}

 private:
  static void due(timer_entry& self) noexcept { static_cast<entry&>(self).f_(); }
  F f_;
};

/// Keeps the timer thread in a callback for a scope.
class standstill {
 public:
  standstill() {
    queue().arm(entry_, rn::time_point::min());
    reached_.wait();
  }
  void end() {
    go_on_.open();
    queue().cancel(entry_);
  }

 private:
  struct block {
    standstill* owner;
    void operator()() const {
      owner->reached_.open();
      owner->go_on_.wait();
    }
  };
  support::gate reached_;
  support::gate go_on_;
  entry<block> entry_{block{this}};
};

/// One of many: what the model knows of it, and the order in which they fire.
struct history {
  std::vector<std::size_t> fired;
  counter count{0};
};
struct note {
  history* to;
  std::size_t id;
  void operator()() const {
    to->fired.push_back(id);
    support::add(to->count);
  }
};

}  // namespace

TEST_CASE("T13 100 timers in random states fire in the order of a sorted list") {
  // While the timer thread stands still, armed entries are moved about in the heap; all times are in the past, so that once
  // it goes on the order in which they fire is the heap's alone.
  constexpr std::size_t size = 100;
  for (int round = 0; round < 40; ++round) {
    history fired;
    std::vector<std::unique_ptr<entry<note>>> entries;
    for (std::size_t i = 0; i < size; ++i) entries.push_back(std::make_unique<entry<note>>(note{&fired, i}));
    std::vector<std::pair<rn::time_point, std::size_t>> model;  // who is armed, and for when
    const rn::time_point past = now() - 1h;
    const auto armed = [&](std::size_t i) { return std::ranges::find(model, i, [](const auto& m) { return m.second; }); };

    standstill still;
    REQUIRE(queue().armed() == 0);
    for (int step = 0; step < 1500; ++step) {
      const std::size_t i = rn::detail::random_below(size);
      const rn::time_point at = past + std::chrono::nanoseconds(rn::detail::random_below(round % 2 == 0 ? 50 : 1'000'000));
      const auto place = armed(i);
      const bool was_armed = place != model.end();
      if (was_armed) model.erase(place);
      const std::uint32_t what = rn::detail::random_below(4);
      REQUIRE((what == 0 ? queue().cancel(*entries[i]) : queue().disarm(*entries[i])) == was_armed);
      if (what >= 2) {
        queue().arm(*entries[i], at);
        model.emplace_back(at, i);
      }
      REQUIRE(queue().armed() == model.size());
    }
    still.end();
    wait_for(fired.count, static_cast<std::uint32_t>(model.size()));
    for (const auto& e : entries) REQUIRE_FALSE(queue().cancel(*e));
    REQUIRE(queue().armed() == 0);

    std::vector<std::pair<rn::time_point, std::size_t>> order;
    for (const std::size_t id : fired.fired) {
      const auto place = armed(id);
      REQUIRE(place != model.end());
      order.push_back(*place);
    }
    REQUIRE(std::ranges::is_sorted(order, {}, [](const auto& m) { return m.first; }));
    std::ranges::sort(order);
    std::ranges::sort(model);
    REQUIRE(order == model);
  }
}

TEST_CASE("timer_queue: entries with times to come fire in order, none early") {
  struct timed {
    history* to;
    std::vector<rn::time_point>* when;
    std::size_t id;
    void operator()() const {
      when->push_back(now());
      note{to, id}();
    }
  };
  constexpr std::size_t size = 200;
  history fired;
  std::vector<rn::time_point> when;
  std::vector<rn::time_point> due;
  std::vector<std::unique_ptr<entry<timed>>> entries;
  standstill still;  // all are armed before the first fires
  const rn::time_point start = now();
  for (std::size_t i = 0; i < size; ++i) {
    due.push_back(start + std::chrono::microseconds(rn::detail::random_below(20'000)));
    entries.push_back(std::make_unique<entry<timed>>(timed{&fired, &when, i}));
    queue().arm(*entries[i], due[i]);
  }
  still.end();
  wait_for(fired.count, size);
  for (const auto& e : entries) queue().cancel(*e);
  for (std::size_t k = 0; k < size; ++k) {
    REQUIRE(when[k] >= due[fired.fired[k]]);
    if (k > 0) REQUIRE(due[fired.fired[k - 1]] <= due[fired.fired[k]]);
  }
}

TEST_CASE("timer_queue: an earlier entry is not kept waiting by a later one") {
  history fired;
  entry<note> late(note{&fired, 0});
  queue().arm(late, now() + 24h);
  for (std::uint32_t i = 1; i <= 20; ++i) {
    entry<note> early(note{&fired, i});
    queue().arm(early, now() + 100us);
    wait_for(fired.count, i);
    CHECK_FALSE(queue().cancel(early));
  }
  CHECK(queue().cancel(late));
  CHECK(fired.count.load(rn::detail::relaxed) == 20);
}

TEST_CASE("timer_queue: `never` is no time") {
  history fired;
  entry<note> e(note{&fired, 0});
  queue().arm(e, rn::detail::never);
  CHECK(queue().armed() == 0);
  CHECK_FALSE(queue().disarm(e));
  CHECK_FALSE(queue().cancel(e));
  queue().arm(e, rn::detail::never - rn::duration(1));
  CHECK(queue().armed() == 1);
  CHECK(queue().cancel(e));
}

TEST_CASE("timer_queue: cancel waits for a callback that runs, disarm does not") {
  for (int i = 0; i < 100; ++i) {
    support::gate running;
    support::gate go_on;
    int ended = 0;
    const auto callback = [&] {
      running.open();
      go_on.wait();
      ended = 1;
    };
    entry<decltype(callback)> e(callback);
    queue().arm(e, rn::time_point::min());
    running.wait();
    REQUIRE_FALSE(queue().disarm(e));
    bool canceled = true;
    int ended_at_return = 0;
    support::crew others;
    others.go([&] {
      canceled = queue().cancel(e);
      ended_at_return = ended;
    });
    go_on.open();
    REQUIRE_FALSE(queue().cancel(e));
    REQUIRE(ended == 1);
    others.join();
    REQUIRE_FALSE(canceled);
    REQUIRE(ended_at_return == 1);
  }
}

TEST_CASE("timer_queue: an entry has fired or was canceled, never both") {
  std::uint32_t canceled = 0;
  std::uint32_t by_disarm = 0;
  constexpr std::uint32_t rounds = 3000;
  history fired;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    entry<note> e(note{&fired, i});
    const rn::time_point at = now() + std::chrono::nanoseconds(rn::detail::random_below(20'000));
    queue().arm(e, at);
    if (i % 3 != 0) wait_until([&] { return now() >= at; });
    const bool first = i % 2 == 0 && queue().disarm(e);
    if (first) ++by_disarm;
    if (queue().cancel(e)) ++canceled;
  }
  CHECK(read(fired.count) + canceled + by_disarm == rounds);
  CHECK(queue().armed() == 0);
}

TEST_CASE("timer_queue: a callback may cancel its own entry, and arm it again") {
  CHECK_FALSE(rn::detail::timer_queue::on_thread());
  counter runs{0};
  struct again final : rn::detail::timer_entry {
    explicit again(counter& c) : timer_entry(&due), runs(&c) {}
    static void due(timer_entry& e) noexcept {
      auto& self = static_cast<again&>(e);
      self.canceled_itself = queue().cancel(self);
      self.was_on_thread = rn::detail::timer_queue::on_thread();
      queue().arm(self, now());
      support::add(*self.runs);
    }
    counter* runs;
    bool canceled_itself = true;
    bool was_on_thread = false;
  };
  for (int i = 0; i < 50; ++i) {
    again e(runs);
    const std::uint32_t before = read(runs);
    queue().arm(e, now());
    wait_until([&] { return read(runs) >= before + 5; });
    CHECK(queue().cancel(e));  // also if a callback was running, and armed it again
    const std::uint32_t after = read(runs);
    CHECK_FALSE(queue().cancel(e));
    CHECK(queue().armed() == 0);
    CHECK(read(runs) == after);
    CHECK_FALSE(e.canceled_itself);
    CHECK(e.was_on_thread);
  }
}

TEST_CASE("timer_queue: a callback may cancel another entry that is due as well") {
  for (int i = 0; i < 200; ++i) {
    history fired;
    entry<note> second(note{&fired, 2});
    bool canceled = false;
    const auto callback = [&] {
      canceled = queue().cancel(second);
      note{&fired, 1}();
    };
    entry<decltype(callback)> first(callback);
    standstill still;
    queue().arm(second, now() - 1h);
    queue().arm(first, now() - 2h);
    still.end();
    wait_for(fired.count, 1);
    REQUIRE_FALSE(queue().cancel(first));
    REQUIRE(canceled);
    REQUIRE(fired.fired == std::vector<std::size_t>{1});
  }
}

}  // namespace timer_queue_test
