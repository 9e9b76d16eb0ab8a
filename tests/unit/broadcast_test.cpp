// broadcast: each value goes to all in one order, or to none; subscribers come, go and lag without harm to the others.
#include <runnel/broadcast.hpp>
#include <runnel/fan.hpp>
#include <runnel/select.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace broadcast_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::party;
using support::read;

namespace {

using ints = std::vector<int>;

template <class T>
auto send(party me, rn::broadcast<T>& hub, const T& value) {
  return me.either([&] { hub.send(value); }, [&] { return hub.async_send(value).operator co_await(); });
}
template <class T>
auto send(party me, const rn::context& ctx, rn::broadcast<T>& hub, T& value) {
  return me.either([&] { return hub.send(ctx, std::move(value)); },
                   [&] { return hub.async_send(ctx, std::move(value)).operator co_await(); });
}
rn::task<> read_all(party me, rn::recv_channel<int> from, ints& to) {
  for (;;) {
    const auto value = co_await me.recv(from);
    if (!value) co_return;
    to.push_back(*value);
  }
}
ints rest_of(const rn::recv_channel<int>& from) {
  ints values;
  while (const auto value = from.try_recv()) values.push_back(*value);
  return values;
}
/// Sends, by the test's own thread or a coroutine, and says how that ended.
rn::status send_until(support::mix how, const rn::context& ctx, rn::broadcast<int>& hub, int value) {
  rn::status end = rn::status::would_block;
  support::parties parties(how);
  parties.run([&](party me) -> rn::task<> {
    const auto sent = co_await send(me, ctx, hub, value);
    end = sent.status();
  });
  return end;
}

/// Its copies may fail, and live instances are counted.
class word {
 public:
  explicit word(std::string text, bool copies = true) : text_(std::move(text)), copies_(copies) {}
  word(const word& other) : text_(other.text_), copies_(other.copies_) {
    if (!copies_) throw std::runtime_error("not this one");
  }
  word(word&&) noexcept = default;
  word& operator=(const word&) = delete;
  ~word() = default;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool copies_;
  support::counted counted_;
};

}  // namespace

TEST_CASE("P18 broadcast: all who have subscribed get all values, whoever sends, in one order") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const auto capacity = GENERATE(as<std::size_t>(), 0, 1, 5);
  const int n = support::shared(how, support::scaled(200, 60));
  rn::broadcast<int> hub(capacity, rn::lag::wait);
  std::vector<rn::subscription<int>> subscriptions;
  for (int i = 0; i < 3; ++i) subscriptions.push_back(hub.subscribe());
  std::vector<ints> got(3);
  counter senders{0};
  support::parties parties(how);
  for (std::size_t i = 0; i < 3; ++i) parties.go([&, i](party me) -> rn::task<> { return read_all(me, subscriptions[i], got[i]); });
  for (int s = 0; s < 2; ++s)
    parties.go([&, s](party me) -> rn::task<> {
      for (int i = 0; i < n; ++i) co_await send(me, hub, 2 * i + s);
      if (senders.fetch_add(1, rn::detail::acq_rel) == 1) hub.close();
    });
  parties.join();
  REQUIRE(got[0].size() == static_cast<std::size_t>(2 * n));
  CHECK(got[1] == got[0]);
  CHECK(got[2] == got[0]);
  for (int s = 0; s < 2; ++s) {
    ints part;
    std::ranges::copy_if(got[0], std::back_inserter(part), [s](int v) { return v % 2 == s; });
    CHECK(std::ranges::is_sorted(part));
  }
}

TEST_CASE(
    "a broadcast without subscribers drops what is sent; a subscriber gets what comes after it, and what waits after the close") {
  const auto policy = GENERATE(rn::lag::wait, rn::lag::drop_oldest, rn::lag::close);
  rn::broadcast<int> hub(3, policy);
  for (int i = 0; i < 10; ++i) hub.send(i);
  const auto first = hub.subscribe();
  hub.send(10);
  const auto second = hub.subscribe();
  hub.send(11);
  CHECK_FALSE(hub.closed());
  hub.close();
  CHECK(hub.closed());
  CHECK_THROWS_AS(hub.close(), rn::channel_closed);
  CHECK_THROWS_AS(hub.send(12), rn::channel_closed);
  CHECK(hub.send(rn::context(), 12).status() == rn::status::closed);
  CHECK(hub.try_send(12).status() == rn::status::closed);
  CHECK_THROWS_AS(rn::sync_wait(hub.async_send(12)), rn::channel_closed);
  CHECK(hub.subscribe().drained());
  ints got;
  for (const int value : first) got.push_back(value);
  CHECK(got == ints{10, 11});
  CHECK(rest_of(second) == ints{11});
  CHECK(second.drained());
  CHECK(first.lagged() == 0);
}

TEST_CASE("a broadcast's misuse is an error at once") {
  CHECK_THROWS_AS(rn::broadcast<int>(0, rn::lag::drop_oldest), std::invalid_argument);
  CHECK_THROWS_AS(rn::broadcast<int>(0, rn::lag::close), std::invalid_argument);
  rn::broadcast<int> hub(SIZE_MAX, rn::lag::wait);
  CHECK_THROWS_AS(hub.subscribe(), std::length_error);
  hub.send(1);
}

TEST_CASE("lag::wait: the slowest subscriber sets the pace, in every form of send, and what fails has sent nothing to anybody") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  rn::broadcast<int> hub(2, rn::lag::wait);
  const auto slow = hub.subscribe();
  const auto quick = hub.subscribe();
  hub.send(1);
  hub.send(2);
  CHECK(rest_of(quick) == ints{1, 2});
  rn::scoped_context over = rn::with_cancel(rn::context());
  over.cancel();
  CHECK(hub.try_send(3).status() == rn::status::would_block);
  CHECK(hub.try_send_for(100us, 3).status() == rn::status::timed_out);
  CHECK(hub.try_send_until(rn::clock::now() - 1s, 3).status() == rn::status::timed_out);
  CHECK(send_until(how, over, hub, 3) == rn::status::canceled);
  CHECK(send_until(how, rn::with_timeout(rn::context(), 100us), hub, 3) == rn::status::timed_out);
  CHECK(quick.size() == 0);
  CHECK(*slow.recv() == 1);
  CHECK(send_until(how, over, hub, 4) == rn::status::ok);  // what can be sent wins
  CHECK(*slow.recv() == 2);
  const int five = 5;
  CHECK(hub.try_send_for(-1s, five));
  CHECK(rest_of(quick) == ints{4, 5});
  CHECK(rest_of(slow) == ints{4, 5});
  CHECK(slow.lagged() == 0);
}

TEST_CASE("lag::wait: a send that waits goes on when the last one has room, when that has gone, or ends with the close") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::broadcast<int> hub(1, rn::lag::wait);
  auto a = hub.subscribe();
  auto b = hub.subscribe();
  counter sent{0};
  rn::status end = rn::status::ok;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    for (int i = 1; i < 4; ++i) {
      co_await send(me, hub, i);
      support::add(sent);
    }
    int four = 4;
    const auto last = co_await send(me, rn::context(), hub, four);
    end = last.status();
  });
  support::wait_until_sending(a);
  CHECK(*a.recv() == 1);
  CHECK(a.try_recv().status() == rn::status::would_block);
  support::wait_until_sending(b);
  CHECK(read(sent) == 1);
  CHECK(*b.recv() == 1);
  support::wait_for(sent, 2);
  support::wait_until_sending(a);
  a = {};
  CHECK(*b.recv() == 2);
  support::wait_for(sent, 3);
  support::wait_until_sending(b);
  hub.close();
  parties.join();
  CHECK(end == rn::status::closed);
  CHECK(rest_of(b) == ints{3});
  CHECK(b.drained());
}

TEST_CASE("lag::wait: who sends first is first, and gives its turn away when it gives up") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::broadcast<int> hub(1, rn::lag::wait);
  const auto s = hub.subscribe();
  hub.send(1);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::status end = rn::status::ok;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    int two = 2;
    const auto first = co_await send(me, ctx, hub, two);
    end = first.status();
  });
  support::wait_until_sending(s);
  parties.go([&](party me) -> rn::task<> { co_await send(me, hub, 3); });
  ctx.cancel();
  CHECK(*s.recv() == 1);
  CHECK(*s.recv() == 3);
  parties.join();
  CHECK(end == rn::status::canceled);
}

TEST_CASE("a capacity of 0: a send waits until all have taken the value, if it may wait") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  rn::broadcast<int> hub(0, rn::lag::wait);
  const auto a = hub.subscribe();
  const auto b = hub.subscribe();
  counter sent{0};
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    co_await send(me, hub, 1);
    support::add(sent);
  });
  CHECK(*a.recv() == 1);
  support::wait_until_sending(b);
  CHECK(read(sent) == 0);
  CHECK(hub.try_send(2).status() == rn::status::would_block);
  CHECK(*b.recv() == 1);
  parties.join();
  CHECK(hub.try_send(2));
  CHECK(hub.try_send(3).status() == rn::status::would_block);
  CHECK(*a.recv() == 2);
  CHECK(*b.recv() == 2);
  CHECK(hub.send(rn::with_timeout(rn::context(), 100us), 4));  // it is on its way to all
  CHECK(*a.recv() == 4);
}

TEST_CASE("drop_oldest: a subscriber that lags misses the oldest, and knows how many") {
  rn::broadcast<int> hub(2, rn::lag::drop_oldest);
  const auto slow = hub.subscribe();
  const auto quick = hub.subscribe();
  for (int i = 0; i < 5; ++i) {
    hub.send(i);
    CHECK(*quick.recv() == i);
  }
  CHECK(slow.lagged() == 3);
  CHECK(quick.lagged() == 0);
  CHECK(rest_of(slow) == ints{3, 4});
  CHECK(hub.try_send(5));
  CHECK(rest_of(slow) == ints{5});
  CHECK(slow.lagged() == 3);
  CHECK(rn::subscription<int>().lagged() == 0);
}

TEST_CASE("drop_oldest against receives: what is received and what is missed is all that was sent, in order") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int n = support::shared(how, support::scaled(4000, 500));
  rn::broadcast<int> hub(3, rn::lag::drop_oldest);
  const auto s = hub.subscribe();
  ints got;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> { return read_all(me, s, got); });
  parties.go([&](party me) -> rn::task<> {
    for (int i = 0; i < n; ++i) co_await send(me, hub, i);
    hub.close();
  });
  parties.join();
  CHECK(got.size() + s.lagged() == static_cast<std::size_t>(n));
  CHECK(std::ranges::is_sorted(got));
  CHECK(got.back() == n - 1);
}

TEST_CASE("lag::close: a subscriber that lags gets what waits for it and is closed, and the others go on") {
  rn::broadcast<int> hub(2, rn::lag::close);
  const auto slow = hub.subscribe();
  const auto quick = hub.subscribe();
  for (int i = 0; i < 5; ++i) {
    hub.send(i);
    CHECK(*quick.recv() == i);
  }
  CHECK(slow.closed());
  CHECK(slow.lagged() == 1);
  CHECK(rest_of(slow) == ints{0, 1});
  CHECK(slow.drained());
  CHECK_FALSE(quick.closed());
  CHECK(quick.lagged() == 0);
}

TEST_CASE("a subscription is a recv_channel: in a select, in a stage, converted, copied; the last copy unsubscribes") {
  const auto how = GENERATE(values(support::pure));
  INFO(support::name_of(how));
  rn::broadcast<int> hub(1, rn::lag::wait);
  auto s = hub.subscribe();
  hub.send(1);
  const rn::channel<int> never;
  int got = 0;
  CHECK(support::select(how, rn::on_recv(never), rn::on_recv(s, [&](int v) { got = v; })) == 1);
  CHECK(got == 1);
  {
    const rn::recv_channel<int> end = s;
    CHECK(end == s);
    s = {};
    hub.send(2);
    CHECK(hub.try_send(3).status() == rn::status::would_block);
    CHECK(*end.recv() == 2);
    hub.send(3);
  }
  for (int i = 0; i < 10; ++i) hub.send(i);  // nobody is there
  const rn::recv_channel<int> alone = hub.subscribe();
  hub.send(4);
  CHECK(*alone.recv() == 4);
  rn::errgroup group;
  const auto doubled = rn::parallel_map(group, hub.subscribe(), [](int v) { return 2 * v; }, {.workers = 2});
  hub.send(5);
  CHECK(*doubled.recv() == 10);
  hub.close();
  CHECK_FALSE(doubled.recv());
  group.wait();
}

TEST_CASE("subscribers that come and go in between hold up nobody, and see a part of the one order without gaps") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int n = support::shared(how, support::scaled(300, 60));
  rn::broadcast<int> hub(2, rn::lag::wait);
  counter wrong{0};
  counter over{0};
  support::parties parties(how);
  for (int i = 0; i < 2; ++i)
    parties.go([&](party me) -> rn::task<> {
      while (read(over) == 0) {
        const auto s = hub.subscribe();
        int last = -1;
        for (int k = 0; k < 3; ++k) {
          const auto v = co_await me.recv(s);
          if (!v) break;
          if (last != -1 && *v != last + 1) support::add(wrong);
          last = *v;
        }
      }
    });
  parties.go([&](party me) -> rn::task<> {
    for (int i = 0; i < n; ++i) co_await send(me, hub, i);
    support::add(over);
    hub.close();
  });
  parties.join();
  CHECK(read(wrong) == 0);
}

TEST_CASE("C67 broadcast of a copy that throws changes nothing; every value is destroyed once") {
  const auto how = GENERATE(values(support::pure));
  const auto policy = GENERATE(rn::lag::wait, rn::lag::drop_oldest, rn::lag::close);
  const std::int64_t before = support::counted::live();
  {
    rn::broadcast<word> hub(2, policy);
    const auto a = hub.subscribe();
    const auto b = hub.subscribe();
    const word bad("bad", false);
    word good("good");
    hub.send(good);
    support::parties parties(how);
    parties.run([&](party me) -> rn::task<> {
      bool thrown = false;
      try {
        co_await send(me, hub, bad);
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      CHECK(thrown);
      thrown = false;
      word moved("moved", false);
      try {
        const auto sent = co_await send(me, rn::context(), hub, moved);
        static_cast<void>(sent);
      } catch (const std::runtime_error&) {
        thrown = moved.text() == "moved";
      }
      CHECK(thrown);
    });
    CHECK(a.size() == 1);
    CHECK(b.size() == 1);
    hub.send(std::move(good));
    CHECK(a.recv()->text() == "good");
    CHECK(b.recv()->text() == "good");
    if (policy == rn::lag::drop_oldest)
      for (int i = 0; i < 5; ++i) hub.send(word("more"));
  }
  CHECK(support::counted::live() == before);
}

TEST_CASE("one subscriber gets the value itself: only it can have it, and nothing is copied") {
  rn::broadcast<word> hub(2);
  const auto only = hub.subscribe();
  hub.send(word("never copied", false));
  CHECK(hub.try_send(word("nor this", false)));
  CHECK(only.recv()->text() == "never copied");
  CHECK(only.recv()->text() == "nor this");
}

TEST_CASE("a copy may use the broadcast, and so may the destructor of what is dropped") {
  struct nosy {
    nosy(rn::broadcast<nosy>& h, bool talks) : hub(&h), speaks(talks) {}
    nosy(const nosy& other) : hub(other.hub) {
      if (other.speaks) hub->send(nosy(*hub, false));
    }
    nosy(nosy&& other) noexcept : hub(other.hub), speaks(std::exchange(other.speaks, false)) {}
    nosy& operator=(const nosy&) = delete;
    ~nosy() {
      if (speaks) hub->send(nosy(*hub, false));
    }
    rn::broadcast<nosy>* hub;
    bool speaks = false;
  };
  rn::broadcast<nosy> hub(2, rn::lag::drop_oldest);
  const auto a = hub.subscribe();
  const auto b = hub.subscribe();
  hub.send(nosy(hub, true));
  CHECK(a.size() == 2);
  hub.send(nosy(hub, false));
  hub.send(nosy(hub, false));
  CHECK(a.lagged() + b.lagged() > 3);
}

TEST_CASE("a coroutine that is destroyed while it sends has sent nothing, and gives its turn away") {
  rn::broadcast<int> hub(1, rn::lag::wait);
  const auto s = hub.subscribe();
  hub.send(1);
  {
    rn::runtime ends(1);
    for (int i = 0; i < 2; ++i) ends.go([&]() -> rn::task<> { co_await hub.async_send(2); });
    support::wait_until_sending(s);
    ends.shutdown(rn::abandon);
  }
  CHECK(rest_of(s) == ints{1});
  CHECK(hub.try_send(3));
  CHECK(rest_of(s) == ints{3});
}

TEST_CASE("a subscription may outlive the broadcast") {
  rn::subscription<int> s;
  {
    rn::broadcast<int> hub(2);
    s = hub.subscribe();
    hub.send(1);
  }
  CHECK(*s.recv() == 1);
  CHECK(s.drained());
}

}  // namespace broadcast_test
