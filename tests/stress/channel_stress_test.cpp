// Channels under load: every mix of forms, over threads and coroutines, with close, timeouts, cancellation and dropped handles in
// between. Values are tokens: each is accounted for, exactly once. How long it runs: RUNNEL_STRESS multiplies the rounds.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/select.hpp>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace channel_stress_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 3, 16, std::nullopt};

int rounds(int normal) {
  const char* const factor = std::getenv("RUNNEL_STRESS");
  return factor == nullptr ? normal : normal * std::stoi(factor);
}
std::uint32_t dice(std::uint32_t sides) { return rn::detail::random_below(sides); }

/// A value that says who sent it and as which of its values. Its instances are counted.
struct token {
  token(int s, int n) : sender(s), number(n) {}
  token(token&&) noexcept = default;
  token& operator=(token&&) noexcept = default;
  [[nodiscard]] std::pair<int, int> id() const { return {sender, number}; }

  int sender;
  int number;
  support::counted count{0};
};
using ids = std::vector<std::pair<int, int>>;

/// Which forms a side uses, as bits.
enum forms : unsigned { plain = 1, trying = 2, timed = 4, with_ctx = 8, many = 16, selected = 32, all = 63 };
unsigned one_of(unsigned mix) {
  for (;;)
    if (const unsigned form = 1U << dice(6); (mix & form) != 0) return form;
}

rn::duration short_while() { return std::chrono::microseconds(dice(40)); }

/// Sends numbers 0 … count - 1 in order, by forms of the mix; goes on to the next number if one was not sent. Answers what was sent.
rn::task<ids> send_all(party me, rn::send_channel<token> to, int id, int count, unsigned mix, const rn::context& ctx) {
  ids sent;
  const auto note = [&](const token& t, rn::status s) {
    if (s == rn::status::ok) sent.emplace_back(t.id());
    return s != rn::status::closed;
  };
  for (int n = 0; n < count; ++n) {
    token t(id, n);
    bool go_on = true;
    switch (one_of(mix)) {
      case plain:
        try {
          co_await me.send(to, std::move(t));
          sent.emplace_back(id, n);
        } catch (const rn::channel_closed&) {
          go_on = false;
        }
        break;
      case trying: go_on = note(t, to.try_send(std::move(t)).status()); break;
      case timed: {
        const rn::send_result r = co_await me.send_for(to, short_while(), std::move(t));
        go_on = note(t, r.status());
        break;
      }
      case with_ctx: {
        const rn::send_result r = co_await me.send(ctx, to, std::move(t));
        go_on = note(t, r.status());
        break;
      }
      case many: {
        std::vector<token> several;
        const int first = n;
        for (int i = 0; i < 3 && n < count; ++i) several.emplace_back(id, i == 0 ? n : ++n);
        std::size_t taken = 0;
        if (dice(2) == 0)
          taken = co_await me.send_many(to, std::move(several));
        else
          taken = co_await me.send_many_for(to, 20us, std::move(several));
        for (std::size_t i = 0; i < taken; ++i) sent.emplace_back(id, first + static_cast<int>(i));
        break;
      }
      default:
        co_await me.select(rn::on_send(to, std::move(t), [&](rn::send_result r) { go_on = note(t, r.status()); }),
                           rn::on_timeout(short_while()));
    }
    if (!go_on) break;
  }
  co_return sent;
}

/// Receives by forms of the mix until the channel is drained, or `limit` values have come. Answers them.
rn::task<ids> receive_all(party me, rn::recv_channel<token> from, unsigned mix, const rn::context& ctx, std::size_t limit) {
  ids received;
  const auto note = [&](const rn::recv_result<token>& r) {
    if (r) received.emplace_back(r->id());
    return r.status() != rn::status::closed;
  };
  for (rn::detail::backoff wait; received.size() < limit;) {
    bool go_on = true;
    const std::size_t before = received.size();
    switch (one_of(mix)) {
      case plain: go_on = note(co_await me.recv(from)); break;
      case trying: go_on = note(from.try_recv()); break;
      case timed: go_on = note(co_await me.recv_for(from, short_while())); break;
      case with_ctx: go_on = note(co_await me.recv(ctx, from)); break;
      case many: {
        std::vector<token> several;
        go_on = co_await me.recv_many(from, several, std::min<std::size_t>(4, limit - received.size())) != 0;
        for (const token& t : several) received.emplace_back(t.id());
        break;
      }
      default:
        co_await me.select(rn::on_recv(from, [&](rn::recv_result<token> r) { go_on = note(r); }), rn::on_timeout(short_while()));
    }
    if (!go_on) break;
    if (received.size() == before)
      co_await me.pause(wait);
    else
      wait = {};
  }
  co_return received;
}

enum class ending { senders_leave, close, receivers_leave, cancel };

struct outcome {
  ids sent;
  ids received;
  bool in_order = true;
};

outcome run(support::mix parties_are, support::size_parameter size, int senders, int receivers, int each, unsigned send_mix,
            unsigned recv_mix, ending how) {
  auto ends = size ? rn::make_channel<token>(*size) : rn::make_channel<token>(rn::unbounded);
  auto ctx = rn::with_cancel(rn::context());
  std::vector<ids> sent(static_cast<std::size_t>(senders));
  std::vector<ids> received(static_cast<std::size_t>(receivers));
  support::parties parties(parties_are);
  int number = 0;
  for (ids& mine : sent)
    parties.go([&, out = ends.send, id = number++](party me) mutable -> rn::task<> {
      mine = co_await me.call(send_all(me, std::exchange(out, nullptr), id, each, send_mix, ctx));
    });
  const std::size_t limit = how == ending::receivers_leave ? static_cast<std::size_t>(each) / 2 : ~std::size_t{0};
  for (ids& mine : received)
    parties.go([&, in = ends.recv, limit](party me) mutable -> rn::task<> {
      mine = co_await me.call(receive_all(me, std::exchange(in, nullptr), recv_mix, ctx, limit));
    });
  if (how == ending::close)
    parties.go([&, out = ends.send] {
      for (std::uint32_t i = dice(static_cast<std::uint32_t>(each)); i > 0 && !out.closed(); --i) rn::detail::yield();
      out.close();
    });
  if (how == ending::cancel)
    parties.go([&] {
      for (std::uint32_t i = dice(200); i > 0; --i) rn::detail::yield();
      ctx.cancel();
    });
  ends.send = nullptr;
  ends.recv = nullptr;
  parties.join();
  outcome all;
  for (const ids& s : sent) all.sent.insert(all.sent.end(), s.begin(), s.end());
  for (const ids& r : received) {
    all.received.insert(all.received.end(), r.begin(), r.end());
    std::vector<int> last(static_cast<std::size_t>(senders), -1);
    for (const auto& [sender, n] : r) all.in_order = all.in_order && std::exchange(last[static_cast<std::size_t>(sender)], n) < n;
  }
  std::ranges::sort(all.sent);
  std::ranges::sort(all.received);
  return all;
}

}  // namespace

TEST_CASE("C35 C54 B36 B41 every mix of forms, senders and receivers: each value that was sent is received, once, in order") {
  const auto parties_are = GENERATE(values(support::mixes));
  constexpr unsigned mixes[][2] = {
      {plain, plain}, {plain, all}, {all, plain}, {all, all}, {trying, plain | timed}, {many, many}, {plain | selected, selected}};
  for (const auto size : sizes)
    for (const auto& [send_mix, recv_mix] : mixes)
      for (const ending how : {ending::senders_leave, ending::close, ending::cancel}) {
        CAPTURE(support::name_of(parties_are), support::name_of(size), send_mix, recv_mix, static_cast<int>(how));
        for (int round = 0; round < rounds(2); ++round) {
          const int each = support::shared(parties_are, parties_are == support::mix::threads ? support::scaled(400, 100) : 100);
          const outcome o = run(parties_are, size, 3, 3, each, send_mix, recv_mix, how);
          if (send_mix == plain && how != ending::close) REQUIRE(o.sent.size() == static_cast<std::size_t>(3 * each));
          REQUIRE(o.sent == o.received);
          REQUIRE(std::ranges::adjacent_find(o.received) == o.received.end());
          REQUIRE(o.in_order);
          REQUIRE(support::counted::live() == 0);
        }
      }
}

TEST_CASE("C45 C48 receivers that leave early: what was received was sent, and all else is destroyed") {
  const auto parties_are = GENERATE(values(support::mixes));
  for (const auto size : sizes)
    for (const unsigned mix : {unsigned{plain}, unsigned{all}}) {
      CAPTURE(support::name_of(parties_are), support::name_of(size), mix);
      for (int round = 0; round < rounds(support::shared(parties_are, 5)); ++round) {
        const outcome o =
            run(parties_are, size, 3, 2, support::shared(parties_are, support::scaled(300, 60)), mix, mix, ending::receivers_leave);
        REQUIRE(std::ranges::includes(o.sent, o.received));
        REQUIRE(std::ranges::adjacent_find(o.received) == o.received.end());
        REQUIRE(o.in_order);
        REQUIRE(support::counted::live() == 0);
      }
    }
}

TEST_CASE("B20 send_many against close: what it answers is what is received, the rest stays with the sender") {
  const auto parties_are = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(parties_are), support::name_of(size));
    for (int round = 0; round < rounds(support::shared(parties_are, support::scaled(100, 30))); ++round) {
      const auto ch = support::make<token>(size);
      std::vector<token> values;
      for (int i = 0; i < 50; ++i) values.emplace_back(0, i);
      std::size_t sent = 0;
      ids received;
      support::parties parties(parties_are);
      parties.go([&](party me) -> rn::task<> { sent = co_await me.send_many(ch, std::move(values)); });
      parties.go([&, yields = dice(20)] {
        for (std::uint32_t i = 0; i < yields; ++i) rn::detail::yield();
        ch.close();
      });
      const rn::context endless;
      parties.run([&](party me) -> rn::task<> {
        received = co_await me.call(receive_all(me, ch, plain | many, endless, ~std::size_t{0}));
      });
      parties.join();
      REQUIRE(received.size() == sent);
      for (std::size_t i = 0; i < sent; ++i) REQUIRE(received[i] == std::pair(0, static_cast<int>(i)));
      // NOLINTNEXTLINE(bugprone-use-after-move): which were moved from is what is asked
      for (std::size_t i = 0; i < values.size(); ++i) REQUIRE((values[i].count.value() == -1) == (i < sent));
    }
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("B01 B02 the last receiver and the last sender go while the first value is sent, also at the end of a segment") {
  const auto parties_are = GENERATE(values(support::mixes));
  for (const auto size : {support::size_parameter(1), support::size_parameter(64), support::size_parameter()})
    for (const int before : {0, 1, 61, 62, 63, 125}) {
      if (size && before > static_cast<int>(*size)) continue;
      CAPTURE(support::name_of(parties_are), support::name_of(size), before);
      for (int round = 0; round < rounds(support::shared(parties_are, support::scaled(300, 40))); ++round) {
        auto ends = size ? rn::make_channel<token>(*size) : rn::make_channel<token>(rn::unbounded);
        for (int i = 0; i < before; ++i) ends.send.send(token(0, i));
        support::gate start;
        support::parties parties(parties_are);
        parties.go([&, out = ends.send]() mutable {
          start.wait();
          static_cast<void>(out.try_send(token(1, 0)));
          static_cast<void>(out.try_send(token(1, 1)));
          out = nullptr;
        });
        parties.go([&, in = std::exchange(ends.recv, nullptr)]() mutable {
          start.wait();
          in = nullptr;
        });
        start.open();
        ends.send = nullptr;
        parties.join();
        REQUIRE(support::counted::live() == 0);
      }
    }
}

TEST_CASE("B18 a wait that is given up while a peer delivers and a third closes: the value is with exactly one of them") {
  const auto parties_are = GENERATE(values(support::mixes));
  for (const auto size : {support::size_parameter(0), support::size_parameter(1), support::size_parameter()}) {
    CAPTURE(support::name_of(parties_are), support::name_of(size));
    for (int round = 0; round < rounds(support::shared(parties_are, support::scaled(1'000, 150))); ++round) {
      const auto ch = support::make<token>(size);
      auto ctx = rn::with_cancel(rn::context());
      bool sent = false;
      bool kept = false;
      bool received = false;
      support::gate start;
      {
        support::parties parties(parties_are);
        parties.go([&](party me) -> rn::task<> {
          start.wait();
          token t(0, 0);
          sent = static_cast<bool>(co_await me.send(ctx, ch, std::move(t)));
          kept = t.count.value() == 0;  // NOLINT(bugprone-use-after-move): what is asked
        });
        parties.go([&](party me) -> rn::task<> {
          start.wait();
          received = static_cast<bool>(co_await me.recv(ctx, ch));
        });
        parties.go([&] {
          start.wait();
          ctx.cancel();
        });
        parties.go([&] {
          start.wait();
          ch.close();
        });
        start.open();
        parties.join();
      }
      REQUIRE(sent != kept);
      const bool left = static_cast<bool>(ch.try_recv());
      REQUIRE(sent == (received || left));
      REQUIRE_FALSE((received && left));
      REQUIRE(support::counted::live() == 0);
    }
  }
}

TEST_CASE("C37 C66 channels come and go while others use what they carry") {
  const auto parties_are = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(parties_are), support::name_of(size));
    const rn::channel<rn::recv_channel<token>> streams(2);
    support::counter received{0};
    support::parties parties(parties_are);
    for (int r = 0; r < 2; ++r)
      parties.go([&](party me) -> rn::task<> {
        support::values_of all(me, streams);
        while (const auto stream = co_await all.next()) {
          support::values_of values(me, *stream);
          while (const auto t = co_await values.next()) support::add(received, t->number >= 0 ? 1 : 0);
        }
      });
    const int count = rounds(support::shared(parties_are, support::scaled(400, 100)));
    parties.run([&](party me) -> rn::task<> {
      for (int i = 0; i < count; ++i) {
        auto ends = size ? rn::make_channel<token>(*size) : rn::make_channel<token>(rn::unbounded);
        co_await me.send(streams, std::move(ends.recv));
        for (int n = 0; n < 5; ++n) co_await me.send(ends.send, token(0, n));
      }
    });
    streams.close();
    parties.join();
    CHECK(support::read(received) == static_cast<std::uint32_t>(5 * count));
    CHECK(support::counted::live() == 0);
  }
}

}  // namespace channel_stress_test
