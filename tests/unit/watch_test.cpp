// watch: each reader waits for the values that it has not seen, and gets the last of them.
#include <runnel/watch.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace watch_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

template <class T>
auto changed(party me, const rn::watch<T>& w) {
  return me.either([&] { w.changed(); }, [&] { return w.async_changed(); });
}
template <class T>
auto changed(party me, const rn::context& ctx, const rn::watch<T>& w) {
  return me.either([&] { return w.changed(ctx); }, [&] { return w.async_changed(ctx); });
}

/// A value whose copies fail while it is told so.
struct fragile {
  explicit fragile(int n) : number(n) {}
  fragile(const fragile& other) : number(other.number) {
    if (fails) throw std::runtime_error("copy");
  }
  fragile(fragile&&) = default;
  inline static bool fails = false;
  int number;
};
/// A value of which get() would not compile.
struct settings {
  explicit settings(int n) : number(std::make_unique<int>(n)) {}
  std::unique_ptr<int> number;
};

}  // namespace

TEST_CASE("a value is read as it was set last, and counts as seen then") {
  const rn::watch<std::string> w("a");
  CHECK(w.get() == "a");
  CHECK(w.try_changed().status() == rn::status::would_block);
  w.set("b");
  w.set("c");
  w.changed();  // seeing the value is a step of its own
  CHECK(w.try_changed());
  CHECK(w.get() == "c");
  CHECK(w.try_changed().status() == rn::status::would_block);
  const rn::watch<settings> held(settings(1));
  const auto before = held.snapshot();
  held.set(settings(2));
  CHECK(*before->number == 1);
  CHECK(*held.snapshot()->number == 2);
  CHECK_FALSE(held.try_changed());
}

TEST_CASE("a value whose copy fails has not been seen") {
  const rn::watch<fragile> w(fragile(1));
  w.set(fragile(2));
  fragile::fails = true;
  CHECK_THROWS_AS(w.get(), std::runtime_error);
  fragile::fails = false;
  CHECK(w.try_changed());
  CHECK(w.get().number == 2);
  CHECK_FALSE(w.try_changed());
}

TEST_CASE("a copy is a reader of its own, which has seen what the original had") {
  const rn::watch<int> w(0);
  w.set(1);
  const rn::watch<int> unseen = w;
  CHECK(w.get() == 1);
  const rn::watch<int> seen = w;
  CHECK(unseen.try_changed());
  CHECK_FALSE(seen.try_changed());
  CHECK_FALSE(w.try_changed());
  seen.set(2);
  CHECK(w.try_changed());
  CHECK(w == seen);
  rn::watch<int> other(7);
  CHECK_FALSE(other == w);
  other = unseen;
  CHECK(other.try_changed());
  CHECK(other.get() == 2);
  CHECK(unseen.try_changed());
}

TEST_CASE("every reader gets to the last value, and sees values in order") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int last = support::shared(how, support::scaled(3000, 500));
  const rn::watch<int> w(0);
  counter wrong{0};
  support::parties parties(how);
  for (int i = 0; i < 3; ++i)
    parties.go([&wrong, last, mine = w](party me) -> rn::task<> {
      for (int seen = 0; seen < last;) {
        co_await changed(me, mine);
        const int now = mine.get();
        if (now <= seen) support::add(wrong);
        seen = now;
      }
    });
  parties.go([&] {
    for (int n = 1; n <= last; ++n) w.set(n);
  });
  parties.join();
  CHECK(read(wrong) == 0);
}

TEST_CASE("several set at once: each reader ends with the same value") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const rn::watch<int> w(0);
  support::parties parties(how);
  for (int i = 1; i <= 3; ++i)
    parties.go([&w, i, rounds = support::scaled(500, 100)] {
      for (int n = 0; n < rounds; ++n) w.set(i);
    });
  parties.join();
  const rn::watch<int> reader = w;
  CHECK(reader.get() == w.get());
  CHECK_FALSE(reader.try_changed());
}

TEST_CASE("a wait up to a limit: a change wins, and a wait that ends without changes nothing") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const rn::watch<int> w(0);
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  const auto outcome_of = [&](const rn::context& ctx) {
    rn::status end = rn::status::would_block;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const auto got = co_await changed(me, ctx, w);
      end = got.status();
    });
    return end;
  };
  CHECK(outcome_of(over) == rn::status::canceled);
  CHECK(outcome_of(rn::with_timeout(rn::context(), 100us)) == rn::status::timed_out);
  CHECK(w.try_changed_for(100us).status() == rn::status::timed_out);
  CHECK(w.try_changed_until(rn::clock::now() + 100us).status() == rn::status::timed_out);
  w.set(1);
  CHECK(outcome_of(over) == rn::status::ok);
  CHECK(w.try_changed_for(-1s).status() == rn::status::ok);
  CHECK(w.get() == 1);
}

TEST_CASE("a change as a case of a select") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const rn::watch<int> w(0);
  const rn::channel<int> ch(1);
  CHECK(support::select(how, rn::on_changed(w), rn::on_recv(ch), rn::otherwise()) == 2);
  support::parties others(how);
  others.go([&] { w.set(5); });
  CHECK(support::select(how, rn::on_recv(ch), rn::on_changed(w)) == 1);
  others.join();
  int got = 0;
  CHECK(support::select(how, rn::on_changed(w, [&](const int& n) { got = n; })) == 0);
  CHECK(got == 5);
  CHECK(support::select(how, rn::on_changed(w), rn::on_timeout(100us)) == 1);
  rn::selector cases;
  cases.add(rn::on_changed(w, [&](int n) { got = n; }));
  for (int n = 6; n < 9; ++n) {
    CHECK(cases.try_wait_for(100us).status() == rn::status::timed_out);
    w.set(n);
    CHECK(cases.wait() == 0);
    CHECK(got == n);
  }
}

TEST_CASE("a coroutine that is destroyed while it waits leaves the others alone; values are destroyed once nobody holds them") {
  counter started{0};
  {
    const rn::watch<support::counted> w(support::counted(1));
    {
      rn::runtime ends(1);
      ends.go([&, mine = w]() -> rn::task<> {
        support::add(started);
        co_await mine.async_changed();
        support::add(started);
      });
      ends.go([&] { support::add(started); });  // one place: the other waits by now
      support::wait_for(started, 2);
      ends.shutdown(rn::abandon);
    }
    w.set(support::counted(2));
    w.changed();
    const auto kept = w.snapshot();
    w.set(support::counted(3));
    CHECK(kept->value() == 2);
    CHECK(support::counted::live() == 2);
  }
  CHECK(read(started) == 2);
  CHECK(support::counted::live() == 0);
}

}  // namespace watch_test
