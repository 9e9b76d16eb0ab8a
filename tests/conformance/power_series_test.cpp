// Power series, term by term on demand: a series is a pair of channels, one to ask for the next term, one for the answer.
// After McIlroy, "Squinting at Power Series", and Go's test/chan/powser1.
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

namespace power_series_test {

namespace rn = runnel;

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

  [[nodiscard]] rn::result<rational> get(const rn::context& ctx) const {
    if (!ask.send(ctx)) return answer.try_recv();
    return answer.recv(ctx);
  }
  /// Answers one request. False: the program has ended.
  [[nodiscard]] bool put(const rn::context& ctx, rational term) const { return ask.recv(ctx) && answer.send(ctx, term); }
};

class power_series {
 public:
  explicit power_series(rn::errgroup& tasks) : tasks_(tasks) {}

  series make(std::function<void(const rn::context&, const series&)> terms) {
    series out;
    tasks_.go([out, terms = std::move(terms)](const rn::context& ctx) { terms(ctx, out); });
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
    const auto fetched = [=](const rn::context& ctx, std::size_t n) -> std::optional<rational> {
      if (!state->turn.send(ctx)) return std::nullopt;
      auto term = known(n);
      if (!term) {
        term = in.get(ctx);
        if (!term) return std::nullopt;
        state->terms.with([&](auto& t) { t.push_back(*term); });
      }
      static_cast<void>(state->turn.try_recv());
      return term;
    };
    const auto reader = [=](const rn::context& ctx, const series& out) {
      for (std::size_t n = 0; out.ask.recv(ctx); ++n) {
        auto term = known(n);
        if (!term) term = fetched(ctx, n);
        if (!term || !out.answer.send(ctx, *term)) return;
      }
    };
    return {make(reader), make(reader)};
  }
  series add(const series& u, const series& v) {
    return make([=](const rn::context& ctx, const series& out) {
      for (;;) {
        const auto a = u.get(ctx);
        const auto b = v.get(ctx);
        if (!a || !b || !out.put(ctx, *a + *b)) return;
      }
    });
  }
  series scale(rational by, const series& u) {
    return make([=](const rn::context& ctx, const series& out) {
      for (;;) {
        const auto a = u.get(ctx);
        if (!a || !out.put(ctx, by * *a)) return;
      }
    });
  }
  /// The terms of u, after one that is put before them.
  series shift(rational first, const series& u) {
    return make([=](const rn::context& ctx, const series& out) {
      for (auto term = out.put(ctx, first) ? u.get(ctx) : u.answer.try_recv(); term && out.put(ctx, *term);) term = u.get(ctx);
    });
  }
  /// (u + xU)(v + xV) = uv + x(uV + vU + xUV)
  series multiply(const series& f, const series& g) {
    return make([this, f, g](const rn::context& ctx, const series& out) {
      if (!out.ask.recv(ctx)) return;
      const auto u = f.get(ctx);
      const auto v = g.get(ctx);
      if (!u || !v || !out.answer.send(ctx, *u * *v)) return;
      if (!out.ask.recv(ctx)) return;  // the rest is set up on demand
      const auto [f1, f2] = split(f);
      const auto [g1, g2] = split(g);
      const series rest = add(add(scale(*u, g1), scale(*v, f1)), shift(0, multiply(f2, g2)));
      for (;;) {
        const auto term = rest.get(ctx);
        if (!term || !out.answer.send(ctx, *term) || !out.ask.recv(ctx)) return;
      }
    });
  }
  series integrate(rational constant, const series& u) {
    return make([=](const rn::context& ctx, const series& out) {
      if (!out.put(ctx, constant)) return;
      for (std::int64_t n = 1;; ++n) {
        const auto term = u.get(ctx);
        if (!term || !out.put(ctx, *term * rational(1, n))) return;
      }
    });
  }
  /// Feeds one series into another that was promised before it existed.
  void connect(const series& from, const series& to) {
    tasks_.go([=](const rn::context& ctx) {
      for (;;) {
        if (!to.ask.recv(ctx)) return;
        const auto term = from.get(ctx);
        if (!term || !to.answer.send(ctx, *term)) return;
      }
    });
  }

 private:
  rn::errgroup& tasks_;
};

std::vector<rational> terms_of(const series& s, int n) {
  std::vector<rational> out;
  for (int i = 0; i < n; ++i) out.push_back(*s.get(rn::context()));
  return out;
}

}  // namespace

TEST_CASE("C24 power series by demand: exp and tan, through a graph of tasks that grows and is torn down") {
  rn::errgroup tasks;
  power_series ps(tasks);
  series promised;
  const auto [exp, exp_again] = ps.split(ps.integrate(1, promised));
  ps.connect(exp_again, promised);  // exp' = exp
  CHECK(terms_of(exp, 8) == std::vector<rational>{1, 1, {1, 2}, {1, 6}, {1, 24}, {1, 120}, {1, 720}, {1, 5040}});
  series square_plus_one;
  const auto [tan, tan_again] = ps.split(ps.integrate(0, square_plus_one));
  const auto [left, right] = ps.split(tan_again);
  const series one = ps.make([](const rn::context& ctx, const series& out) {
    for (rational term = 1; out.put(ctx, term); term = 0) {
    }
  });
  ps.connect(ps.add(one, ps.multiply(left, right)), square_plus_one);  // tan' = 1 + tan^2
  CHECK(terms_of(tan, 8) == std::vector<rational>{0, 1, 0, {1, 3}, 0, {2, 15}, 0, {17, 315}});
  tasks.cancel();
  CHECK(tasks.wait_result() == nullptr);
}

}  // namespace power_series_test
