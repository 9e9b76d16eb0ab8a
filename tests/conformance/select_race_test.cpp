// Section 3 of the catalogue, select: several threads, exactly one case each, no deadlock, and "none is ready" at one instant.
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
#include "support.hpp"

namespace select_race_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

/// A channel that can be made ready to receive from, or to send to, and be made not ready again.
class switchable {
 public:
  /// A rendezvous channel is ready while a thread of its own waits on the other side.
  switchable(support::size_parameter capacity, bool receives, support::crew& threads)
      : receives_(receives), rendezvous_(capacity == 0U), channel_(support::make<int>(capacity)) {
    if (!rendezvous_) {
      if (!receives_) channel_.send(0);
      return;
    }
    threads.go([this] {
      while (parked_.recv()) {
        if (receives_)
          channel_.send(1);
        else
          channel_.recv();
        support::add(served_);
      }
    });
  }
  switchable(const switchable&) = delete;
  switchable& operator=(const switchable&) = delete;

  /// Returns once it is ready, or somebody has made use of that.
  void make_ready() {
    if (!rendezvous_) return receives_ ? channel_.send(1) : static_cast<void>(channel_.recv());
    parked_.send();
    ++asked_;
    support::wait_until(
        [&] { return support::sending(channel_) + support::receiving(channel_) == 1 || support::read(served_) == asked_; });
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
  bool receives_;
  bool rendezvous_;
  rn::channel<int> channel_;
  rn::channel<void> parked_{1};
  std::uint32_t asked_ = 0;
  support::counter served_{0};
};

/// One thread tries two channels, of which one is always ready: before the first stops being so, another makes the second ready.
/// Returns: how often `attempt` answered false.
template <class Attempt>
int missed(support::size_parameter first, support::size_parameter second, bool receives, int rounds, Attempt attempt) {
  support::crew threads;
  switchable a(first, receives, threads);
  switchable b(second, receives, threads);
  const rn::channel<void> start;
  const rn::channel<void> end;
  threads.go([&] {
    while (start.recv()) {
      b.make_ready();
      a.make_unready();
      end.send();
    }
  });
  int failures = 0;
  for (int i = 0; i < rounds; ++i) {
    a.make_ready();
    start.send();
    if (!attempt(a.channel(), b.channel())) ++failures;
    end.recv();
    a.make_unready();
    b.make_unready();
  }
  start.close();
  a.end();
  b.end();
  threads.join();
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
  const auto first = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const auto second = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const bool receives = GENERATE(true, false);
  const bool otherwise = GENERATE(true, false);
  if (!receives && (!first || !second)) return;  // an unbounded channel is always ready to send to
  INFO(support::name_of(first) << ", " << support::name_of(second) << (receives ? ", receives" : ", sends"));
  support::crew threads;
  switchable a(first, receives, threads);
  switchable b(second, receives, threads);
  b.make_ready();
  changes_when_tried change([&] {
    a.make_ready();
    b.make_unready();
  });
  const auto among = [&](auto&& one, auto&& two) {
    return otherwise ? rn::select(rn::biased, one, rn::on_event(change), two, rn::otherwise())
                     : rn::try_select(rn::biased, one, rn::on_event(change), two);
  };
  CHECK((receives ? among(rn::on_recv(a.channel()), rn::on_recv(b.channel()))
                  : among(rn::on_send(a.channel(), 1), rn::on_send(b.channel(), 1))) == 0);
  a.end();
  b.end();
  threads.join();
}

TEST_CASE("S10 S29 a select that does not wait never answers none while one of its channels is ready") {
  constexpr int rounds = 3000;
  const auto first = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const auto second = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  const int form = GENERATE(0, 1, 2);
  INFO(support::name_of(first) << ", " << support::name_of(second) << ", form " << form);
  const auto among = [&](auto&& one, auto&& two) {
    switch (form) {
      case 0: return rn::try_select(one, two) != rn::select_none;
      case 1: return rn::select(one, two, rn::otherwise()) != 2;
      default: return rn::select(rn::on_timeout(0s), one, two) != 0;
    }
  };
  CHECK(missed(first, second, true, rounds, [&](const auto& a, const auto& b) { return among(rn::on_recv(a), rn::on_recv(b)); }) ==
        0);
  if (!first || !second) return;  // an unbounded channel is always ready to send to
  CHECK(missed(first, second, false, rounds,
               [&](const auto& a, const auto& b) { return among(rn::on_send(a, 1), rn::on_send(b, 1)); }) == 0);
}

TEST_CASE("S10 a channel that is closed before the other is emptied counts as ready") {
  support::crew threads;
  for (int i = 0; i < 2000; ++i) {
    const rn::channel<int> a(1);
    const rn::channel<int> b(i % 2 == 0 ? 0U : 1U);
    a.send(1);
    threads.go([a, b] {
      b.close();
      a.try_recv();
    });
    const bool none = rn::try_select(rn::on_recv(a), rn::on_recv(b)) == rn::select_none;
    threads.join();
    REQUIRE_FALSE(none);
  }
}

TEST_CASE("S09 B44 a select that sends to four channels sends to one of them") {
  constexpr int rounds = 20000;
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U}));
  INFO(support::name_of(capacity));
  std::array<rn::channel<int>, 4> lanes{support::make<int>(capacity), support::make<int>(capacity), support::make<int>(capacity),
                                        support::make<int>(capacity)};
  const rn::channel<int> merged(16);
  support::crew threads;
  support::counter open{4};
  threads.go([&] {
    for (int i = 0; i < rounds; ++i)
      rn::select(rn::on_send(lanes[0], i), rn::on_send(lanes[1], i), rn::on_send(lanes[2], i), rn::on_send(lanes[3], i));
    for (const auto& lane : lanes) lane.close();
  });
  for (const auto& lane : lanes)
    threads.go([&] {
      for (const int v : lane) merged.send(v);
      if (open.fetch_sub(1, rn::detail::acq_rel) == 1) merged.close();
    });
  std::vector<int> seen(rounds);
  int total = 0;
  for (const int v : merged) {
    ++seen[static_cast<std::size_t>(v)];
    ++total;
  }
  threads.join();
  CHECK(total == rounds);
  CHECK(std::count(seen.begin(), seen.end(), 1) == rounds);
}

TEST_CASE("S12 two selects that send to and receive from one channel never meet themselves") {
  const std::size_t capacity = GENERATE(0U, 10U);
  INFO("capacity " << capacity);
  constexpr int rounds = 2000;
  const rn::channel<int> ch(capacity);
  std::array<int, 2> own{};
  support::crew threads;
  for (int self = 0; self < 2; ++self)
    threads.go([&, self] {
      const auto check = [&](int from) { own[static_cast<std::size_t>(self)] += from == self ? 1 : 0; };
      for (int i = 0; i < rounds; ++i) {
        if (self == 0 || i % 2 == 0)
          rn::select(rn::on_send(ch, self), rn::on_recv(ch, check));
        else
          rn::select(rn::on_recv(ch, check), rn::on_send(ch, self));
      }
    });
  threads.join();
  if (capacity == 0) CHECK(own == std::array<int, 2>{0, 0});
  CHECK(support::receiving(ch) + support::sending(ch) == 0);
}

TEST_CASE("S27 selects that may send or receive pair up, and one plain send takes the one that is left over") {
  for (int round = 0; round < 20; ++round) {
    const rn::channel<int> ch;
    support::counter sent{0};
    support::counter received{0};
    support::crew threads;
    for (int i = 0; i < 15; ++i)
      threads.go([&, i] { support::add(rn::select(rn::on_recv(ch), rn::on_send(ch, i)) == 0 ? received : sent); });
    ch.send(-1);
    threads.join();
    REQUIRE(support::read(sent) == 7);
    REQUIRE(support::read(received) == 8);
  }
}

TEST_CASE("S40 selects over the same two channels in opposite orders do not block one another") {
  constexpr int rounds = 20000;
  const rn::channel<int> a;
  const rn::channel<int> b;
  std::array<std::uint64_t, 2> balance{};
  support::crew threads;
  // Each may send on one and receive on the other: either exchange completes both.
  threads.go([&] {
    for (int i = 0; i < rounds; ++i)
      rn::select(rn::on_send(a, i), rn::on_recv(b, [&](int v) { balance[0] += static_cast<unsigned>(v); }));
  });
  threads.go([&] {
    for (int i = 0; i < rounds; ++i)
      rn::select(rn::on_send(b, i), rn::on_recv(a, [&](int v) { balance[1] += static_cast<unsigned>(v); }));
  });
  threads.join();
  CHECK(balance[0] + balance[1] == std::uint64_t{rounds} * (rounds - 1) / 2);
}

TEST_CASE("B42 a select that receives, one that sends, and the end of a context: both or neither") {
  constexpr int rounds = 2000;
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  INFO(support::name_of(capacity));
  for (int i = 0; i < rounds; ++i) {
    const auto a = support::make<std::unique_ptr<int>>(capacity);
    const rn::channel<int> b;
    rn::scoped_context ctx = rn::with_cancel(rn::context::background());
    auto value = std::make_unique<int>(i);
    std::unique_ptr<int> got;
    std::size_t sent = 0;
    support::crew threads;
    threads.go([&] { sent = rn::select(rn::on_done(ctx), rn::on_send(a, std::move(value)), rn::on_send(b, i)); });
    threads.go([&] { ctx.cancel(); });
    const std::size_t received =
        rn::select(rn::on_recv(b), rn::on_done(ctx), rn::on_recv(a, [&](std::unique_ptr<int> v) { got = std::move(v); }));
    threads.join();
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
