// Selects against plain operations, timeouts, cancels and closes, over threads and coroutines: every value is accounted for, and nobody
// stays behind.
#include <runnel/context.hpp>
#include <runnel/select.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace select_stress_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

using tokens = std::vector<int>;

tokens merged(const std::vector<tokens>& parts) {
  tokens all;
  for (const tokens& part : parts) all.insert(all.end(), part.begin(), part.end());
  std::sort(all.begin(), all.end());
  return all;
}

/// From nothing to 40 microseconds: about as long as a value takes.
rn::duration short_while() { return std::chrono::microseconds(rn::detail::random_below(40)); }

/// Three channels of different kinds.
struct lanes {
  std::array<rn::channel<int>, 3> all{rn::channel<int>(0), rn::channel<int>(2), rn::channel<int>(rn::unbounded)};
  [[nodiscard]] std::size_t queued() const {
    std::size_t n = 0;
    for (const auto& ch : all) n += support::receiving(ch) + support::sending(ch);
    return n;
  }
};

/// Sends up to `count` numbers, by ways that differ between senders 0, 1 and 2. Answers what was sent.
rn::task<tokens> send_tokens(party me, const lanes& shared, const rn::context& ctx, int id, int count) {
  const auto& c = shared.all;
  tokens sent;
  bool open = true;
  int token = id * count;
  const auto keep = [&](rn::send_result r) {
    if (r) sent.push_back(token);
    open = r.status() != rn::status::closed;
  };
  for (const int end = token + count; token < end && open && !ctx.done(); ++token) {
    if (id == 0 && token % 2 == 0)
      keep(co_await me.send(ctx, c[0], token));
    else if (id == 0)
      keep(co_await me.send_for(c[1], short_while(), token));
    else if (id == 1)
      co_await me.select(rn::on_send(c[0], token, keep), rn::on_send(c[1], token, keep), rn::on_timeout(short_while()));
    else
      co_await me.select(rn::on_done(ctx), rn::on_send(c[1], token, keep), rn::on_send(c[0], token, keep),
                         rn::when(token % 50 == 0, rn::on_send(c[2], token, keep)));
  }
  co_return sent;
}

}  // namespace

TEST_CASE("S13 plain peers and selects over channels of four capacities") {
  const auto parties_are = GENERATE(values(support::mixes));
  CAPTURE(support::name_of(parties_are));
  const int each = support::shared(parties_are, support::scaled(10000, 2000));
  const std::array<rn::channel<int>, 4> channels{rn::channel<int>(0), rn::channel<int>(0), rn::channel<int>(2),
                                                 rn::channel<int>(3)};
  std::array<std::uint64_t, 4> plain_sums{};
  std::array<std::uint64_t, 4> select_sums{};
  support::parties parties(parties_are);
  for (std::size_t k = 0; k < channels.size(); ++k) {
    parties.go([&, k](party me) -> rn::task<> {
      for (int i = 0; i < each; ++i) co_await me.send(channels[k], i);
    });
    parties.go([&, k](party me) -> rn::task<> {
      for (int i = 0; i < each; ++i) plain_sums[k] += static_cast<std::uint64_t>(*co_await me.recv(channels[k]));
    });
  }
  parties.go([&](party me) -> rn::task<> {
    auto c = channels;
    std::array<int, 4> next{};
    const auto sent = [&](std::size_t k) {
      return [&, k] {
        if (++next[k] == each) c[k] = nullptr;
      };
    };
    while (co_await me.select(rn::on_send(c[3], next[3], sent(3)), rn::on_send(c[2], next[2], sent(2)),
                              rn::on_send(c[0], next[0], sent(0)), rn::on_send(c[1], next[1], sent(1))) != rn::select_none) {
    }
  });
  parties.go([&](party me) -> rn::task<> {
    auto c = channels;
    std::array<int, 4> count{};
    const auto got = [&](std::size_t k) {
      return [&, k](int v) {
        select_sums[k] += static_cast<std::uint64_t>(v);
        if (++count[k] == each) c[k] = nullptr;
      };
    };
    while (co_await me.select(rn::on_recv(c[0], got(0)), rn::on_recv(c[1], got(1)), rn::on_recv(c[2], got(2)),
                              rn::on_recv(c[3], got(3))) != rn::select_none) {
    }
  });
  parties.join();
  const auto n = static_cast<std::uint64_t>(each);
  for (std::size_t k = 0; k < channels.size(); ++k) {
    CHECK(plain_sums[k] + select_sums[k] == n * (n - 1));
    CHECK(channels[k].size() == 0);
    CHECK(support::receiving(channels[k]) + support::sending(channels[k]) == 0);
  }
}

TEST_CASE("values of selects that time out, are canceled, or find a channel closed are neither lost nor doubled") {
  enum class ending { complete, canceled, closed };
  const auto parties_are = GENERATE(values(support::mixes));
  const ending how = GENERATE(ending::complete, ending::canceled, ending::closed);
  CAPTURE(support::name_of(parties_are), static_cast<int>(how));
  const int each = parties_are == support::mix::threads ? 6000 : 1500;
  const lanes shared;
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  std::vector<tokens> sent(3);
  std::vector<tokens> got(4);
  support::counter received{0};
  support::parties senders(parties_are);
  support::parties receivers(parties_are);

  for (int id = 0; id < 3; ++id)
    senders.go([&, id](party me) -> rn::task<> {
      sent[static_cast<std::size_t>(id)] = co_await me.call(send_tokens(me, shared, ctx, id, each));
    });

  const auto keep = [&](std::size_t id, int token) {
    got[id].push_back(token);
    support::add(received);
  };
  receivers.go([&](party me) -> rn::task<> {
    for (const auto& ch : shared.all)
      while (const auto token = co_await me.recv(ctx, ch)) keep(0, *token);
  });
  receivers.go([&](party me) -> rn::task<> {
    auto c = shared.all;
    int open = 3;
    const auto take = [&](std::size_t lane) {
      return [&, lane](const rn::recv_result<int>& token) {
        if (token) return keep(1, *token);
        c[lane] = nullptr;
        --open;
      };
    };
    while (open > 0)
      co_await me.select(rn::on_recv(c[0], take(0)), rn::on_recv(c[1], take(1)), rn::on_recv(c[2], take(2)),
                         rn::on_timeout(short_while()), rn::on_done(ctx, [&] { open = 0; }));
  });
  receivers.go([&](party me) -> rn::task<> {
    rn::selector cases;
    for (const auto& ch : shared.all) cases.add(rn::on_recv(ch, [&](int token) { keep(2, token); }));
    for (;;) {
      const rn::result<std::size_t> chosen = co_await me.wait(cases, ctx);
      if (!chosen || *chosen == rn::select_none) co_return;
    }
  });

  if (how != ending::complete) support::wait_until([&] { return support::read(received) >= static_cast<std::uint32_t>(each) / 2; });
  if (how == ending::canceled) ctx.cancel();
  if (how == ending::closed)
    for (const auto& ch : shared.all) ch.close();
  senders.join();
  if (how == ending::complete)
    for (const auto& ch : shared.all) ch.close();
  receivers.join();
  for (const auto& ch : shared.all)
    while (const auto token = ch.try_recv()) got[3].push_back(*token);
  CHECK((how == ending::canceled || got[3].empty()));
  CHECK(merged(sent) == merged(got));
  CHECK(shared.queued() == 0);
}

TEST_CASE("S27 S40 selects that send to and receive from every channel, each in another order, pair up exactly") {
  const auto parties_are = GENERATE(values(support::mixes));
  CAPTURE(support::name_of(parties_are));
  const auto exchanges = static_cast<std::uint32_t>(support::shared(parties_are, support::scaled(40000, 8000)));
  const rn::channel<int> a;
  const rn::channel<int> b;
  const rn::channel<int> c;
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  std::vector<tokens> sent(4);
  std::vector<tokens> got(4);
  support::counter received{0};
  support::parties parties(parties_are);
  for (std::size_t id = 0; id < 4; ++id)
    parties.go([&, id](party me) -> rn::task<> {
      std::array<const rn::channel<int>*, 3> order{&a, &b, &c};
      std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(id % 3), order.end());
      if (id == 3) std::swap(order[0], order[2]);
      int token = static_cast<int>(id) << 24;
      const auto keep_sent = [&] { sent[id].push_back(token++); };
      const auto keep_got = [&](int v) {
        got[id].push_back(v);
        support::add(received);
      };
      bool on = true;
      while (on)
        co_await me.select(rn::on_send(*order[0], token, keep_sent), rn::on_recv(*order[0], keep_got),
                           rn::on_send(*order[1], token, keep_sent), rn::on_recv(*order[1], keep_got),
                           rn::on_recv(*order[2], keep_got), rn::on_send(*order[2], token, keep_sent),
                           rn::on_done(ctx, [&] { on = false; }));
    });
  support::wait_until([&] { return support::read(received) >= exchanges; });
  ctx.cancel();
  parties.join();
  CHECK(merged(sent) == merged(got));
  for (const auto& ch : {a, b, c}) CHECK(support::receiving(ch) + support::sending(ch) == 0);
}

TEST_CASE(
    "a select that sends, one that receives, and a close or the end of a handle: one outcome, and every value destroyed once") {
  const auto parties_are = GENERATE(values(support::mixes));
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  CAPTURE(support::name_of(parties_are), support::name_of(capacity));
  const int rounds = support::shared(parties_are, support::scaled(3000, 800));
  const auto before = support::counted::live();
  for (int i = 0; i < rounds; ++i) {
    auto x = capacity ? rn::make_channel<support::counted>(*capacity) : rn::make_channel<support::counted>(rn::unbounded);
    auto y = rn::make_channel<support::counted>(1);
    support::counted value(i);
    rn::status sent = rn::status::would_block;
    rn::status received = rn::status::would_block;
    std::optional<support::counted> got;
    const auto keep = [&](rn::recv_result<support::counted> r) {
      received = r.status();
      if (r) got.emplace(*std::move(r));
    };
    {
      support::parties parties(parties_are);
      parties.go([&, out = x.send](party me) -> rn::task<> {
        co_await me.select(rn::on_send(out, std::move(value), [&](rn::send_result r) { sent = r.status(); }),
                           rn::when(i % 2 == 0, rn::on_timeout(short_while())));
      });
      if (i % 3 == 0)
        parties.go([out = std::exchange(x.send, nullptr)] { out.close(); });
      else
        x.send = nullptr;
      parties.run([&](party me) -> rn::task<> { co_await me.select(rn::on_recv(y.recv, keep), rn::on_recv(x.recv, keep)); });
      parties.join();
    }
    REQUIRE((sent == rn::status::ok) == (value.value() == -1));
    if (got) REQUIRE(got->value() == i);
    if (got) REQUIRE(sent == rn::status::ok);
    if (!got) REQUIRE(received == rn::status::closed);
    if (capacity == 0U) REQUIRE(got.has_value() == (sent == rn::status::ok));
  }
  CHECK(support::counted::live() == before);
}

}  // namespace select_stress_test
