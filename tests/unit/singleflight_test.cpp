// singleflight: one call for all who want the same at the same time, whatever becomes of it.
#include <runnel/singleflight.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace singleflight_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

using calls = rn::singleflight<std::string, std::string>;
using function = std::function<std::string()>;

auto run(party me, calls& c, const std::string& key, const function& f) {
  return me.either([&] { return c.run(key, f); }, [&] { return c.async_run(key, f).operator co_await(); });
}
auto run(party me, const rn::context& ctx, calls& c, const std::string& key, const function& f) {
  return me.either([&] { return c.run(ctx, key, f); }, [&] { return c.async_run(ctx, key, f).operator co_await(); });
}
const function at_once = [] { return std::string("at once"); };

template <class Flights, class K, class F>
concept runs = requires(Flights flights, K key, F f) { flights.run(key, std::move(f)); };

/// A flight under way, until it is told to end.
class held_flight {
 public:
  held_flight(calls& c, std::string key, function then)
      : answer_(c.run_async(key, [this, then = std::move(then)] {
          running_.open();
          end_.wait();
          return then();
        })) {
    running_.wait();
  }
  void end() { end_.open(); }
  calls::outcome get() { return answer_.get(); }

 private:
  support::gate running_;
  support::gate end_;
  rn::future<calls::outcome> answer_;
};

/// A key without a hash.
struct place {
  int x;
  int y;
  friend auto operator<=>(const place&, const place&) = default;
};

}  // namespace

TEST_CASE("F01 F02 one call, one value or one error") {
  calls c;
  const auto got = c.run("key", [] { return "bar"; });
  CHECK(got.value == "bar");
  CHECK_FALSE(got.shared);
  CHECK_THROWS_WITH(c.run("key", []() -> std::string { throw std::runtime_error("failed"); }), "failed");
  CHECK(c.run("key", at_once).value == "at once");  // nothing is kept
  CHECK(c.try_run("key", at_once)->value == "at once");
  CHECK(c.run(rn::context(), "key", at_once)->value == "at once");
  CHECK(c.try_run_for(-1s, "key", at_once)->value == "at once");
  CHECK(c.try_run_until(rn::clock::now(), "key", at_once)->value == "at once");
  rn::singleflight<place, int> by_order;
  CHECK(by_order.run({1, 2}, [] { return 3; }).value == 3);
}

TEST_CASE("F03 F09 the answer as a future, of a function and of a coroutine") {
  calls c;
  CHECK(c.run_async("key", [] { return "bar"; }).get().value == "bar");
  CHECK_THROWS_WITH(c.run_async("key", []() -> std::string { throw std::runtime_error("failed"); }).get(), "failed");
  auto coroutine = c.run_async("key", [text = std::string("bar")]() -> rn::task<std::string> {
    co_await rn::async_sleep_for(1us);
    co_return text;
  });
  CHECK(coroutine.get().value == "bar");
  auto failing = c.run_async("key", []() -> rn::task<std::string> {
    co_await rn::async_sleep_for(1us);
    throw std::runtime_error("failed");
  });
  CHECK_THROWS_AS(failing.get(), std::runtime_error);
  CHECK(rn::sync_wait(c.async_run("key", []() -> rn::task<std::string> { co_return "bar"; })).value == "bar");
  CHECK(rn::sync_wait(c.async_run(rn::context(), "key", []() -> rn::task<std::string> { co_return "bar"; }))->value == "bar");
}

TEST_CASE("F04 those who come while it runs share one call") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = support::shared(how, support::scaled(100, 20)); round > 0; --round) {
    calls c;
    counter ran{0};
    counter wrong{0};
    counter shared{0};
    counter arrived{0};
    support::parties parties(how);
    for (int i = 0; i < 5; ++i)
      parties.go([&](party me) -> rn::task<> {
        const function f = [&] {
          support::add(ran);
          support::wait_until([&] { return read(arrived) >= 3; });  // the others are on their way, at least
          return std::string("bar");
        };
        support::add(arrived);
        const auto got = co_await run(me, c, "key", f);
        if (got.value != "bar") support::add(wrong);
        if (got.shared) support::add(shared);
      });
    parties.join();
    REQUIRE(read(wrong) == 0);
    REQUIRE((read(ran) >= 1 && read(ran) <= 5));
    REQUIRE(read(shared) != 1);
    if (read(ran) == 1) REQUIRE(read(shared) == 5);
  }
}

TEST_CASE("F05 B45 a forgotten key runs anew, and the flight that was forgotten does not end the new one") {
  calls c;
  held_flight first(c, "key", [] { return "first"; });
  auto joined = c.run_async("key", at_once);
  c.forget("key");
  c.forget("another");
  held_flight second(c, "key", [] { return "second"; });
  first.end();
  const auto got = first.get();
  CHECK(got.value == "first");
  CHECK(got.shared);
  CHECK(joined.get().value == "first");
  auto third = c.run_async("key", at_once);  // still the second
  second.end();
  CHECK(second.get().value == "second");
  CHECK(third.get().value == "second");
  CHECK(c.run("key", at_once).value == "at once");
}

TEST_CASE("F09 F10 everybody of a flight gets the exception, of its own type") {
  struct special : std::runtime_error {
    special() : std::runtime_error("special") {}
  };
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  // Kept until all have ended: who frees it last is not seen by ThreadSanitizer.
  const std::exception_ptr thrown = std::make_exception_ptr(special());
  calls c;
  counter caught{0};
  counter late{0};
  {
    held_flight flight(c, "key", [&]() -> std::string { std::rethrow_exception(thrown); });
    support::parties parties(how);
    for (int i = 0; i < 3; ++i)
      parties.go([&](party me) -> rn::task<> {
        const function f = [] { return std::string("too late"); };
        try {
          const auto got = co_await run(me, c, "key", f);
          if (got.value == "too late") support::add(late);
        } catch (const special&) {
          support::add(caught);
        }
      });
    auto joined = c.run_async("key", at_once);
    CHECK(joined.try_get_for(1us).status() == rn::status::timed_out);
    support::wait_until([&] {
      flight.end();
      return joined.ready();
    });
    CHECK_THROWS_AS(joined.get(), special);
    CHECK_THROWS_AS(flight.get(), special);
    parties.join();
  }
  CHECK(read(caught) + read(late) == 3);  // those who came too late had a flight of their own
  CHECK(c.run("key", at_once).value == "at once");
}

TEST_CASE("a key may have an operator& of its own, and a function that is called once only is refused") {
  struct key {
    int number;
    bool operator<(const key& other) const { return number < other.number; }
    const key* operator&() const = delete;  // NOLINT(google-runtime-operator): that is what is tested
  };
  struct used_up {
    int operator()() && { return 1; }
  };
  rn::singleflight<key, int> f;
  CHECK(f.run(key{1}, [] { return 7; }).value == 7);
  static_assert(runs<rn::singleflight<key, int>, key, int (*)()> && !runs<rn::singleflight<key, int>, key, used_up>);
}

TEST_CASE("F12 a function may ask for another key, not for its own") {
  calls c;
  CHECK(c.run("a", [&] { return c.run("b", at_once).value; }).value == "at once");
  CHECK_THROWS_AS(c.run("a", [&] { return c.run("a", at_once).value; }), std::logic_error);
  CHECK_THROWS_AS(c.run("a", [&] { return c.run(rn::context(), "a", at_once)->value; }), std::logic_error);
  CHECK_THROWS_AS(c.run("a", [&] { return c.try_run("a", at_once)->value; }), std::logic_error);
  CHECK_THROWS_AS(c.run("a", [&] { return rn::sync_wait(c.async_run("a", at_once)).value; }), std::logic_error);
  CHECK_THROWS_AS(c.run_async("a", [&] { return c.run_async("a", at_once).get().value; }).get(), std::logic_error);
  CHECK_THROWS_AS(c.run("a", [&] { return c.run("b", [&] { return c.run("a", at_once).value; }).value; }), std::logic_error);
  CHECK(c.run("a", [&] {
           c.forget("a");
           return c.run("a", at_once).value;
         }).value == "at once");
}

TEST_CASE("who gives up leaves the flight to the others") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  calls c;
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  const auto outcome_of = [&](const rn::context& ctx) {
    rn::status end = rn::status::would_block;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const auto got = co_await run(me, ctx, c, "key", at_once);
      end = got.status();
    });
    return end;
  };
  CHECK(outcome_of(over) == rn::status::ok);  // it waits for nobody
  held_flight flight(c, "key", [] { return "held"; });
  CHECK(c.try_run("key", at_once).status() == rn::status::would_block);
  CHECK(outcome_of(over) == rn::status::canceled);
  CHECK(outcome_of(rn::with_timeout(rn::context(), 100us)) == rn::status::timed_out);
  CHECK(c.try_run_for(100us, "key", at_once).status() == rn::status::timed_out);
  CHECK(c.try_run_until(rn::clock::now() + 100us, "key", at_once).status() == rn::status::timed_out);
  auto joined = c.run_async("key", at_once);
  flight.end();
  CHECK(flight.get().shared);
  CHECK(joined.get().value == "held");
}

TEST_CASE("a flight whose function is destroyed ends with a context_error") {
  calls c;
  rn::runtime places(2);
  const rn::channel<void> never;
  counter entered{0};
  std::optional<rn::future<calls::outcome>> joined;
  {
    rn::runtime ends(1);
    ends.go([&]() -> rn::task<> {
      const auto waits = [&]() -> rn::task<std::string> {
        support::add(entered);
        co_await never.async_recv();
        co_return "never";
      };
      co_await c.async_run("key", waits);
    });
    support::wait_for(entered, 1);
    joined = places.async([&] { return c.run("key", at_once); });
    CHECK(joined->try_get_for(100us).status() == rn::status::timed_out);
    ends.shutdown(rn::abandon);
  }
  std::string answer;
  try {
    answer = joined->get().value;  // it may have come too late
  } catch (const rn::context_error& e) {
    if (e.code() == rn::status::canceled) answer = "destroyed";
  }
  CHECK((answer == "destroyed" || answer == "at once"));
  CHECK(c.run("key", at_once).value == "at once");
}

TEST_CASE("what run_async started may outlive the singleflight") {
  support::gate end;
  rn::future<calls::outcome> answer;
  {
    calls c;
    answer = c.run_async("key", [&] {
      end.wait();
      return "late";
    });
  }
  end.open();
  CHECK(answer.get().value == "late");
}

}  // namespace singleflight_test
