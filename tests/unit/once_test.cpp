// once: one function runs to its end, whoever calls, and a function that fails leaves the turn to the next.
#include <runnel/once.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace once_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

using function = std::function<void()>;

auto call(party me, rn::once& o, const function& f) {
  return me.either([&] { o.call(f); }, [&] { return o.async_call(f).operator co_await(); });
}
auto call(party me, const rn::context& ctx, rn::once& o, const function& f) {
  return me.either([&] { return o.call(ctx, f); }, [&] { return o.async_call(ctx, f).operator co_await(); });
}

}  // namespace

TEST_CASE("W12 it runs once, and everybody sees what it did") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = support::shared(how, support::scaled(200, 40)); round > 0; --round) {
    rn::once o;
    int made = 0;
    counter wrong{0};
    support::parties parties(how);
    for (int i = 0; i < 4; ++i)
      parties.go([&](party me) -> rn::task<> {
        const function f = [&made] { ++made; };
        co_await call(me, o, f);
        if (made != 1 || !o.called()) support::add(wrong);
      });
    parties.join();
    REQUIRE(read(wrong) == 0);
    o.call([&] { ++made; });
    REQUIRE(made == 1);
  }
}

TEST_CASE("W12 a function that throws leaves it uncalled, and the next caller tries") {
  rn::once o;
  int runs = 0;
  const auto fails = [&] {
    ++runs;
    throw std::runtime_error("not yet");
  };
  CHECK_THROWS_WITH(o.call(fails), "not yet");
  CHECK_FALSE(o.called());
  CHECK_THROWS_WITH(o.try_call(fails), "not yet");
  CHECK_THROWS_AS(o.call([] { return std::make_error_code(std::errc::io_error); }), std::system_error);
  CHECK_THROWS_AS(rn::sync_wait(o.async_call(fails)), std::runtime_error);
  CHECK_FALSE(o.called());
  CHECK(o.call(rn::context(), [&] { return ++runs; }).status() == rn::status::ok);  // what it returns is dropped
  CHECK(o.called());
  o.call(fails);
  CHECK(runs == 4);
}

TEST_CASE("W12 those who wait for a function that throws try one after the other") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = support::shared(how, support::scaled(200, 40)); round > 0; --round) {
    rn::once o;
    int runs = 0;  // guarded by the once
    counter thrown{0};
    support::parties parties(how);
    for (int i = 0; i < 5; ++i)
      parties.go([&](party me) -> rn::task<> {
        const function f = [&] {
          if (++runs < 3) throw std::runtime_error("not yet");
        };
        try {
          co_await call(me, o, f);
        } catch (const std::runtime_error&) {
          support::add(thrown);
        }
      });
    parties.join();
    REQUIRE(runs == 3);
    REQUIRE(read(thrown) == 2);
    REQUIRE(o.called());
  }
}

TEST_CASE("a call within its own function is an error at once") {
  rn::once o;
  const auto nested = [&] { o.call([] {}); };
  CHECK_THROWS_AS(o.call(nested), std::logic_error);
  CHECK_THROWS_AS(o.call([&] { static_cast<void>(o.try_call([] {})); }), std::logic_error);
  CHECK_THROWS_AS(o.call([&] { static_cast<void>(o.call(rn::context(), [] {})); }), std::logic_error);
  CHECK_THROWS_AS(o.call([&] { rn::sync_wait(o.async_call([] {})); }), std::logic_error);
  CHECK_THROWS_AS(rn::sync_wait(o.async_call(nested)), std::logic_error);
  CHECK_FALSE(o.called());
  rn::once other;
  o.call([&] { other.call([] {}); });
  CHECK(o.called());
  CHECK(other.called());
}

TEST_CASE("a call up to a limit: a function that can run does, one that runs elsewhere is waited for so long") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  rn::once o;
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  support::gate running;
  support::gate go_on;
  bool ran = false;
  const auto outcome_of = [&](const rn::context& ctx) {
    rn::status end = rn::status::would_block;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const function f = [&ran] { ran = true; };
      const auto called = co_await call(me, ctx, o, f);
      end = called.status();
    });
    return end;
  };
  support::parties other(how);
  other.go([&] {
    o.call([&] {
      running.open();
      go_on.wait();
    });
  });
  running.wait();
  CHECK(outcome_of(over) == rn::status::canceled);
  CHECK(outcome_of(rn::with_timeout(rn::context(), 100us)) == rn::status::timed_out);
  CHECK(o.try_call([&] { ran = true; }).status() == rn::status::would_block);
  CHECK(o.try_call_for(100us, [&] { ran = true; }).status() == rn::status::timed_out);
  CHECK(o.try_call_until(rn::clock::now() + 100us, [&] { ran = true; }).status() == rn::status::timed_out);
  CHECK_FALSE(o.called());
  go_on.open();
  other.join();
  CHECK(outcome_of(over) == rn::status::ok);
  CHECK(o.try_call_for(-1s, [&] { ran = true; }).status() == rn::status::ok);
  CHECK_FALSE(ran);
  rn::once fresh;
  CHECK(fresh.call(over, [&] { ran = true; }).status() == rn::status::ok);
  CHECK(ran);
}

TEST_CASE("one that gives up does not lose the turn of those behind it") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = support::shared(how, support::scaled(300, 60)); round > 0; --round) {
    rn::once o;
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    support::gate running;
    support::gate go_on;
    counter ran{0};
    support::parties parties(how);
    parties.go([&] {
      try {
        o.call([&] {
          running.open();
          go_on.wait();
          throw std::runtime_error("not yet");
        });
      } catch (const std::runtime_error&) {
        support::add(ran, 10);
      }
    });
    running.wait();
    parties.go([&](party me) -> rn::task<> {
      const function f = [&ran] { support::add(ran); };
      static_cast<void>(co_await call(me, ctx, o, f));
    });
    parties.go([&](party me) -> rn::task<> {
      const function f = [&ran] { support::add(ran); };
      co_await call(me, o, f);
    });
    parties.go([&] { ctx.cancel(); });
    go_on.open();
    parties.join();
    REQUIRE(read(ran) == 11);
    REQUIRE(o.called());
  }
}

TEST_CASE("a coroutine may be what runs; destroyed, it leaves the turn to the next") {
  rn::runtime places(2);
  rn::once o;
  const rn::channel<void> never;
  counter entered{0};
  int made = 0;
  {
    rn::runtime ends(1);
    ends.go([&] {
      return o.async_call([&]() -> rn::task<> {
        support::add(entered);
        co_await never.async_recv();
        support::add(entered);
      });
    });
    support::wait_for(entered, 1);
    CHECK(o.try_call([] {}).status() == rn::status::would_block);
    auto next = places.async([&] {
      return o.async_call([&made, number = std::make_unique<int>(7)]() -> rn::task<int> {
        made = *number;
        co_return made;
      });
    });
    ends.shutdown(rn::abandon);
    next.get();
  }
  CHECK(read(entered) == 1);
  CHECK(made == 7);
  CHECK(o.called());
  CHECK(rn::sync_wait(o.async_call(rn::context(), [&]() -> rn::task<> {
          made = 8;
          co_return;
        })).status() == rn::status::ok);
  CHECK(made == 7);
}

TEST_CASE("a coroutine that is destroyed while it waits for its turn does not keep it") {
  rn::once o;
  support::gate running;
  support::gate go_on;
  counter arrived{0};
  support::parties parties(support::mix::threads);
  bool ran = false;
  {
    rn::runtime ends(1);
    parties.go([&] {
      try {
        o.call([&] {
          running.open();
          go_on.wait();
          throw std::runtime_error("not yet");
        });
      } catch (const std::runtime_error&) {
        support::add(arrived);
      }
    });
    running.wait();
    ends.go([&] { return o.async_call([&ran] { ran = true; }); });
    ends.go([&] { support::add(arrived); });  // one place: the call has come, and waits
    support::wait_for(arrived, 1);
    ends.shutdown(rn::abandon);
    go_on.open();
    parties.join();
  }
  CHECK(read(arrived) == 2);
  CHECK_FALSE(ran);
  CHECK_FALSE(o.called());
  o.call([&ran] { ran = true; });
  CHECK(ran);
}

}  // namespace once_test
