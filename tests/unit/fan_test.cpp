// fan: each value goes where it belongs, in order where that is promised; whoever fails, gives up or is dropped unblocks its neighbours.
#include <runnel/fan.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

/// A namespace with a function for anything, by a name that the library has.
namespace greedy_tee {

template <class A, class B, class C>
void on_send(A&&, B&&, C&&);
struct number {
  int value;
};

}  // namespace greedy_tee

namespace fan_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counted;
using support::counter;
using support::party;
using support::read;

namespace {

using ints = std::vector<int>;

ints up_to(int n) {
  ints values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}
ints sorted(ints values) {
  std::ranges::sort(values);
  return values;
}
/// A channel that has these values and is closed.
rn::channel<int> closed_with(const ints& values) {
  const rn::channel<int> ch(values.size());
  ch.send_many(values);
  ch.close();
  return ch;
}
ints all_of(const rn::recv_channel<int>& from) {
  ints values;
  for (const int value : from) values.push_back(value);
  return values;
}
rn::task<> read_all(party me, rn::recv_channel<int> from, ints& to) {
  for (;;) {
    const auto value = co_await me.recv(from);
    if (!value) co_return;
    to.push_back(*value);
  }
}
/// Sends 0, 1, 2, ... until nobody receives any more.
rn::task<> send_for_ever(rn::send_channel<int> to, counter& sent) {
  for (int i = 0;; ++i) {
    const auto answer = co_await to.async_send(rn::context(), i);
    if (!answer) co_return;
    support::add(sent);
  }
}
std::string failure_of(rn::errgroup& group) {
  try {
    group.wait();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

/// A value without a default, which is copied so often and no more.
class copied {
 public:
  explicit copied(int v, int copies_left = 1000) : value_(v), left_(std::make_shared<int>(copies_left)) {}
  copied(const copied& other) : value_(other.value_), left_(other.left_) {
    if (--*left_ < 0) throw std::runtime_error("no more copies");
  }
  copied(copied&&) noexcept = default;
  copied& operator=(const copied&) = delete;
  ~copied() = default;
  [[nodiscard]] int value() const { return value_; }
  [[nodiscard]] int copies_left() const { return *left_; }

 private:
  int value_;
  std::shared_ptr<int> left_;
};

}  // namespace

TEST_CASE("P07 P09 parallel_map: each result once, in order unless that is not asked for") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  using sizes = std::tuple<std::size_t, std::size_t>;
  const auto [workers, capacity] = GENERATE(values<sizes>({{1, 0}, {2, 0}, {3, 2}, {4, 64}, {0, 5}}));
  const bool ordered = GENERATE(true, false);
  const int n = support::shared(how, support::scaled(1000, 200));
  const rn::channel<int> in(3);
  rn::errgroup group;
  const auto out = rn::parallel_map(group, in, [](int v) { return 2 * v; }, {workers, capacity, ordered});
  ints got;
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    for (int i = 0; i < n; ++i) co_await me.send(in, i);
    in.close();
  });
  parties.go([&](party me) -> rn::task<> { return read_all(me, out, got); });
  parties.join();
  group.wait();
  ints expected = up_to(n);
  for (int& v : expected) v *= 2;
  CHECK((ordered ? got : sorted(got)) == expected);
  CHECK(out.drained());
}

TEST_CASE("P09 parallel_map of nothing, of coroutines, and round after round") {
  rn::errgroup group;
  for (int round = 0; round < 3; ++round) {
    const auto empty = rn::parallel_map(group, closed_with({}), [](int v) { return v; });
    CHECK(all_of(empty).empty());
    const auto one = [](int v) -> rn::task<int> {
      co_await rn::async_sleep_for(std::chrono::microseconds(v % 3));
      co_return v + 1;
    };
    const auto two = [](rn::context, int v) { return v - 1; };
    const auto there = rn::parallel_map(group, closed_with(up_to(100)), one, {4, 2});
    const auto back = rn::parallel_map(group, there, std::bind_front(two, rn::context()), {.workers = 3, .ordered = true});
    CHECK(all_of(back) == up_to(100));
    group.wait();
  }
}

TEST_CASE("P09 parallel_map really calls f in parallel, more often at a time than there are cores") {
  const bool ordered = GENERATE(true, false);
  constexpr std::uint32_t workers = 9;
  counter inside{0};
  rn::errgroup group;
  const auto f = [&](int v) {
    support::add(inside);
    support::wait_until([&] { return read(inside) >= workers; });
    return v;
  };
  const auto out = rn::parallel_map(group, closed_with(up_to(20)), f, {workers, 0, ordered});
  CHECK(sorted(all_of(out)) == up_to(20));
  group.wait();
}

TEST_CASE("parallel_map takes what can only be moved, or has no default, and such a function") {
  const bool ordered = GENERATE(true, false);
  const std::int64_t before = counted::live();
  {
    const rn::channel<counted> in(4);
    for (int i = 0; i < 4; ++i) in.send(counted(i));
    in.close();
    rn::errgroup group;
    auto keeps = std::make_unique<int>(10);
    auto out = rn::parallel_map(
        group, in, [keeps = std::move(keeps)](counted v) { return std::make_unique<copied>(*keeps + v.value()); }, {2, 1, ordered});
    STATIC_REQUIRE(std::is_same_v<decltype(out), rn::recv_channel<std::unique_ptr<copied>>>);
    ints got;
    for (const auto& v : out) got.push_back(v->value());
    group.wait();
    CHECK(sorted(got) == ints{10, 11, 12, 13});
  }
  CHECK(counted::live() == before);
}

TEST_CASE("what can be moved, but not assigned, goes through stages") {
  struct fixed {
    explicit fixed(int v) : value(v) {}
    const int value;
  };
  const bool ordered = GENERATE(true, false);
  const rn::channel<fixed> in(20);
  for (const int v : up_to(20)) in.send(fixed(v));
  in.close();
  rn::errgroup group;
  const auto same = [](fixed v) { return v; };
  auto mapped = rn::parallel_map(group, in, same, {3, 2, ordered});
  const auto out = rn::fan_in(group, rn::fan_out(group, rn::or_done(group, std::move(mapped)), 2, same));
  const auto outs = rn::tee(group, out, 1);
  ints got;
  for (const fixed& v : outs[0]) got.push_back(v.value);
  group.wait();
  CHECK(sorted(got) == up_to(20));
}

TEST_CASE("P07 memory is bounded: one that takes long lets the others get so far ahead, and no further") {
  const auto workers = GENERATE(as<std::size_t>(), 2, 3);
  const auto capacity = GENERATE(as<std::size_t>(), 0, 4);
  const rn::channel<int> in;
  support::gate gate;
  counter begun{0};
  rn::errgroup group;
  const auto f = [&](int v) {
    support::add(begun);
    if (v == 0) gate.wait();
    return v;
  };
  const auto out = rn::parallel_map(group, in, f, {workers, capacity});
  rn::errgroup senders;
  senders.go([&] {
    for (int i = 0; i < 40; ++i) in.send(i);
    in.close();
  });
  support::wait_for(begun, static_cast<std::uint32_t>(workers + capacity));
  support::wait_until_sending(in);
  CHECK(read(begun) == workers + capacity);
  CHECK(out.size() == 0);
  gate.open();
  // One after the other is read: what is taken and not yet read are those in work or parked, and as many again as the output holds.
  for (std::uint32_t i = 0; i < 40; ++i) {
    REQUIRE(*out.recv() == static_cast<int>(i));
    REQUIRE(read(begun) <= i + 1 + workers + 2 * capacity);
  }
  CHECK(out.recv().status() == rn::status::closed);
  senders.wait();
  group.wait();
}

TEST_CASE("P18 a failing f cancels the group, unblocks its neighbours and comes out of wait") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const bool ordered = GENERATE(true, false);
  const bool is_coroutine = GENERATE(true, false);
  auto ends = rn::make_channel<int>(1);
  rn::errgroup group;
  const auto fails = [](int v) {
    if (v == 5) throw std::runtime_error("five");
    return v;
  };
  const auto fails_later = [&](int v) -> rn::task<int> { co_return fails(v); };
  const rn::parallel_options options{3, 2, ordered};
  auto out = is_coroutine ? rn::parallel_map(group, std::move(ends.recv), fails_later, options)
                          : rn::parallel_map(group, std::move(ends.recv), fails, options);
  ints got;
  rn::status end = rn::status::ok;
  support::parties parties(how);
  parties.go([&, to = std::move(ends.send)](party me) -> rn::task<> {
    for (int i = 0; end == rn::status::ok; ++i) {
      const auto sent = co_await me.send(rn::context(), to, i);
      end = sent.status();
    }
  });
  parties.go([&](party me) -> rn::task<> { return read_all(me, out, got); });
  parties.join();
  CHECK(end == rn::status::closed);
  CHECK(failure_of(group) == "five");
  CHECK(std::ranges::count(got, 5) == 0);
  if (ordered) CHECK(got == up_to(static_cast<int>(std::min<std::size_t>(got.size(), 5))));
}

TEST_CASE("a failing f is the failure, not what its end makes of its neighbours") {
  for (int i = support::scaled(300, 50); i > 0; --i) {
    auto ends = rn::make_channel<int>();
    rn::errgroup group;
    group.go([to = std::move(ends.send)] {
      for (int v = 0;; ++v) to.send(v);  // throws when nobody receives any more
    });
    const auto fails = [](int v) {
      if (v == 2) throw std::runtime_error("two");
      return v;
    };
    const auto out = rn::parallel_map(group, std::move(ends.recv), fails, {2, 0, i % 2 == 0});
    all_of(out);
    REQUIRE(group.ctx().done());  // who sees the end of the output knows that it is no good
    REQUIRE(failure_of(group) == "two");
  }
}

TEST_CASE("P18 where failures cancel nothing, a failing f ends its worker, and in order the stage") {
  const bool ordered = GENERATE(true, false);
  rn::errgroup group({}, {.limit = 0, .collect_all = true});
  const auto fails = [](int v) {
    if (v == 3) throw std::runtime_error("three");
    return v;
  };
  const ints got = all_of(rn::parallel_map(group, closed_with(up_to(30)), fails, {2, 3, ordered}));
  CHECK(failure_of(group) == "three");
  CHECK(group.errors().size() == 1);
  ints others = up_to(30);
  std::erase(others, 3);
  CHECK((ordered ? got : sorted(got)) == (ordered ? up_to(3) : others));
}

TEST_CASE("an output that is dropped ends its stage without a failure, and upstream learns of it") {
  const int stage = GENERATE(range(0, 6));
  rn::errgroup senders;
  rn::errgroup group;
  counter sent{0};
  {
    auto ends = rn::make_channel<int>(2);
    rn::recv_channel<int> in = std::move(ends.recv);
    senders.go([&sent, to = std::move(ends.send)] { return send_for_ever(to, sent); });
    const auto same = [](int v) { return v; };
    const auto read_some = [](const rn::recv_channel<int>& out) {
      ints got(3);
      for (int& v : got) v = *out.recv();
      return sorted(got);
    };
    switch (stage) {
      case 0: CHECK(read_some(rn::parallel_map(group, std::move(in), same, {3, 2})) == up_to(3)); break;
      case 1: read_some(rn::parallel_map(group, std::move(in), same, {3, 2, false})); break;
      case 2: CHECK(read_some(rn::fan_in(group, std::move(in), rn::channel<int>(nullptr))) == up_to(3)); break;
      case 3: CHECK(read_some(rn::or_done(group, std::move(in))) == up_to(3)); break;
      case 4: CHECK(rn::fan_out(group, std::move(in), 3, same).size() == 3); break;
      default: CHECK(rn::tee(group, std::move(in), 3).size() == 3);
    }
  }
  senders.wait();
  if (stage == 2) group.cancel();  // the other input may still send
  group.wait();
  CHECK(read(sent) <= 20);
}

TEST_CASE("a stage ends when its group's context is done, wherever it waits") {
  const int stage = GENERATE(range(0, 6));
  const bool has_values = GENERATE(true, false);
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  const rn::channel<int> in(8);
  if (has_values) in.send_many(up_to(8));
  rn::errgroup group(ctx);
  const auto same = [](int v) { return v; };
  std::vector<rn::recv_channel<int>> outs;
  switch (stage) {
    case 0: outs.push_back(rn::parallel_map(group, in, same, {2, 1})); break;
    case 1: outs.push_back(rn::parallel_map(group, in, same, {2, 1, false})); break;
    case 2: outs.push_back(rn::fan_in(group, in, in)); break;
    case 3: outs.push_back(rn::or_done(group, in)); break;
    case 4: outs = rn::fan_out(group, in, 2, same); break;
    default: outs = rn::tee(group, in, 2);
  }
  if (has_values) CHECK(outs.back().recv());
  ctx.cancel();
  for (const auto& out : outs)
    while (out.recv()) {
    }
  CHECK_THROWS_AS(group.wait(), rn::context_error);
  CHECK_FALSE(in.closed());
  if (has_values) CHECK(in.size() > 0);
}

TEST_CASE("a group whose limit is too small is an error at once, and nothing has begun") {
  const rn::channel<int> in = closed_with(up_to(5));
  const auto same = [](int v) { return v; };
  const bool ordered = GENERATE(true, false);
  rn::errgroup group({}, {.limit = 2});
  CHECK_THROWS_AS(rn::parallel_map(group, in, same, {3, 0, ordered}), std::logic_error);
  group.wait();
  CHECK_THROWS_AS(rn::fan_out(group, in, 3, same), std::logic_error);
  group.wait();
  CHECK_THROWS_AS(rn::fan_in(group, in, in, in), std::logic_error);
  group.wait();
  CHECK(in.size() == 5);
  support::gate gate;
  group.go([&] { gate.wait(); });
  group.go([&] { gate.wait(); });
  CHECK_THROWS_AS(rn::tee(group, in, 1), std::logic_error);
  CHECK_THROWS_AS(rn::or_done(group, in), std::logic_error);
  gate.open();
  group.wait();
  CHECK(in.size() == 5);
  CHECK(sorted(all_of(rn::parallel_map(group, in, same, {2, 0, ordered}))) == up_to(5));
  group.wait();
}

TEST_CASE("to no workers or outputs is an error at once") {
  rn::errgroup group;
  const rn::channel<int> in;
  CHECK_THROWS_AS(rn::fan_out(group, in, 0, [](int v) { return v; }), std::invalid_argument);
  CHECK_THROWS_AS(rn::tee(group, in, 0), std::invalid_argument);
  CHECK_THROWS_AS(rn::parallel_map(group, in, [](int v) { return v; }, {.capacity = SIZE_MAX}), std::length_error);
  const auto answers_nothing = [](int) {};
  const auto takes_a_string = [](const std::string& s) { return s; };
  STATIC_REQUIRE_FALSE(rn::detail::mapping<decltype(answers_nothing), int>);
  STATIC_REQUIRE_FALSE(rn::detail::mapping<decltype(takes_a_string), int>);
  STATIC_REQUIRE_FALSE(rn::detail::receiving_end<rn::send_channel<int>>);
  STATIC_REQUIRE(rn::detail::receiving_end<const rn::channel<int>&>);
}

TEST_CASE("P18 fan_out: each value goes to exactly one of the workers, and to who is free") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int n = support::shared(how, support::scaled(1000, 200));
  const rn::channel<int> in(2);
  rn::errgroup group;
  std::vector<ints> got(3);
  {
    const auto outs = rn::fan_out(group, in, 3, [](int v) { return v; });
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      for (int i = 0; i < n; ++i) co_await me.send(in, i);
      in.close();
    });
    for (std::size_t i = 0; i < 3; ++i) parties.go([&, i](party me) -> rn::task<> { return read_all(me, outs[i], got[i]); });
    parties.join();
  }
  group.wait();
  ints all;
  for (const ints& part : got) {
    CHECK(std::ranges::is_sorted(part));
    all.insert(all.end(), part.begin(), part.end());
  }
  CHECK(sorted(all) == up_to(n));
}

TEST_CASE("P18 fan_out: one worker that is dropped or stuck does not hold up the others; one that fails cancels all") {
  rn::errgroup group;
  {
    auto outs = rn::fan_out(group, closed_with(up_to(10)), 3, [](int v) { return v; });
    outs[0] = nullptr;  // it may hold one value, which is lost
    ints got = all_of(rn::fan_in(group, outs[1], outs[2]));
    CHECK(got.size() >= 9);
    group.wait();
  }
  auto outs = rn::fan_out(group, closed_with(up_to(10)), 2, [](int v) -> int {
    if (v == 4) throw std::runtime_error("four");
    return v;
  });
  all_of(outs[0]);
  CHECK(failure_of(group) == "four");
}

TEST_CASE("fan_in: the values of all, each one's in their order, and none starves") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int n = support::shared(how, support::scaled(600, 100));
  std::vector<rn::channel<int>> ins;
  for (std::size_t i = 0; i < 3; ++i) ins.emplace_back(i);
  rn::errgroup group;
  const auto out = rn::fan_in(group, ins);
  ints got;
  support::parties parties(how);
  for (int i = 0; i < 3; ++i)
    parties.go([&, i](party me) -> rn::task<> {
      const auto& in = ins[static_cast<std::size_t>(i)];
      for (int k = 0; k < n; ++k) co_await me.send(in, 3 * k + i);
      in.close();
    });
  parties.go([&](party me) -> rn::task<> { return read_all(me, out, got); });
  parties.join();
  group.wait();
  CHECK(sorted(got) == up_to(3 * n));
  for (int i = 0; i < 3; ++i) {
    ints part;
    std::ranges::copy_if(got, std::back_inserter(part), [i](int v) { return v % 3 == i; });
    CHECK(std::ranges::is_sorted(part));
  }
}

TEST_CASE("fan_in: two that always have something are served by turns") {
  const rn::channel<int> a(100);
  const rn::channel<int> b(100);
  a.send_many(ints(100, 1));
  b.send_many(ints(100, 2));
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  rn::errgroup group(ctx);
  const auto out = rn::fan_in(group, a, rn::recv_channel<int>(b));
  support::wait_until_sending(out, 2);
  ints got(20);
  for (int& v : got) {
    v = *out.recv();
    support::wait_until_sending(out, 2);
  }
  CHECK(std::ranges::count(got, 1) == 10);
  ctx.cancel();
  CHECK_THROWS_AS(group.wait(), rn::context_error);
}

TEST_CASE("fan_in of none is drained; signals are handed on as well") {
  rn::errgroup group;
  CHECK(rn::fan_in(group, std::vector<rn::recv_channel<int>>()).drained());
  const rn::channel<void> signals(2);
  signals.send();
  signals.send();
  signals.close();
  const auto out = rn::or_done(group, signals);
  CHECK(out.recv());
  CHECK(out.recv());
  CHECK_FALSE(out.recv());
  const rn::channel<void> never;
  const auto either = rn::fan_in(group, never, group.ctx().done_channel());
  group.cancel();
  CHECK_FALSE(either.recv());
  group.wait();
}

TEST_CASE("P18 tee: each value goes to all, in order") {
  const auto how = GENERATE(values(support::mixes));
  INFO(support::name_of(how));
  const int n = support::shared(how, support::scaled(400, 80));
  const rn::channel<int> in(2);
  rn::errgroup group;
  const auto outs = rn::tee(group, in, 3);
  std::vector<ints> got(3);
  support::parties parties(how);
  parties.go([&](party me) -> rn::task<> {
    for (int i = 0; i < n; ++i) co_await me.send(in, i);
    in.close();
  });
  for (std::size_t i = 0; i < 3; ++i) parties.go([&, i](party me) -> rn::task<> { return read_all(me, outs[i], got[i]); });
  parties.join();
  group.wait();
  for (const ints& all : got) CHECK(all == up_to(n));
}

TEST_CASE("tee: the outputs may be read in any order, the slowest sets the pace, and one that is dropped holds up nobody") {
  rn::errgroup group;
  auto outs = rn::tee(group, closed_with(up_to(12)), 3);
  for (int i = 0; i < 6; ++i)
    for (std::size_t k = 0; k < 3; ++k) CHECK(*outs[(k + static_cast<std::size_t>(i)) % 3].recv() == i);
  CHECK(*outs[0].recv() == 6);
  CHECK(*outs[2].recv() == 6);
  CHECK(outs[0].try_recv_for(100us).status() == rn::status::timed_out);  // not before the other has had this one
  outs[1] = nullptr;
  CHECK(*outs[0].recv() == 7);
  outs[0] = nullptr;
  CHECK(all_of(outs[2]) == ints{7, 8, 9, 10, 11});
  group.wait();
}

TEST_CASE("tee copies a value once for each output but one; a copy that throws is a failure, and nobody gets that value") {
  rn::errgroup group;
  const rn::channel<copied> in(2);
  in.send(copied(1));
  in.send(copied(2, 1));
  const auto outs = rn::tee(group, in, 3);
  for (const auto& out : outs) CHECK(out.recv()->copies_left() == 998);
  for (const auto& out : outs) CHECK_FALSE(out.recv());
  CHECK(failure_of(group) == "no more copies");
  const auto can_tee = [](const auto& ch) { return requires(rn::errgroup g) { rn::tee(g, ch, 2); }; };
  CHECK(can_tee(rn::channel<int>()));
  CHECK_FALSE(can_tee(rn::channel<std::unique_ptr<int>>()));
}

TEST_CASE("tee does not take the user's on_send for its own") {
  rn::errgroup group;
  const rn::channel<greedy_tee::number> in(3);
  for (int i = 0; i < 3; ++i) in.send(greedy_tee::number{i});
  in.close();
  const auto outs = rn::tee(group, in, 2);
  for (int i = 0; i < 3; ++i)
    for (const auto& out : outs) CHECK(out.recv()->value == i);
  group.wait();
}

TEST_CASE("or_done: all of it, or until the group is over") {
  rn::errgroup group;
  CHECK(all_of(rn::or_done(group, closed_with(up_to(5)))) == up_to(5));
  group.wait();
  const rn::channel<int> never;
  const auto out = rn::or_done(group, never);
  group.go([] { throw std::runtime_error("over"); });
  CHECK(all_of(out).empty());
  CHECK(failure_of(group) == "over");
  const auto nil = rn::or_done(group, rn::recv_channel<int>());
  group.cancel();
  CHECK(all_of(nil).empty());
  group.wait();
}

TEST_CASE("stages whose runtime is abandoned leave nothing behind, and their outputs end") {
  const std::int64_t before = counted::live();
  {
    const rn::channel<counted> in(10);
    for (int i = 0; i < 10; ++i) in.send(counted(i));
    rn::runtime places(2);
    rn::errgroup group({}, {.limit = 0, .collect_all = false, .on = &places});
    const auto same = [](counted v) { return v; };
    auto ordered = rn::parallel_map(group, in, same, {2, 1});
    auto next = rn::parallel_map(group, ordered, same, {2, 0, false});
    auto last = rn::fan_in(group, next);
    CHECK(last.recv());
    places.shutdown(rn::abandon);
    while (last.recv()) {
    }
    CHECK(ordered.closed());
    static_cast<void>(group.wait_result());
  }
  CHECK(counted::live() == before);
}

}  // namespace fan_test
