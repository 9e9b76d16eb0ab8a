// semaphore: permits are exact, in the order of those who came, whatever becomes of a wait.
#include <runnel/semaphore.hpp>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace semaphore_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

/// How many permits are free; while nobody waits.
std::int64_t free_permits(rn::semaphore& s, std::int64_t all) {
  std::int64_t n = 0;
  while (n < all && s.try_acquire()) ++n;
  s.release(n);
  return n;
}
/// Waits until somebody is queued: then not even what is free can be had.
void wait_until_queued(rn::semaphore& s) {
  support::wait_until([&] {
    if (!s.try_acquire(0)) return true;
    s.release(0);
    return false;
  });
}

}  // namespace

TEST_CASE("M03 permits can be tried for, and what was not taken is there for others") {
  rn::semaphore s(2);
  CHECK(s.try_acquire());
  CHECK_FALSE(s.try_acquire(2));
  CHECK(s.try_acquire());
  CHECK_FALSE(s.try_acquire());
  CHECK(s.try_acquire(0));
  s.release(2);
  CHECK(s.try_acquire(2));
  s.release(2);
  CHECK(free_permits(s, 2) == 2);
}

TEST_CASE("M02 more is never given back than is held") {
  rn::semaphore s(2);
  CHECK_THROWS_AS(s.release(), std::logic_error);
  s.acquire();
  CHECK_THROWS_AS(s.release(2), std::logic_error);
  s.release();
  CHECK(free_permits(s, 2) == 2);
}

TEST_CASE("a semaphore's misuse is an error at once") {
  CHECK_THROWS_AS(rn::semaphore(-1), std::invalid_argument);
  CHECK_THROWS_AS(rn::semaphore(std::numeric_limits<std::int64_t>::max()), std::invalid_argument);
  rn::semaphore s(2);
  CHECK_THROWS_AS(s.acquire(3), std::logic_error);
  CHECK_THROWS_AS(s.async_acquire(3), std::logic_error);
  CHECK_THROWS_AS(s.acquire(-1), std::invalid_argument);
  CHECK_THROWS_AS(s.try_acquire(-1), std::invalid_argument);
  CHECK_THROWS_AS(s.acquire(rn::context(), -1), std::invalid_argument);
  CHECK_THROWS_AS(s.release(-1), std::invalid_argument);
  CHECK_THROWS_AS(rn::on_acquire(s, -1), std::invalid_argument);
  CHECK_FALSE(s.try_acquire(3));
  rn::semaphore none(0);
  none.acquire(0);
  CHECK_FALSE(none.try_acquire());
}

TEST_CASE("M01 tasks acquire weights, again and again, and never more than there are") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  constexpr std::int64_t most = 6;
  const int rounds = support::shared(how, support::scaled(4000, 400));
  rn::semaphore s(most);
  rn::detail::atomic<std::int64_t> held{0};
  counter wrong{0};
  support::parties parties(how);
  for (std::int64_t weight = 0; weight <= most; ++weight)
    parties.go([&, weight](party me) -> rn::task<> {
      for (int i = 0; i < rounds; ++i) {
        co_await me.acquire(s, weight);
        if (held.fetch_add(weight, rn::detail::acq_rel) + weight > most) support::add(wrong);
        held.fetch_sub(weight, rn::detail::acq_rel);
        s.release(weight);
      }
    });
  parties.join();
  CHECK(read(wrong) == 0);
  CHECK(free_permits(s, most) == most);
}

TEST_CASE("first come, first served: who needs much is not overtaken by those that need little") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::semaphore s(3);
  s.acquire(2);
  counter much{0};
  counter little{0};
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    co_await me.acquire(s, 3);
    support::add(much);
    s.release(3);
  });
  wait_until_queued(s);
  CHECK_FALSE(s.try_acquire());  // although one is free
  CHECK(s.try_acquire_for(1us).status() == rn::status::timed_out);
  parties.go([&](party me) -> rn::task<> {
    co_await me.acquire(s, 1);
    if (read(much) == 1) support::add(little);
    s.release();
  });
  s.release();
  CHECK(read(much) == 0);
  s.release();
  parties.join();
  CHECK(read(little) == 1);
  CHECK(free_permits(s, 3) == 3);
}

TEST_CASE("M04 M08 B46 a wait up to a limit: what is there wins, and what ends without success has taken nothing") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  rn::semaphore s(2);
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  const auto acquire = [&](const rn::context& ctx, std::int64_t n) {
    rn::status end = rn::status::would_block;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const auto got = co_await me.acquire(ctx, s, n);
      end = got.status();
    });
    return end;
  };
  CHECK(acquire(over, 2) == rn::status::ok);
  CHECK(acquire(over, 1) == rn::status::canceled);
  CHECK(acquire(rn::with_timeout(rn::context(), 100us), 1) == rn::status::timed_out);
  CHECK(s.try_acquire_for(100us).status() == rn::status::timed_out);
  CHECK(s.try_acquire_until(rn::clock::now() + 100us).status() == rn::status::timed_out);
  CHECK(s.try_acquire_for(-1s).status() == rn::status::timed_out);
  s.release(2);
  CHECK(s.try_acquire_for(-1s).status() == rn::status::ok);
  s.release();
  CHECK(acquire(rn::with_timeout(rn::context(), 100us), 3) == rn::status::timed_out);  // never so many: it blocks nobody
  CHECK(free_permits(s, 2) == 2);
}

TEST_CASE("M08 M10 B30 one that gives up lets those behind it go") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::semaphore s(3);
  s.acquire(2);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::status end = rn::status::would_block;
  counter served{0};
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    const auto got = co_await me.acquire(ctx, s, 3);
    end = got.status();
  });
  wait_until_queued(s);
  for (int i = 0; i < 2; ++i)
    parties.go([&](party me) -> rn::task<> {
      co_await me.acquire(s, 1);
      support::add(served);
      s.release();
    });
  ctx.cancel();
  parties.join();
  CHECK(end == rn::status::canceled);
  CHECK(read(served) == 2);
  s.release(2);
  CHECK(free_permits(s, 3) == 3);
}

TEST_CASE("M08 B43 canceled against released: the count is exact, however that ends") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::semaphore s(1);
  for (int i = support::shared(how, support::scaled(2000, 300)); i > 0; --i) {
    s.acquire();
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    rn::status end = rn::status::would_block;
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      const auto got = co_await me.acquire(ctx, s, 1);
      end = got.status();
      if (got) s.release();
    });
    parties.go([&] { ctx.cancel(); });
    s.release();
    parties.join();
    REQUIRE((end == rn::status::ok || end == rn::status::canceled));
    REQUIRE(free_permits(s, 1) == 1);
  }
}

TEST_CASE("M11 a pool: no more tasks at once than there are permits, and all are waited for by taking them all") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  constexpr std::int64_t workers = 3;
  rn::semaphore s(workers);
  counter now{0};
  counter wrong{0};
  std::vector<int> answers(40);
  support::parties parties(how);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    s.acquire();
    parties.go([&, i] {
      if (now.fetch_add(1, rn::detail::acq_rel) >= workers) support::add(wrong);
      answers[i] = static_cast<int>(i);
      now.fetch_sub(1, rn::detail::acq_rel);
      s.release();
    });
  }
  s.acquire(workers);
  CHECK(read(wrong) == 0);
  for (std::size_t i = 0; i < answers.size(); ++i) CHECK(answers[i] == static_cast<int>(i));
  s.release(workers);
  parties.join();
}

TEST_CASE("M10 B43 a coroutine that is destroyed while it waits has acquired nothing, and lets those behind it go") {
  rn::runtime places(2);
  rn::semaphore s(2);
  s.acquire();
  counter acquired{0};
  {
    rn::runtime ends(1);
    ends.go([&]() -> rn::task<> {
      co_await s.async_acquire(2);
      support::add(acquired);
    });
    wait_until_queued(s);
    auto behind = places.async([&]() -> rn::task<> { co_await s.async_acquire(1); });
    ends.shutdown(rn::abandon);
    behind.get();
  }
  CHECK(read(acquired) == 0);
  s.release(2);
  CHECK(free_permits(s, 2) == 2);
}

TEST_CASE("permits as a case of a select: held exactly if the case is chosen") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  rn::semaphore s(2);
  const rn::channel<int> ch(1);
  std::optional<int> value;
  CHECK(support::select(how, rn::on_acquire(s, 2), rn::on_recv(ch, value)) == 0);
  ch.send(7);
  CHECK(support::select(how, rn::on_acquire(s), rn::on_recv(ch, value)) == 1);
  CHECK(value == 7);
  CHECK(support::select(how, rn::on_acquire(s), rn::otherwise()) == 1);
  CHECK(support::select(how, rn::on_acquire(s, 3), rn::on_timeout(100us)) == 1);
  support::parties others(how);
  others.go([&] {
    wait_until_queued(s);
    s.release();
  });
  bool called = false;
  CHECK(support::select(how, rn::on_recv(ch, value), rn::on_acquire(s, 1, [&] { called = true; })) == 1);
  others.join();
  CHECK(called);
  CHECK_FALSE(s.try_acquire());
  s.release(2);
  rn::selector cases;
  cases.add(rn::on_acquire(s, 2));
  CHECK(cases.wait() == 0);
  CHECK(cases.try_wait_for(100us).status() == rn::status::timed_out);
  s.release(2);
  CHECK(free_permits(s, 2) == 2);
}

}  // namespace semaphore_test
