// Power series, term by term on demand: a series is a pair of channels, one to ask for the next term, one for the answer.
// After McIlroy, "Squinting at Power Series", and Go's test/chan/powser1. The tasks of the graph are functions, coroutines, or both by
// turns.
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"

namespace power_series_test {

namespace rn = runnel;
using support::party;

namespace {

struct rational {
  std::int64_t num = 0;
  std::int64_t den = 1;
  rational(std::int64_t n = 0, std::int64_t d = 1) : num(n), den(d) {  // NOLINT(google-explicit-constructor): a number
    const std::int64_t g = std::gcd(num, den);
    num /= g;
    den /= g;
  }
  friend rational operator+(rational a, rational b) { return {a.num * b.den + b.num * a.den, a.den * b.den}; }
  friend rational operator*(rational a, rational b) { return {a.num * b.num, a.den * b.den}; }
  friend bool operator==(const rational&, const rational&) = default;
};

struct series {
  rn::channel<void> ask;
  rn::channel<rational> answer;

  [[nodiscard]] rn::task<std::optional<rational>> get(party me, rn::context ctx) const {
    const auto asked = co_await me.send(ctx, ask);
    if (!asked) co_return std::nullopt;
    const auto term = co_await me.recv(ctx, answer);
    co_return term.to_optional();
  }
  // Answers are named before they are asked: g++ 12 loses its way after a co_await in the condition of an if.
  /// Waits to be asked. False: the program has ended.
  [[nodiscard]] rn::task<bool> asked(party me, rn::context ctx) const {
    const auto signal = co_await me.recv(ctx, ask);
    co_return signal.status() == rn::status::ok;
  }
  [[nodiscard]] rn::task<bool> reply(party me, rn::context ctx, rational term) const {
    const auto sent = co_await me.send(ctx, answer, term);
    co_return sent.status() == rn::status::ok;
  }
  /// Answers a request, and waits for the next one: a term that nobody has asked for is never worked out. A graph that feeds on itself
  /// would ask for terms of itself that it has not got yet. False: as above.
  [[nodiscard]] rn::task<bool> put(party me, rn::context ctx, rational term) const {
    const bool sent = co_await me.call(reply(me, ctx, term));
    if (!sent) co_return false;
    const bool goes_on = co_await me.call(asked(me, ctx));
    co_return goes_on;
  }
};

class power_series {
  using terms_function = std::function<rn::task<>(party, rn::context, series)>;

 public:
  power_series(rn::errgroup& tasks, support::mix how) : tasks_(tasks), how_(how) {}

  series make(terms_function terms) {
    series out;
    if (support::blocks_at(how_, turn_.fetch_add(1, rn::detail::acq_rel)))
      tasks_.go([out, terms = std::move(terms)](const rn::context& ctx) { rn::sync_wait(terms(party(true), ctx, out)); });
    else
      tasks_.go([out, terms = std::move(terms)](const rn::context& ctx) { return terms(party(false), ctx, out); });
    return out;
  }
  /// Two readers of one series, at their own pace: what the one has had is kept for the other.
  std::pair<series, series> split(const series& in) {
    struct shared {
      rn::guarded<std::vector<rational>> terms;
      rn::channel<void> turn{1};  // who has put the signal in may ask for the next term
    };
    const auto state = std::make_shared<shared>();
    const auto known = [state](std::size_t n) {
      return state->terms.with([&](const auto& t) { return n < t.size() ? std::optional(t[n]) : std::nullopt; });
    };
    const auto fetched = [=](party me, rn::context ctx, std::size_t n) -> rn::task<std::optional<rational>> {
      const auto taken = co_await me.send(ctx, state->turn);
      if (!taken) co_return std::nullopt;
      auto term = known(n);
      if (!term) {
        term = co_await me.call(in.get(me, ctx));
        if (!term) co_return std::nullopt;
        state->terms.with([&](auto& t) { t.push_back(*term); });
      }
      static_cast<void>(state->turn.try_recv());
      co_return term;
    };
    const auto reader = [=](party me, rn::context ctx, series out) -> rn::task<> {
      bool goes_on = co_await me.call(out.asked(me, ctx));
      for (std::size_t n = 0; goes_on; ++n) {
        auto term = known(n);
        if (!term) term = co_await me.call(fetched(me, ctx, n));
        if (!term) break;
        goes_on = co_await me.call(out.put(me, ctx, *term));
      }
    };
    return {make(reader), make(reader)};
  }
  series add(const series& u, const series& v) {
    return make([=](party me, rn::context ctx, series out) -> rn::task<> {
      bool goes_on = co_await me.call(out.asked(me, ctx));
      while (goes_on) {
        const auto a = co_await me.call(u.get(me, ctx));
        const auto b = co_await me.call(v.get(me, ctx));
        if (!a || !b) break;
        goes_on = co_await me.call(out.put(me, ctx, *a + *b));
      }
    });
  }
  series scale(rational by, const series& u) {
    return make([=](party me, rn::context ctx, series out) -> rn::task<> {
      bool goes_on = co_await me.call(out.asked(me, ctx));
      while (goes_on) {
        const auto a = co_await me.call(u.get(me, ctx));
        if (!a) break;
        goes_on = co_await me.call(out.put(me, ctx, by * *a));
      }
    });
  }
  /// The terms of u, after one that is put before them.
  series shift(rational first, const series& u) {
    return make([=](party me, rn::context ctx, series out) -> rn::task<> {
      const bool first_asked = co_await me.call(out.asked(me, ctx));
      if (!first_asked) co_return;
      bool goes_on = co_await me.call(out.put(me, ctx, first));
      while (goes_on) {
        const auto term = co_await me.call(u.get(me, ctx));
        if (!term) break;
        goes_on = co_await me.call(out.put(me, ctx, *term));
      }
    });
  }
  /// (u + xU)(v + xV) = uv + x(uV + vU + xUV)
  series multiply(const series& f, const series& g) {
    return make([this, f, g](party me, rn::context ctx, series out) -> rn::task<> {
      const bool first_asked = co_await me.call(out.asked(me, ctx));
      if (!first_asked) co_return;
      const auto u = co_await me.call(f.get(me, ctx));
      const auto v = co_await me.call(g.get(me, ctx));
      if (!u || !v) co_return;
      bool goes_on = co_await me.call(out.put(me, ctx, *u * *v));
      if (!goes_on) co_return;  // the rest is set up on demand
      const auto [f1, f2] = split(f);
      const auto [g1, g2] = split(g);
      const series rest = add(add(scale(*u, g1), scale(*v, f1)), shift(0, multiply(f2, g2)));
      while (goes_on) {
        const auto term = co_await me.call(rest.get(me, ctx));
        if (!term) break;
        goes_on = co_await me.call(out.put(me, ctx, *term));
      }
    });
  }
  series integrate(rational constant, const series& u) {
    return make([=](party me, rn::context ctx, series out) -> rn::task<> {
      const bool first_asked = co_await me.call(out.asked(me, ctx));
      if (!first_asked) co_return;
      bool goes_on = co_await me.call(out.put(me, ctx, constant));
      for (std::int64_t n = 1; goes_on; ++n) {
        const auto term = co_await me.call(u.get(me, ctx));
        if (!term) break;
        goes_on = co_await me.call(out.put(me, ctx, *term * rational(1, n)));
      }
    });
  }
  /// Feeds one series into another that was promised before it existed.
  void connect(const series& from, const series& to) {
    make([=](party me, rn::context ctx, series /*none*/) -> rn::task<> {
      bool goes_on = co_await me.call(to.asked(me, ctx));
      while (goes_on) {
        const auto term = co_await me.call(from.get(me, ctx));
        if (!term) break;
        goes_on = co_await me.call(to.put(me, ctx, *term));
      }
    });
  }

 private:
  rn::errgroup& tasks_;
  support::mix how_;
  support::counter turn_{0};  // the graph grows in its own tasks
};

std::vector<rational> terms_of(const series& s, int n, support::mix how) {
  std::vector<rational> out;
  const party me(how == support::mix::threads);
  for (int i = 0; i < n; ++i) out.push_back(rn::sync_wait(s.get(me, rn::context())).value());
  return out;
}

}  // namespace

TEST_CASE("C24 power series by demand: exp and tan, through a graph of tasks that grows and is torn down") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::errgroup tasks(rn::context(), {.limit = 0, .collect_all = false, .on = &support::places()});
  power_series ps(tasks, how);
  series promised;
  const auto [exp, exp_again] = ps.split(ps.integrate(1, promised));
  ps.connect(exp_again, promised);  // exp' = exp
  CHECK(terms_of(exp, 8, how) == std::vector<rational>{1, 1, {1, 2}, {1, 6}, {1, 24}, {1, 120}, {1, 720}, {1, 5040}});
  series square_plus_one;
  const auto [tan, tan_again] = ps.split(ps.integrate(0, square_plus_one));
  const auto [left, right] = ps.split(tan_again);
  const series one = ps.make([](party me, rn::context ctx, series out) -> rn::task<> {
    bool goes_on = co_await me.call(out.asked(me, ctx));
    if (goes_on) goes_on = co_await me.call(out.put(me, ctx, 1));
    while (goes_on) goes_on = co_await me.call(out.put(me, ctx, 0));
  });
  ps.connect(ps.add(one, ps.multiply(left, right)), square_plus_one);  // tan' = 1 + tan^2
  CHECK(terms_of(tan, 8, how) == std::vector<rational>{0, 1, 0, {1, 3}, 0, {2, 15}, 0, {17, 315}});
  tasks.cancel();
  CHECK(tasks.wait_result() == nullptr);
}

}  // namespace power_series_test
