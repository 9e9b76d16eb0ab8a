// rate_limiter: tokens come at a steady rate, are never there early, and go back from those who give up.
#include <runnel/rate_limiter.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace rate_limiter_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

auto wait(party me, rn::rate_limiter& l, std::size_t n) {
  return me.either([&] { l.wait(n); }, [&] { return l.async_wait(n).operator co_await(); });
}
auto wait(party me, const rn::context& ctx, rn::rate_limiter& l, std::size_t n) {
  return me.either([&] { return l.wait(ctx, n); }, [&] { return l.async_wait(ctx, n).operator co_await(); });
}
/// So slow that no token comes while a test runs.
constexpr double one_in_1000_seconds = 1e-3;
/// In how many thousands of seconds the next token will be there, which is not taken.
long thousands_until_next(rn::rate_limiter& l) {
  auto r = l.reserve();
  const auto seconds = std::chrono::duration<double>(r.delay()).count();
  r.cancel();
  return std::lround(seconds / 1000);
}

/// Waits until somebody has taken what is not there yet. A reservation of this test could be counted on by others.
void wait_until_reserved(rn::rate_limiter& l) {
  support::wait_until([&] { return !l.allow(0); });
}

}  // namespace

TEST_CASE("a burst at once, and then as the tokens come") {
  rn::rate_limiter l(one_in_1000_seconds, 3);
  CHECK(l.allow());
  CHECK_FALSE(l.allow(3));
  CHECK(l.allow(2));
  CHECK_FALSE(l.allow());
  CHECK(l.allow(0));
  CHECK(l.try_wait().status() == rn::status::would_block);
  CHECK(thousands_until_next(l) == 1);
  CHECK_FALSE(l.allow(4));
  CHECK_FALSE(l.reserve(4).ok());
  CHECK(l.reserve(4).delay() == rn::duration::max());
  CHECK(thousands_until_next(l) == 1);
}

TEST_CASE("a rate limiter's misuse is an error at once") {
  CHECK_THROWS_AS(rn::rate_limiter(0, 1), std::invalid_argument);
  CHECK_THROWS_AS(rn::rate_limiter(-1, 1), std::invalid_argument);
  CHECK_THROWS_AS(rn::rate_limiter(std::numeric_limits<double>::quiet_NaN(), 1), std::invalid_argument);
  CHECK_THROWS_AS(rn::rate_limiter(1, 0), std::invalid_argument);
  rn::rate_limiter l(one_in_1000_seconds, 2);
  CHECK_THROWS_AS(l.wait(3), std::logic_error);
  CHECK_THROWS_AS(l.wait(rn::context(), 3), std::logic_error);
  CHECK_THROWS_AS(l.try_wait_for(1s, 3), std::logic_error);
  CHECK_THROWS_AS(l.try_wait_until(rn::clock::now(), 3), std::logic_error);
  CHECK_THROWS_AS(l.async_wait(3), std::logic_error);
  CHECK_THROWS_AS(l.async_wait(rn::context(), 3), std::logic_error);
  CHECK(l.try_wait(3).status() == rn::status::would_block);
  CHECK(l.allow(2));
}

TEST_CASE("an infinite rate lets everything through") {
  rn::rate_limiter l(std::numeric_limits<double>::infinity(), 0);
  CHECK(l.allow(1000));
  l.wait(1000);
  CHECK(l.wait(rn::context(), 7).status() == rn::status::ok);
  auto r = l.reserve(5);
  CHECK(r.ok());
  CHECK(r.delay() == 0s);
  r.cancel();
  rn::rate_limiter slow(1e-300, 1);  // its second token is beyond all times
  CHECK(slow.allow());
  CHECK(slow.reserve().delay() == rn::duration::max());
}

TEST_CASE("reservations are due one after the other, at exact times") {
  rn::rate_limiter l(10, 1);
  const auto first = l.reserve();
  const auto second = l.reserve();
  const auto third = l.reserve(1);
  CHECK(first.delay() == 0s);
  CHECK(second.delay() <= 100ms);
  CHECK(std::chrono::abs(second.at() - first.at() - 100ms) <= 2us);
  CHECK(std::chrono::abs(third.at() - second.at() - 100ms) <= 2us);
}

TEST_CASE("waiting is never over early, whoever waits") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  constexpr int each = 5;
  rn::rate_limiter l(1000, 2);
  const auto begin = rn::clock::now();
  support::parties parties(how);
  for (int i = 0; i < 3; ++i)
    parties.go([&](party me) -> rn::task<> {
      for (int n = 0; n < each; ++n) co_await wait(me, l, 1);
    });
  parties.join();
  CHECK(rn::clock::now() - begin >= (3 * each - 2) * 1ms - 2us);
}

TEST_CASE("what is there is allowed once, whoever asks") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::rate_limiter l(one_in_1000_seconds, 100);
  counter allowed{0};
  support::parties parties(how);
  for (int i = 0; i < 4; ++i)
    parties.go([&] {
      for (int n = 0; n < 50; ++n)
        if (l.allow()) support::add(allowed);
    });
  parties.join();
  CHECK(read(allowed) == 100);
}

TEST_CASE("a wait up to a limit ends at once if the tokens would come later, and takes none") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  rn::rate_limiter l(one_in_1000_seconds, 2);
  const auto outcome_of = [&](const rn::context& ctx) {
    rn::status end = rn::status::would_block;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const auto got = co_await wait(me, ctx, l, 1);
      end = got.status();
    });
    return end;
  };
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  CHECK(outcome_of(over) == rn::status::ok);  // what is there wins
  CHECK(l.try_wait_for(-1s).status() == rn::status::ok);
  const rn::scoped_context long_enough = rn::with_timeout(rn::context(), 900s);
  CHECK(outcome_of(long_enough) == rn::status::timed_out);
  CHECK_FALSE(long_enough.done());
  CHECK(outcome_of(over) == rn::status::canceled);
  CHECK(outcome_of(rn::with_timeout(rn::context(), -1s)) == rn::status::timed_out);
  CHECK(l.try_wait_for(900s).status() == rn::status::timed_out);
  CHECK(l.try_wait_until(rn::clock::now() + 900s).status() == rn::status::timed_out);
  CHECK(thousands_until_next(l) == 1);
  rn::rate_limiter quick(1000, 1);
  CHECK(quick.allow());
  CHECK(quick.try_wait_for(10s).status() == rn::status::ok);
  CHECK(quick.wait(long_enough).status() == rn::status::ok);
}

TEST_CASE("who is canceled while it waits gives its tokens back") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::rate_limiter l(one_in_1000_seconds, 1);
  CHECK(l.allow());
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::status end = rn::status::ok;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    const auto got = co_await wait(me, ctx, l, 1);
    end = got.status();
  });
  wait_until_reserved(l);
  ctx.cancel();
  parties.join();
  CHECK(end == rn::status::canceled);
  CHECK(thousands_until_next(l) == 1);
}

TEST_CASE("a reservation that is canceled gives back what nobody counts on") {
  rn::rate_limiter l(one_in_1000_seconds, 2);
  auto used = l.reserve(2);
  auto later = l.reserve(2);
  CHECK(std::lround(std::chrono::duration<double>(later.delay()).count()) == 2000);
  later.cancel();
  later.cancel();
  CHECK(thousands_until_next(l) == 1);
  auto one = l.reserve(1);
  auto two = l.reserve(2);
  one.cancel();  // the later one is due when it was told, so these stay taken
  CHECK(thousands_until_next(l) == 4);
  two.cancel();
  CHECK(thousands_until_next(l) == 2);
  used.cancel();  // its time has passed
  CHECK(thousands_until_next(l) == 2);
}

TEST_CASE("a reservation is given back once, wherever it was moved to") {
  static_assert(!std::is_copy_constructible_v<rn::rate_limiter::reservation>);
  rn::rate_limiter l(one_in_1000_seconds, 2);
  CHECK(l.allow(2));
  auto later = l.reserve(2);
  auto moved = std::move(later);
  CHECK_FALSE(later.ok());  // NOLINT(bugprone-use-after-move): that is what is tested
  later.cancel();
  CHECK(moved.ok());
  CHECK(thousands_until_next(l) == 3);
  moved.cancel();
  CHECK(thousands_until_next(l) == 1);
  moved = std::move(later);
  CHECK_FALSE(moved.ok());
}

TEST_CASE("a coroutine that is destroyed while it waits gives its tokens back") {
  rn::rate_limiter l(one_in_1000_seconds, 1);
  CHECK(l.allow());
  {
    rn::runtime ends(1);
    ends.go([&] { return l.async_wait(); });
    wait_until_reserved(l);
    ends.shutdown(rn::abandon);
  }
  CHECK(thousands_until_next(l) == 1);
}

TEST_CASE("a reservation's time as a case of a select") {
  rn::rate_limiter l(1000, 1);
  const rn::channel<int> ch;
  CHECK(l.allow());
  const auto r = l.reserve();
  CHECK(rn::select(rn::on_deadline(r.at()), rn::on_recv(ch)) == 0);
  CHECK(r.delay() == 0s);
}

}  // namespace rate_limiter_test
