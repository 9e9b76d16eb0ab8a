// Section 3 of the catalogue, select: several threads or coroutines, exactly one case each, no deadlock, and "none is ready" at one
// instant.
#include <runnel/context.hpp>
#include <runnel/select.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace select_race_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

/// A channel that can be made ready to receive from, or to send to, and be made not ready again.
class switchable {
 public:
  /// A rendezvous channel is ready while a party of its own waits on the other side.
  switchable(support::size_parameter capacity, bool receives, support::parties& parties)
      : receives_(receives), rendezvous_(capacity == 0U), channel_(support::make<int>(capacity)) {
    if (!rendezvous_) {
      if (!receives_) channel_.send(0);
      return;
    }
    parties.go([this](party me) -> rn::task<> {
      while (co_await me.recv(parked_)) {
        if (receives_)
          co_await me.send(channel_, 1);
        else
          co_await me.recv(channel_);
        support::add(served_);
      }
    });
  }
  switchable(const switchable&) = delete;
  switchable& operator=(const switchable&) = delete;

  /// Ends once it is ready, or somebody has made use of that.
  rn::task<> make_ready(party me) {
    if (rendezvous_) {
      co_await me.send(parked_);
      ++asked_;
      for (rn::detail::backoff wait; !is_served();) co_await me.pause(wait);
    } else if (receives_) {
      co_await me.send(channel_, 1);
    } else {
      co_await me.recv(channel_);
    }
  }
  /// Unless somebody else has done so.
  void make_unready() {
    if (receives_)
      channel_.try_recv();
    else
      static_cast<void>(channel_.try_send(0));
  }
  void end() { parked_.close(); }
  [[nodiscard]] const rn::channel<int>& channel() const { return channel_; }

 private:
  [[nodiscard]] bool is_served() const {
    return support::sending(channel_) + support::receiving(channel_) == 1 || support::read(served_) == asked_;
  }

  bool receives_;
  bool rendezvous_;
  rn::channel<int> channel_;
  rn::channel<void> parked_{1};
  std::uint32_t asked_ = 0;
  support::counter served_{0};
};

/// One party tries two channels, of which one is always ready: before the first stops being so, another makes the second ready.
/// Returns: how often `attempt`, a task<bool>, answered false.
template <class Attempt>
int missed(support::mix how, support::size_parameter first, support::size_parameter second, bool receives, int rounds,
           Attempt attempt) {
  support::parties parties(how);
  switchable a(first, receives, parties);
  switchable b(second, receives, parties);
  const rn::channel<void> start;
  const rn::channel<void> end;
  parties.go([&](party me) -> rn::task<> {
    while (co_await me.recv(start)) {
      co_await me.call(b.make_ready(me));
      a.make_unready();
      co_await me.send(end);
    }
  });
  int failures = 0;
  parties.run([&](party me) -> rn::task<> {
    for (int i = 0; i < rounds; ++i) {
      co_await me.call(a.make_ready(me));
      co_await me.send(start);
      const bool found = co_await me.call(attempt(me, a.channel(), b.channel()));
      if (!found) ++failures;
      co_await me.recv(end);
      a.make_unready();
      b.make_unready();
    }
  });
  start.close();
  a.end();
  b.end();
  parties.join();
  return failures;
}

/// An event that never happens. The first time it is tried, it changes what was tried before it, and what will be after it.
template <class Change>
class changes_when_tried final : public rn::selectable {
 public:
  explicit changes_when_tried(Change change) : change_(std::move(change)) {}
  rn::attempt try_now() override {
    if (!std::exchange(changed_, true)) change_();
    return rn::attempt::not_yet;
  }
  void join(rn::wait_node& /*node*/) override {}
  bool leave(rn::wait_node& /*node*/) noexcept override { return true; }
  bool finish(rn::wait_node& /*node*/) noexcept override { return true; }
  [[nodiscard]] std::uint64_t stamp() const noexcept override { return 0; }

 private:
  Change change_;
  bool changed_ = false;
};

}  // namespace

TEST_CASE("S10 between the tries of two channels the ready one changes: the select is not deceived") {
  const auto how = GENERATE(values(support::mixes));
  const auto first = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const auto second = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const bool receives = GENERATE(true, false);
  const bool otherwise = GENERATE(true, false);
  if (!receives && (!first || !second)) return;  // an unbounded channel is always ready to send to
  INFO(support::name_of(how) << ", " << support::name_of(first) << ", " << support::name_of(second)
                             << (receives ? ", receives" : ", sends"));
  support::parties parties(how);
  switchable a(first, receives, parties);
  switchable b(second, receives, parties);
  rn::sync_wait(b.make_ready(party(true)));
  changes_when_tried change([&] {
    rn::sync_wait(a.make_ready(party(true)));
    b.make_unready();
  });
  const auto among = [&](party me, auto&& one, auto&& two) -> rn::task<std::size_t> {
    if (!otherwise) co_return rn::try_select(rn::biased, one, rn::on_event(change), two);
    co_return co_await me.select(rn::biased, one, rn::on_event(change), two, rn::otherwise());
  };
  std::size_t chosen = rn::select_none;
  parties.run([&](party me) -> rn::task<> {
    if (receives)
      chosen = co_await me.call(among(me, rn::on_recv(a.channel()), rn::on_recv(b.channel())));
    else
      chosen = co_await me.call(among(me, rn::on_send(a.channel(), 1), rn::on_send(b.channel(), 1)));
  });
  CHECK(chosen == 0);
  a.end();
  b.end();
  parties.join();
}

TEST_CASE("S10 S29 a select that does not wait never answers none while one of its channels is ready") {
  const auto how = GENERATE(values(support::mixes));
  const auto first = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const auto second = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const int form = GENERATE(0, 1, 2);
  INFO(support::name_of(how) << ", " << support::name_of(first) << ", " << support::name_of(second) << ", form " << form);
  const int rounds = how == support::mix::threads ? 3000 : how == support::mix::coroutines ? 300 : 100;
  const auto among = [form](party me, auto&& one, auto&& two) -> rn::task<bool> {
    switch (form) {
      case 0: co_return rn::try_select(one, two) != rn::select_none;
      case 1: co_return co_await me.select(one, two, rn::otherwise()) != 2;
      default: co_return co_await me.select(rn::on_timeout(0s), one, two) != 0;
    }
  };
  const auto receives = [&](party me, const rn::channel<int>& a, const rn::channel<int>& b) -> rn::task<bool> {
    co_return co_await me.call(among(me, rn::on_recv(a), rn::on_recv(b)));
  };
  CHECK(missed(how, first, second, true, rounds, receives) == 0);
  if (!first || !second) return;  // an unbounded channel is always ready to send to
  const auto sends = [&](party me, const rn::channel<int>& a, const rn::channel<int>& b) -> rn::task<bool> {
    co_return co_await me.call(among(me, rn::on_send(a, 1), rn::on_send(b, 1)));
  };
  CHECK(missed(how, first, second, false, rounds, sends) == 0);
}

TEST_CASE("S10 a channel that is closed before the other is emptied counts as ready") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  support::parties parties(how);
  for (int i = support::shared(how, support::scaled(2000, 300)); i > 0; --i) {
    const rn::channel<int> a(1);
    const rn::channel<int> b(i % 2 == 0 ? 0U : 1U);
    a.send(1);
    parties.go([a, b] {
      b.close();
      a.try_recv();
    });
    bool none = false;
    parties.run([&](party me) -> rn::task<> {
      if (me.blocks() || i % 3 == 0)
        none = rn::try_select(rn::on_recv(a), rn::on_recv(b)) == rn::select_none;
      else
        none = co_await me.select(rn::on_recv(a), rn::on_recv(b), rn::otherwise()) == 2;
    });
    parties.join();
    REQUIRE_FALSE(none);
  }
}

TEST_CASE("S09 B44 a select that sends to four channels sends to one of them") {
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U}));
  INFO(support::name_of(how) << ", " << support::name_of(capacity));
  const int rounds = support::shared(how, support::scaled(20000, 1500));
  std::array<rn::channel<int>, 4> lanes{support::make<int>(capacity), support::make<int>(capacity), support::make<int>(capacity),
                                        support::make<int>(capacity)};
  const rn::channel<int> merged(16);
  support::counter open{4};
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    for (int i = 0; i < rounds; ++i)
      co_await me.select(rn::on_send(lanes[0], i), rn::on_send(lanes[1], i), rn::on_send(lanes[2], i), rn::on_send(lanes[3], i));
    for (const auto& lane : lanes) lane.close();
  });
  for (const auto& lane : lanes)
    parties.go([&](party me) -> rn::task<> {
      support::values_of all(me, lane);
      while (const auto v = co_await all.next()) co_await me.send(merged, *v);
      if (open.fetch_sub(1, rn::detail::acq_rel) == 1) merged.close();
    });
  std::vector<int> seen(static_cast<std::size_t>(rounds));
  int total = 0;
  parties.run([&](party me) -> rn::task<> {
    support::values_of all(me, merged);
    while (const auto v = co_await all.next()) {
      ++seen[static_cast<std::size_t>(*v)];
      ++total;
    }
  });
  parties.join();
  CHECK(total == rounds);
  CHECK(std::count(seen.begin(), seen.end(), 1) == rounds);
}

TEST_CASE("S12 two selects that send to and receive from one channel never meet themselves") {
  const auto how = GENERATE(values(support::mixes));
  const std::size_t capacity = GENERATE(0U, 10U);
  INFO(support::name_of(how) << ", capacity " << capacity);
  const int rounds = support::shared(how, support::scaled(2000, 300));
  const rn::channel<int> ch(capacity);
  std::array<int, 2> own{};
  support::parties parties(how);
  for (int self = 0; self < 2; ++self)
    parties.go([&, self](party me) -> rn::task<> {
      const auto check = [&](int from) { own[static_cast<std::size_t>(self)] += from == self ? 1 : 0; };
      for (int i = 0; i < rounds; ++i) {
        if (self == 0 || i % 2 == 0)
          co_await me.select(rn::on_send(ch, self), rn::on_recv(ch, check));
        else
          co_await me.select(rn::on_recv(ch, check), rn::on_send(ch, self));
      }
    });
  parties.join();
  if (capacity == 0) CHECK(own == std::array<int, 2>{0, 0});
  CHECK(support::receiving(ch) + support::sending(ch) == 0);
}

TEST_CASE("S27 selects that may send or receive pair up, and one plain send takes the one that is left over") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = 0; round < 20; ++round) {
    const rn::channel<int> ch;
    support::counter sent{0};
    support::counter received{0};
    support::parties parties(how);
    for (int i = 0; i < 15; ++i)
      parties.go([&, i](party me) -> rn::task<> {
        const std::size_t chosen = co_await me.select(rn::on_recv(ch), rn::on_send(ch, i));
        support::add(chosen == 0 ? received : sent);
      });
    parties.run([&](party me) -> rn::task<> { co_await me.send(ch, -1); });
    parties.join();
    REQUIRE(support::read(sent) == 7);
    REQUIRE(support::read(received) == 8);
  }
}

TEST_CASE("S40 selects over the same two channels in opposite orders do not block one another") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int rounds = support::shared(how, support::scaled(20000, 1500));
  const rn::channel<int> a;
  const rn::channel<int> b;
  std::array<std::uint64_t, 2> balance{};
  support::parties parties(how);
  // Each may send on one and receive on the other: either exchange completes both.
  parties.go([&](party me) -> rn::task<> {
    for (int i = 0; i < rounds; ++i)
      co_await me.select(rn::on_send(a, i), rn::on_recv(b, [&](int v) { balance[0] += static_cast<unsigned>(v); }));
  });
  parties.go([&](party me) -> rn::task<> {
    for (int i = 0; i < rounds; ++i)
      co_await me.select(rn::on_send(b, i), rn::on_recv(a, [&](int v) { balance[1] += static_cast<unsigned>(v); }));
  });
  parties.join();
  const auto n = static_cast<std::uint64_t>(rounds);
  CHECK(balance[0] + balance[1] == n * (n - 1) / 2);
}

TEST_CASE("B42 a select that receives, one that sends, and the end of a context: both or neither") {
  const auto how = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  INFO(support::name_of(how) << ", " << support::name_of(capacity));
  for (int i = support::shared(how, support::scaled(2000, 300)); i > 0; --i) {
    const auto a = support::make<std::unique_ptr<int>>(capacity);
    const rn::channel<int> b;
    rn::scoped_context ctx = rn::with_cancel(rn::context::background());
    auto value = std::make_unique<int>(i);
    std::unique_ptr<int> got;
    std::size_t sent = 0;
    std::size_t received = 0;
    support::parties parties(how);
    const bool cancel_first = how != support::mix::threads && i % 2 == 0;
    if (cancel_first) parties.go([&] { ctx.cancel(); });
    parties.go([&](party me) -> rn::task<> {
      sent = co_await me.select(rn::on_done(ctx), rn::on_send(a, std::move(value)), rn::on_send(b, i));
    });
    if (!cancel_first) parties.go([&] { ctx.cancel(); });
    parties.run([&](party me) -> rn::task<> {
      received =
          co_await me.select(rn::on_recv(b), rn::on_done(ctx), rn::on_recv(a, [&](std::unique_ptr<int> v) { got = std::move(v); }));
    });
    parties.join();
    const bool sent_a = sent == 1;
    const bool received_a = received == 2;
    REQUIRE(sent_a == (value == nullptr));
    REQUIRE(received_a == (got != nullptr));
    REQUIRE((sent == 2) == (received == 0));
    if (capacity == 0U) REQUIRE(sent_a == received_a);
    if (received_a) REQUIRE(*got == i);
    if (sent_a && !received_a) REQUIRE(**a.try_recv() == i);
  }
}

}  // namespace select_race_test
