// rw_guarded: readers beside each other, one writer alone, in phases, so that neither waits for ever.
#include <runnel/rw_guarded.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace rw_guarded_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

using numbers = rn::rw_guarded<std::pair<int, int>>;

auto read_lock(party me, const numbers& v) {
  return me.either([&] { return v.read_lock(); }, [&] { return v.async_read_lock(); });
}
auto write_lock(party me, numbers& v) {
  return me.either([&] { return v.write_lock(); }, [&] { return v.async_write_lock(); });
}
auto read_lock(party me, const rn::context& ctx, const numbers& v) {
  return me.either([&] { return v.read_lock(ctx); }, [&] { return v.async_read_lock(ctx); });
}
auto write_lock(party me, const rn::context& ctx, numbers& v) {
  return me.either([&] { return v.write_lock(ctx); }, [&] { return v.async_write_lock(ctx); });
}
/// Waits until a writer is queued behind the readers that are inside: then no other comes in.
void wait_until_writer_queued(const numbers& v) {
  support::wait_until([&] { return !v.try_read_lock(); });
}
bool is_free(numbers& v) { return static_cast<bool>(v.try_write_lock()); }

struct immovable {
  immovable(int a, std::unique_ptr<int> b) : sum(a + *b) {}
  immovable(const immovable&) = delete;
  immovable& operator=(const immovable&) = delete;
  int sum;
};

static_assert(!std::copy_constructible<numbers> && !std::movable<numbers>);
static_assert(std::movable<numbers::read_ptr> && !std::copy_constructible<numbers::read_ptr>);
static_assert(std::same_as<decltype(*std::declval<numbers&>().read_lock()), const std::pair<int, int>&>);

}  // namespace

TEST_CASE("W15 a value is read by many at once, or written by one") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int rounds = support::shared(how, support::scaled(2000, 300));
  numbers v;
  counter wrong{0};
  support::parties parties(how);
  for (int i = 0; i < 2; ++i) {
    parties.go([&](party me) -> rn::task<> {
      for (int n = 0; n < rounds; ++n) {
        const auto held = co_await write_lock(me, v);
        if (held->first != held->second) support::add(wrong);
        ++held->first;
        ++held->second;
      }
    });
    parties.go([&](party me) -> rn::task<> {
      for (int n = 0; n < rounds; ++n) {
        const auto held = co_await read_lock(me, v);
        if (held->first != held->second) support::add(wrong);
      }
    });
  }
  parties.join();
  CHECK(read(wrong) == 0);
  CHECK(v.read([](const auto& p) { return p.second; }) == 2 * rounds);
  CHECK(is_free(v));
}

TEST_CASE("functions under the lock: made in place, what they answer, and what they throw") {
  rn::rw_guarded<immovable> value(2, std::make_unique<int>(3));
  const auto& readable = value;
  CHECK(readable.read([](const immovable& v) { return v.sum; }) == 5);
  value.write([](immovable& v) { v.sum = 6; });
  CHECK(readable.read_lock()->sum == 6);
  CHECK((*value.write_lock()).sum == 6);
  CHECK(value.write([](immovable&) { return std::make_unique<int>(1); }) != nullptr);
  CHECK_THROWS_AS(value.read([](const immovable&) { throw std::runtime_error("read"); }), std::runtime_error);
  CHECK_THROWS_AS(value.write([](immovable&) { throw std::runtime_error("write"); }), std::runtime_error);
  CHECK(value.try_write_lock());
  rn::rw_guarded deduced(std::string("abc"));
  const auto copy = deduced.read(
      [](const std::string& s) -> const auto& { return s; });  // NOLINT(bugprone-return-const-ref-from-parameter): it is copied
  CHECK(copy == "abc");
}

TEST_CASE("W15 misuse: within a function that reads or writes, and unlocking what is not locked") {
  numbers v;
  const auto nothing = [](const auto&) {};
  CHECK_THROWS_AS(v.write([&](auto&) { v.write(nothing); }), std::logic_error);
  CHECK_THROWS_AS(v.write([&](auto&) { v.read(nothing); }), std::logic_error);
  CHECK_THROWS_AS(v.read([&](const auto&) { v.write(nothing); }), std::logic_error);
  CHECK_THROWS_AS(v.read([&](const auto&) { v.read(nothing); }), std::logic_error);  // a writer that comes between would end it
  CHECK_THROWS_AS(v.read([&](const auto&) { static_cast<void>(v.read_lock()); }), std::logic_error);
  CHECK_THROWS_AS(v.read([&](const auto&) { static_cast<void>(v.write_lock(rn::context())); }), std::logic_error);
  CHECK_THROWS_AS(v.read([&](const auto&) { static_cast<void>(v.try_write_lock_for(1us)); }), std::logic_error);
  {
    auto held = v.write_lock();
    CHECK_THROWS_AS(v.read(nothing), std::logic_error);
    CHECK_THROWS_AS(v.try_read_lock(), std::logic_error);
    auto moved = std::move(held);
    CHECK_FALSE(held);  // NOLINT(bugprone-use-after-move): what it says of itself
    CHECK_THROWS_AS(held.unlock(), std::logic_error);
    moved.unlock();
    CHECK_FALSE(moved);
    held = v.write_lock();
    held = numbers::write_ptr();
  }
  numbers other;
  CHECK(v.read([&](const auto&) { return other.read([](const auto& p) { return p.first; }); }) == 0);
  CHECK(is_free(v));
}

TEST_CASE("W15 a writer that waits keeps new readers out, and all who have waited come in after it") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  numbers v;
  counter readers{0};
  counter wrong{0};
  support::parties parties(how);
  auto first = v.read_lock();
  parties.go([&](party me) -> rn::task<> {
    const auto held = co_await write_lock(me, v);
    held->first = 1;
    if (read(readers) != 0) support::add(wrong);
  });
  wait_until_writer_queued(v);
  CHECK_FALSE(v.try_read_lock_for(100us));
  for (int i = 0; i < 2; ++i)
    parties.go([&](party me) -> rn::task<> {
      const auto held = co_await read_lock(me, v);
      if (held->first != 1) support::add(wrong);
      support::add(readers);
      support::wait_for(readers, 2);  // both at once
    });
  CHECK(read(readers) == 0);
  first.unlock();
  parties.join();
  CHECK(read(wrong) == 0);
  CHECK(is_free(v));
}

TEST_CASE("W15 nobody is starved: writers get in among readers that never stop, and readers among writers") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  const bool readers_hog = GENERATE(true, false);
  numbers v;
  counter stop{0};
  support::parties parties(how);
  for (int i = 0; i < 2; ++i)
    parties.go([&](party me) -> rn::task<> {
      while (read(stop) == 0) {
        if (readers_hog)
          co_await read_lock(me, v);
        else
          co_await write_lock(me, v);
      }
    });
  for (int i = 0; i < 100; ++i) {
    if (readers_hog)
      v.write([](auto& p) { ++p.first; });
    else
      v.read([](const auto&) {});
  }
  support::add(stop);
  parties.join();
  CHECK(is_free(v));
}

TEST_CASE("a lock up to a limit: one that is free wins, and who gives up lets those behind it go") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  numbers v;
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  const auto reads = [&](const rn::context& ctx) {
    bool got = false;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const auto held = co_await read_lock(me, ctx, v);
      got = static_cast<bool>(held);
    });
    return got;
  };
  const auto writes = [&](const rn::context& ctx) {
    bool got = false;
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      const auto held = co_await write_lock(me, ctx, v);
      got = static_cast<bool>(held);
    });
    return got;
  };
  CHECK(reads(over));
  CHECK(writes(over));
  CHECK(v.try_write_lock_for(-1s));
  {
    const auto reading = v.read_lock();
    CHECK(reads(over));
    CHECK_FALSE(writes(over));
    CHECK_FALSE(writes(rn::with_timeout(rn::context(), 100us)));
    CHECK_FALSE(v.try_write_lock());
    CHECK_FALSE(v.try_write_lock_for(100us));
    CHECK_FALSE(v.try_write_lock_until(rn::clock::now() + 100us));
    CHECK(v.try_read_lock_for(1s));
    CHECK(v.try_read_lock_until(rn::clock::now()));
  }
  {
    support::crew other;
    support::gate release;
    support::gate written;
    other.go([&] {
      v.write([&](auto&) {
        written.open();
        release.wait();
      });
    });
    written.wait();
    CHECK_FALSE(reads(over));
    CHECK_FALSE(reads(rn::with_timeout(rn::context(), 100us)));
    CHECK_FALSE(writes(rn::with_timeout(rn::context(), 100us)));
    CHECK_FALSE(v.try_read_lock());
    release.open();
    other.join();
  }
  CHECK(is_free(v));
}

TEST_CASE("a writer that gives up lets the readers in that have waited for it alone") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  for (int round = support::shared(how, support::scaled(300, 60)); round > 0; --round) {
    numbers v;
    rn::scoped_context ctx = rn::with_cancel(rn::context());
    bool wrote = true;
    support::parties parties(how);
    const auto reading = v.read_lock();
    parties.go([&](party me) -> rn::task<> {
      const auto held = co_await write_lock(me, ctx, v);
      wrote = static_cast<bool>(held);
    });
    wait_until_writer_queued(v);
    parties.go([&](party me) -> rn::task<> { co_await read_lock(me, v); });
    ctx.cancel();
    parties.join();
    REQUIRE_FALSE(wrote);
    REQUIRE(v.try_read_lock());
  }
}

TEST_CASE("a coroutine that is destroyed while it waits keeps nobody out") {
  numbers v;
  rn::runtime places(2);
  counter inside{0};
  {
    rn::runtime ends(1);
    const auto reading = v.read_lock();
    ends.go([&]() -> rn::task<> {
      const auto held = co_await v.async_write_lock();
      support::add(inside);
    });
    wait_until_writer_queued(v);
    auto behind = places.async([&]() -> rn::task<> { const auto held = co_await v.async_read_lock(); });
    ends.shutdown(rn::abandon);
    behind.get();
  }
  CHECK(read(inside) == 0);
  CHECK(is_free(v));
}

TEST_CASE("a coroutine keeps the lock while it is suspended, wherever it goes on") {
  numbers v;
  rn::runtime places(2);
  const rn::channel<void> go_on;
  counter inside{0};
  auto writes = places.async([&]() -> rn::task<> {
    const auto held = co_await v.async_write_lock();
    support::add(inside);
    co_await go_on.async_recv();
    held->first = 1;
  });
  support::wait_for(inside, 1);
  CHECK_FALSE(v.try_read_lock());
  go_on.send();
  CHECK(v.read([](const auto& p) { return p.first; }) == 1);
  writes.get();
  CHECK(is_free(v));
}

}  // namespace rw_guarded_test
