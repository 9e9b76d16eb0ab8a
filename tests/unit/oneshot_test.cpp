// oneshot: one value is set, and taken, once; and whoever waits learns that none will come.
#include <runnel/oneshot.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace oneshot_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

template <class T>
auto get(party me, const rn::oneshot<T>& from) {
  return me.either([&] { return from.get(); }, [&] { return from.async_get(); });
}
template <class T>
auto get(party me, const rn::context& ctx, const rn::oneshot<T>& from) {
  return me.either([&] { return from.get(ctx); }, [&] { return from.async_get(ctx); });
}

}  // namespace

TEST_CASE("a value is set once, and taken once") {
  rn::oneshot<std::string> o;
  CHECK(o.try_get().status() == rn::status::would_block);
  const std::string text = "one";
  o.set(text);
  CHECK_THROWS_AS(o.set("two"), std::logic_error);
  std::string kept = "three";
  CHECK_THROWS_AS(o.set(std::move(kept)), std::logic_error);
  CHECK(kept == "three");  // NOLINT(bugprone-use-after-move): it was not moved from
  o.close();               // there is a value: nothing is given up
  CHECK(o.get().value() == "one");
  CHECK(o.get().status() == rn::status::closed);
  CHECK(o.try_get().status() == rn::status::closed);
  CHECK_THROWS_AS(o.set("four"), std::logic_error);
}

TEST_CASE("whoever waits gets the value, exactly one of them") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = support::shared(how, support::scaled(300, 60)); round > 0; --round) {
    rn::oneshot<int> o;
    counter sum{0};
    counter closed{0};
    support::parties parties(how);
    for (int i = 0; i < 3; ++i)
      parties.go([&, copy = o](party me) -> rn::task<> {
        const auto got = co_await get(me, copy);
        if (got)
          support::add(sum, static_cast<std::uint32_t>(*got));
        else if (got.status() == rn::status::closed)
          support::add(closed);
      });
    parties.go([&] { o.set(7); });
    parties.join();
    REQUIRE(read(sum) == 7);
    REQUIRE(read(closed) == 2);
  }
}

TEST_CASE("of several that set, one succeeds") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = support::shared(how, support::scaled(300, 60)); round > 0; --round) {
    rn::oneshot<int> o;
    counter refused{0};
    support::parties parties(how);
    for (int i = 1; i <= 3; ++i)
      parties.go([&, i] {
        try {
          o.set(i);
        } catch (const std::logic_error&) {
          support::add(refused);
        }
      });
    const int got = o.get().value();
    parties.join();
    REQUIRE((got >= 1 && got <= 3));
    REQUIRE(read(refused) == 2);
    REQUIRE(o.get().status() == rn::status::closed);
  }
}

TEST_CASE("given up, by hand or with the last handle, it answers closed") {
  rn::oneshot<int> o;
  o.close();
  o.close();
  CHECK(o.get().status() == rn::status::closed);
  int value = 1;
  CHECK_THROWS_AS(o.set(value), rn::channel_closed);

  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::oneshot<std::unique_ptr<int>> dropped;
  const auto answer = dropped.channel();
  rn::status end = rn::status::ok;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    const auto got = co_await me.recv(answer);
    end = got.status();
  });
  parties.go([mine = std::move(dropped)] { static_cast<void>(mine); });
  parties.join();
  CHECK(end == rn::status::closed);
  CHECK_FALSE(dropped.valid());  // NOLINT(bugprone-use-after-move): what it says of itself
}

TEST_CASE("a value outlives the handle that set it") {
  rn::recv_channel<support::counted> answer;
  {
    const rn::oneshot<support::counted> o;
    answer = o.channel();
    o.set(support::counted(5));
  }
  CHECK(answer.recv()->value() == 5);
  CHECK(answer.recv().status() == rn::status::closed);
  {
    const rn::oneshot<support::counted> untaken;
    untaken.set(support::counted(6));
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("a oneshot that was moved from is refused") {
  rn::oneshot<int> o;
  const rn::oneshot<int> other = std::move(o);
  rn::oneshot<int>& empty = o;  // NOLINT(bugprone-use-after-move): what is refused
  CHECK_THROWS_AS(empty.set(1), std::logic_error);
  CHECK_THROWS_AS(empty.get(), std::logic_error);
  CHECK_THROWS_AS(empty.try_get(), std::logic_error);
  CHECK_THROWS_AS(empty.close(), std::logic_error);
  CHECK_THROWS_AS(empty.channel(), std::logic_error);
  empty = other;
  CHECK(empty == other);
  other.set(2);
  CHECK(empty.get().value() == 2);
}

TEST_CASE("a get up to a limit: what is there wins, and what ends without a value has taken none") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const rn::oneshot<int> o;
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  const auto outcome_of = [&](const rn::context& ctx) {
    rn::status end = rn::status::would_block;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const auto got = co_await get(me, ctx, o);
      end = got.status();
    });
    return end;
  };
  CHECK(outcome_of(over) == rn::status::canceled);
  CHECK(outcome_of(rn::with_timeout(rn::context(), 100us)) == rn::status::timed_out);
  CHECK(o.try_get_for(100us).status() == rn::status::timed_out);
  CHECK(o.try_get_until(rn::clock::now() + 100us).status() == rn::status::timed_out);
  o.set(1);
  CHECK(outcome_of(over) == rn::status::ok);
  CHECK(o.try_get_for(-1s).status() == rn::status::closed);
}

TEST_CASE("a signal, and a value as a case of a select") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const rn::oneshot<void> signal;
  const rn::oneshot<int> number;
  CHECK(support::select(how, rn::on_ready(signal), rn::on_ready(number), rn::otherwise()) == 2);
  support::parties others(how);
  others.go([&] { number.set(3); });
  int got = 0;
  CHECK(support::select(how, rn::on_ready(signal), rn::on_ready(number, [&](int n) { got = n; })) == 1);
  others.join();
  CHECK(got == 3);
  signal.set();
  CHECK_THROWS_AS(signal.set(), std::logic_error);
  CHECK(support::select(how, rn::on_ready(number, [](int) {}), rn::on_ready(signal)) == 1);
  CHECK(signal.get().status() == rn::status::closed);
  rn::selector cases;
  const rn::oneshot<int> later;
  std::optional<int> slot;
  cases.add(rn::on_ready(later, slot));
  CHECK(cases.try_wait_for(100us).status() == rn::status::timed_out);
  later.set(4);
  CHECK(cases.wait() == 0);
  CHECK(slot == 4);
}

TEST_CASE("a coroutine that is destroyed while it waits has taken nothing") {
  const rn::oneshot<int> o;
  counter started{0};
  {
    rn::runtime ends(1);
    ends.go([&]() -> rn::task<> {
      support::add(started);
      co_await o.async_get();
      support::add(started);
    });
    support::wait_for(started, 1);
    support::wait_until_receiving(o.channel());
    ends.shutdown(rn::abandon);
  }
  o.set(9);
  CHECK(o.get().value() == 9);
  CHECK(read(started) == 1);
}

}  // namespace oneshot_test
