// pipeline: what comes out, in which order, how it ends early, and what becomes of failures, wherever they happen.
#include <runnel/pipeline.hpp>

#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

/// Values and functions of a namespace with functions for anything, by names that the library has for its own.
namespace greedy {

template <class A>
void list_of(A&&);
template <class A, class B>
void call_stage(A&&, B&&);
template <class A, class B, class C>
void call_stage(A&&, B&&, C&&);
template <class A>
void throw_failure(A&&);
template <class A, class B, class C>
void parallel_map(A&&, B&&, C&&);
template <class A, class B, class C, class D>
void parallel_map(A&&, B&&, C&&, D&&);

struct number {
  int value = 1;
};
struct error {};
struct checked {
  [[nodiscard]] static bool has_value() { return true; }
  [[nodiscard]] static greedy::error error() { return {}; }
};
struct same {
  number operator()(number n) const { return n; }
};
struct same_later {
  runnel::task<number> operator()(number n) const { co_return n; }
};
struct twice {
  std::vector<number> operator()(number n) const { return {n, n}; }
};
struct looks {
  bool operator()(const number& n) const { return n.value == 1; }
};
struct adds {
  number operator()(number a, number b) const { return {a.value + b.value}; }
};
struct checks {
  checked operator()(const std::vector<number>&) const { return {}; }
};
struct sees {
  void operator()(number) const {}
};

}  // namespace greedy

namespace pipeline_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::counter;
using support::read;

namespace {

using numbers = std::vector<int>;

numbers up_to(int n) {
  numbers all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}
int doubled(int n) { return 2 * n; }
rn::task<int> doubled_later(int n) {
  co_await rn::async_sleep_for(1us);
  co_return 2 * n;
}
rn::task<bool> is_odd_later(const int& n) {
  co_await rn::async_sleep_for(1us);
  co_return n % 2 != 0;
}
int fails_at_three(int n) {
  if (n == 3) throw std::out_of_range("three");
  return n;
}
/// Counts up for ever, and how often it was asked.
struct endless {
  int* asked;
  std::optional<int> operator()() const { return (*asked)++; }
};

/// What can be moved, but neither copied nor assigned.
struct fixed {
  explicit fixed(int n) : value(n) {}
  fixed(const fixed&) = delete;
  fixed(fixed&&) noexcept = default;
  fixed& operator=(const fixed&) = delete;
  ~fixed() = default;
  const int value;
};
fixed fixed_of(int n) { return fixed(n); }
int value_of(fixed f) { return f.value; }

/// Whether running it fails with this error.
template <class Error, class P>
bool fails_with(const P& p, const std::string& what) {
  try {
    p.run();
  } catch (const Error& e) {
    return e.what() == what;
  }
  return false;
}

}  // namespace

TEST_CASE("a pipeline runs as often as one likes, and begins at the beginning of its source") {
  numbers source = up_to(10);
  const auto p = rn::from(source) | rn::map(doubled) | rn::filter([](const int& n) { return n % 3 == 0; }) |
                 rn::reduce(std::string(), [](std::string text, int n) { return text + std::to_string(n) + ' '; });
  CHECK(p.run() == "0 6 12 18 ");
  source.push_back(12);  // an lvalue is not copied
  CHECK(p.run() == "0 6 12 18 24 ");
  CHECK(rn::sync_wait(p.async_run()) == "0 6 12 18 24 ");
}

TEST_CASE("stages are put together before there is a source, and used for several") {
  const auto clean = rn::filter([](const std::string& s) { return !s.empty(); }) | rn::map([](std::string s) { return s + '!'; });
  const auto first = rn::from(std::vector<std::string>{"a", "", "b"}) | clean | rn::collect<std::vector>();
  const auto second = rn::from(std::list<std::string>{"", "c"}) | (clean | rn::collect<std::set>());
  CHECK(first.run() == std::vector<std::string>{"a!", "b!"});
  CHECK(second.run() == std::set<std::string>{"c!"});
}

TEST_CASE("a source is a range, a channel, or a function") {
  const int array[] = {1, 2, 3};
  CHECK((rn::from(array) | rn::collect<std::vector>()).run() == numbers{1, 2, 3});
  CHECK((rn::from(std::views::iota(1, 4)) | rn::collect<std::list>()).run() == std::list<int>{1, 2, 3});
  CHECK((rn::from(numbers()) | rn::collect<std::vector>()).run().empty());
  int asked = 0;
  CHECK((rn::from(endless{&asked}) | rn::take(3) | rn::collect<std::vector>()).run() == numbers{0, 1, 2});
  const auto later = [n = 0]() mutable -> rn::task<std::optional<int>> {
    co_await rn::async_sleep_for(1us);
    co_return n < 3 ? std::optional(n++) : std::nullopt;
  };
  CHECK((rn::from(later) | rn::collect<std::vector>()).run() == numbers{0, 1, 2});
  const auto ends = rn::make_channel<int>(3);
  for (const int n : array) ends.send.send(n);
  ends.send.close();
  CHECK((rn::from(ends.recv) | rn::collect<std::vector>()).run() == numbers{1, 2, 3});
}

TEST_CASE("a source that can be gone through only once goes on where it was") {
  std::istringstream text("1 2 3 4 5");
  const auto p = rn::from(std::ranges::istream_view<int>(text)) | rn::take(2) | rn::collect<std::vector>();
  CHECK(p.run() == numbers{1, 2});
  const auto copy = p;
  CHECK(copy.run() == numbers{3, 4});
  CHECK(p.run() == numbers{5});
  CHECK(p.run().empty());
  const rn::channel<int> ch(4);
  for (const int n : {1, 2, 3, 4}) ch.send(n);
  const auto q = rn::from(ch) | rn::take(3) | rn::collect<std::vector>();
  CHECK(q.run() == numbers{1, 2, 3});
  CHECK(ch.size() == 1);
}

TEST_CASE("values that cannot be copied are moved through, whatever stands between") {
  const auto make = [n = 0]() mutable -> std::optional<std::unique_ptr<int>> {
    return n < 5 ? std::optional(std::make_unique<int>(n++)) : std::nullopt;
  };
  const auto p = rn::from(make) | rn::filter([](const std::unique_ptr<int>& n) { return *n != 2; }) | rn::buffer(2) |
                 rn::map([](std::unique_ptr<int> n) { return std::make_unique<int>(*n + 1); }, rn::workers(2)) | rn::batch(3) |
                 rn::flat_map([](std::vector<std::unique_ptr<int>> some) { return some; }) |
                 rn::reduce(0, [](int sum, std::unique_ptr<int> n) { return 10 * sum + *n; });
  CHECK(p.run() == 1245);
  std::vector<std::unique_ptr<int>> owned;
  owned.push_back(std::make_unique<int>(7));
  const auto q = rn::from(std::move(owned)) | rn::collect<std::vector>();
  CHECK(*q.run().at(0) == 7);
}

TEST_CASE("values that cannot be assigned are moved through, whatever stands between") {
  const auto all = up_to(150);  // around the end of a pipe, too
  const auto made = rn::from(all) | rn::map(fixed_of);
  const auto values = rn::map(value_of) | rn::collect<std::vector>();
  const auto same = [](fixed f) { return f; };
  const auto same_later = [](fixed f) -> rn::task<fixed> { co_return f; };
  const auto all_of = [](std::vector<fixed> some) { return some; };
  CHECK((made | rn::buffer(2) | values).run() == all);
  CHECK((made | rn::map(same, rn::workers(2)) | values).run() == all);
  CHECK((made | rn::map(same_later, rn::workers(2)) | rn::buffer(3) | values).run() == all);
  CHECK((made | rn::map(same, rn::workers(2), rn::unordered) | rn::map(value_of) | rn::collect<std::multiset>()).run().size() ==
        150);
  CHECK((made | rn::filter([](const fixed&) -> rn::task<bool> { co_return true; }) | values).run() == all);
  CHECK((made | rn::map(same_later) | rn::tap([](const fixed&) {}) | values).run() == all);
  CHECK((made | rn::batch(4) | rn::flat_map(all_of) | values).run() == all);
  CHECK((made | rn::batch(4, 1h) | rn::flat_map(all_of) | values).run() == all);
  CHECK((made | rn::collect<std::vector>()).run().size() == 150);
  counter seen{0};
  (made | rn::for_each([&](const fixed&) { support::add(seen); }, rn::workers(2))).run();
  CHECK(read(seen) == 150);
  const rn::channel<fixed> ch;
  rn::errgroup sender;
  sender.go([&] {
    for (const int n : all) ch.send(fixed(n));
    ch.close();
  });
  CHECK((rn::from(ch) | values).run() == all);
  sender.wait();
}

TEST_CASE("what reduce answers need not be assignable") {
  struct sum {
    explicit sum(int n) : value(n) {}
    const int value;
  };
  const auto adds = [](sum a, int b) { return sum(a.value + b); };
  const auto adds_later = [&](sum a, int b) -> rn::task<sum> { co_return adds(a, b); };
  CHECK((rn::from(up_to(5)) | rn::reduce(sum(1), adds)).run().value == 11);
  CHECK((rn::from(up_to(5)) | rn::buffer(1) | rn::reduce(sum(1), adds_later)).run().value == 11);
  CHECK(rn::sync_wait((rn::from(up_to(5)) | rn::reduce(sum(1), adds_later)).async_run()).value == 11);
}

TEST_CASE("take reads no more than it passes on, and ends what stands before it") {
  int asked = 0;
  CHECK((rn::from(endless{&asked}) | rn::take(4) | rn::collect<std::vector>()).run() == up_to(4));
  CHECK(asked == 4);
  CHECK((rn::from(endless{&asked}) | rn::take(0) | rn::collect<std::vector>()).run().empty());
  CHECK(asked == 4);
  int far = 0;
  CHECK((rn::from(endless{&far}) | rn::buffer(2) | rn::map(doubled, rn::workers(2)) | rn::buffer(0) | rn::take(3) |
         rn::collect<std::vector>())
            .run() == numbers{0, 2, 4});
  const rn::channel<int> silent(3);  // nobody sends any more, and nobody closes it
  for (const int n : {1, 2, 3}) silent.send(n);
  const auto p = rn::from(silent) | rn::map(doubled) | rn::buffer(8) | rn::map(doubled, rn::workers(2)) | rn::buffer(8) |
                 rn::map(doubled) | rn::take(2) | rn::collect<std::vector>();
  CHECK(p.run() == numbers{8, 16});
}

TEST_CASE("K02 functions of all stages may be coroutines") {
  const auto p = rn::from(up_to(12)) | rn::map(doubled_later) |
                 rn::filter([](const int& n) -> rn::task<bool> { co_return n % 3 == 0; }) |
                 rn::flat_map([](int n) -> rn::task<numbers> { co_return numbers{n, n + 1}; }) | rn::filter(is_odd_later) |
                 rn::tap([](const int& n) -> rn::task<> { co_await rn::async_sleep_for(n > 0 ? 1us : 0us); }) | rn::buffer(1) |
                 rn::map(doubled_later, rn::workers(3)) | rn::reduce(0, [](int sum, int n) -> rn::task<int> { co_return sum + n; });
  CHECK(p.run() == 2 * (1 + 7 + 13 + 19));
  CHECK(rn::runtime::global().run(p.async_run()) == 2 * (1 + 7 + 13 + 19));
  int sum = 0;
  (rn::from(up_to(5)) | rn::for_each([&](int n) -> rn::task<> {
     co_await rn::async_sleep_for(1us);
     sum += n;
   })).run();
  CHECK(sum == 10);
}

TEST_CASE("flat_map passes on the values of ranges, empty ones too") {
  const auto p =
      rn::from(numbers{2, 0, 3}) | rn::flat_map([](int n) { return std::views::iota(0, n); }) | rn::collect<std::vector>();
  CHECK(p.run() == numbers{0, 1, 0, 1, 2});
  const auto q =
      rn::from(numbers{1}) | rn::flat_map([](int) { return std::views::iota(0); }) | rn::take(3) | rn::collect<std::vector>();
  CHECK(q.run() == numbers{0, 1, 2});
}

TEST_CASE("tap looks at each value and passes it on") {
  numbers seen;
  const auto p = rn::from(up_to(3)) | rn::tap([&](const int& n) { seen.push_back(n); }) | rn::collect<std::vector>();
  CHECK(p.run() == up_to(3));
  CHECK(seen == up_to(3));
}

TEST_CASE("batches are of n values, at the end of fewer") {
  const auto p = rn::from(up_to(5)) | rn::batch(2) | rn::collect<std::vector>();
  CHECK(p.run() == std::vector<numbers>{{0, 1}, {2, 3}, {4}});
  CHECK((rn::from(up_to(4)) | rn::batch(2) | rn::collect<std::vector>()).run().size() == 2);
  CHECK((rn::from(up_to(3)) | rn::batch(std::size_t(-1)) | rn::collect<std::vector>()).run().size() == 1);
  CHECK_THROWS_AS(rn::batch(0), std::invalid_argument);
  CHECK_THROWS_AS(rn::batch(0, 1s), std::invalid_argument);
}

TEST_CASE("T09 a batch with a time limit does not wait for more values than come in time") {
  const rn::channel<int> ch(8);
  for (const int n : {1, 2, 3}) ch.send(n);
  CHECK((rn::from(ch) | rn::batch(3, 1h) | rn::take(1) | rn::collect<std::vector>()).run() == std::vector<numbers>{{1, 2, 3}});
  CHECK((rn::from(up_to(3)) | rn::batch(2, rn::duration::max()) | rn::collect<std::vector>()).run().size() == 2);
  ch.send(4);
  const auto p = rn::from(ch) | rn::batch(100, 1ms) | rn::take(1) | rn::collect<std::vector>();
  CHECK(p.run() == std::vector<numbers>{{4}});  // nobody closes it
  ch.send(5);
  CHECK((rn::from(ch) | rn::batch(100, -1ms) | rn::take(1) | rn::collect<std::vector>()).run() == std::vector<numbers>{{5}});
}

TEST_CASE("pairs are collected in a map, and any container by its type") {
  const auto p = rn::from(up_to(3)) | rn::map([](int n) { return std::pair(n, std::to_string(n)); });
  CHECK((p | rn::collect<std::map>()).run() == std::map<int, std::string>{{0, "0"}, {1, "1"}, {2, "2"}});
  CHECK((p | rn::collect<std::vector>()).run().size() == 3);
  CHECK((p | rn::collect<std::multimap<int, std::string>>()).run().size() == 3);
}

TEST_CASE("the pairs of a map go wherever other values go") {
  using ages = std::map<std::string, int>;
  const ages all{{"a", 1}, {"b", 2}};
  const auto age = [](const ages::value_type& person) { return person.second; };
  CHECK((rn::from(all) | rn::map(age, rn::workers(2)) | rn::collect<std::vector>()).run() == numbers{1, 2});
  CHECK((rn::from(all) | rn::buffer(1) | rn::collect<std::map>()).run() == all);
  CHECK((rn::from(ages(all)) | rn::filter([&](const ages::value_type& p) { return age(p) > 1; }) | rn::collect<ages>()).run() ==
        ages{{"b", 2}});
  CHECK((rn::from(numbers{1, 2}) | rn::flat_map([&](int) { return ages(all); }) | rn::buffer(1) | rn::collect<std::map>()).run() ==
        all);
  const auto owners = [](int n) {
    std::map<std::string, std::unique_ptr<int>> some;
    some["a"] = std::make_unique<int>(n);
    return some;
  };
  CHECK(*(rn::from(numbers{7}) | rn::flat_map(owners) | rn::buffer(1) | rn::collect<std::map>()).run().at("a") == 7);
}

TEST_CASE("P07 P09 several workers answer in the order of their values, or as they are ready") {
  const auto ordered = rn::from(up_to(500)) | rn::map(doubled, rn::workers(4)) | rn::collect<std::vector>();
  const auto any = rn::from(up_to(500)) | rn::map(doubled, rn::workers(4), rn::unordered) | rn::collect<std::multiset>();
  const numbers expected = (rn::from(up_to(500)) | rn::map(doubled) | rn::collect<std::vector>()).run();
  CHECK(ordered.run() == expected);
  CHECK(any.run() == std::multiset<int>(expected.begin(), expected.end()));
  CHECK((rn::from(up_to(20)) | rn::map(doubled, rn::workers(1)) | rn::collect<std::vector>()).run().size() == 20);
  CHECK((rn::from(up_to(20)) | rn::map(doubled, rn::unordered) | rn::collect<std::vector>()).run().size() == 20);
  CHECK((rn::from(up_to(20)) | rn::map(doubled, rn::workers(0)) | rn::collect<std::vector>()).run().size() == 20);
}

TEST_CASE("a buffer lets what stands before it run ahead by as much, behind workers too") {
  counter made{0};
  const auto make = [&made]() -> std::optional<int> {
    support::add(made);
    return read(made) <= 2000 ? std::optional(1) : std::nullopt;
  };
  bool waits = true;
  const auto p = rn::from(make) | rn::map(doubled, rn::workers(1)) | rn::buffer(1000) | rn::for_each([&](int) {
                   if (std::exchange(waits, false)) support::wait_until([&] { return read(made) > 1000; });
                 });
  p.run();
  CHECK(read(made) == 2001);
}

TEST_CASE("a buffer of a size without meaning is refused as a channel of it is") {
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2}) {
    CHECK_THROWS_AS(rn::channel<int>(size), std::length_error);
    CHECK_THROWS_AS((rn::from(up_to(200)) | rn::buffer(size) | rn::collect<std::vector>()).run(), std::length_error);
    CHECK_THROWS_AS((rn::from(up_to(200)) | rn::buffer(size) | rn::map(doubled, rn::workers(2)) | rn::collect<std::vector>()).run(),
                    std::length_error);
    CHECK_THROWS_AS(
        rn::sync_wait((rn::from(up_to(200)) | rn::buffer(1) | rn::buffer(size) | rn::collect<std::vector>()).async_run()),
        std::length_error);
  }
}

TEST_CASE("workers work at the same time") {
  const rn::channel<int> meet;
  const auto meets = [&](int n) {
    if (n % 2 == 0)
      meet.send(n);
    else
      n = *meet.recv();
    return n;
  };
  CHECK((rn::from(up_to(20)) | rn::map(meets, rn::workers(2)) | rn::collect<std::vector>()).run().size() == 20);
  counter calls{0};
  (rn::from(up_to(20)) | rn::for_each(
                             [&](int n) {
                               meets(n);
                               support::add(calls);
                             },
                             rn::workers(2)))
      .run();
  CHECK(read(calls) == 20);
}

TEST_CASE("a stage of one's own is a function of the group and a channel, such as those of fan.hpp") {
  const auto both = [](rn::errgroup& group, rn::recv_channel<int> in) {
    auto copies = rn::tee(group, std::move(in), 2);
    return rn::fan_in(group, std::move(copies));
  };
  const auto p = rn::from(up_to(5)) | rn::map(doubled) | rn::through(both) | rn::reduce(0, std::plus<>());
  CHECK(p.run() == 40);
  CHECK(p.run() == 40);
}

TEST_CASE("P02 a failure anywhere comes out of run as what it is, and the pipeline can be run again") {
  const auto source = rn::from(up_to(1000));
  const auto nothing = rn::for_each([](int) {});
  const auto fails = [](int n) { return fails_at_three(n) >= 0; };
  const auto fails_later = [](int n) -> rn::task<int> {
    co_await rn::async_sleep_for(1us);
    co_return fails_at_three(n);
  };
  const auto check = [&](const auto& p) {
    CHECK(fails_with<std::out_of_range>(p, "three"));
    CHECK(fails_with<std::out_of_range>(p, "three"));
  };
  check(source | rn::map(fails_at_three) | nothing);
  check(source | rn::map(fails_later) | nothing);
  check(source | rn::buffer(1) | rn::map(fails_at_three) | rn::buffer(1) | nothing);
  check(source | rn::filter(fails) | rn::buffer(1) | rn::for_each([](int) {}, rn::workers(2)));
  check(source | rn::buffer(1) | rn::tap([](const int& n) { fails_at_three(n); }) | rn::batch(3) |
        rn::for_each([](const numbers&) {}));
  check(source | rn::map(fails_at_three, rn::workers(3)) | nothing);
  check(source | rn::map(fails_later, rn::workers(3), rn::unordered) | rn::buffer(2) | nothing);
  check(source | rn::buffer(1) | rn::for_each([](int n) { fails_at_three(n); }, rn::workers(2)));
  check(source | rn::buffer(3) | rn::for_each([](int n) { fails_at_three(n); }));
  check(source | rn::reduce(0, [](int, int n) { return fails_at_three(n); }));
  check(source | rn::flat_map([](int n) { return numbers{fails_at_three(n)}; }) | nothing);
  int n = 0;
  const auto failing_source = rn::from([&]() -> std::optional<int> { return fails_at_three(n++ % 5); }) | rn::buffer(1) | nothing;
  CHECK(fails_with<std::out_of_range>(failing_source, "three"));
  const auto code =
      source | rn::for_each([](int i) { return i == 3 ? std::make_error_code(std::errc::io_error) : std::error_code(); });
  CHECK_THROWS_AS(code.run(), std::system_error);
}

TEST_CASE("P04 a context that ends cuts a run short, wherever it waits or works: there is no partial result") {
  const rn::channel<int> silent(1);
  rn::scoped_context stopped = rn::with_cancel(rn::context());
  stopped.cancel();
  const auto ends = [&](const auto& p) {
    CHECK_THROWS_AS(p.run(stopped), rn::context_error);
    CHECK_THROWS_AS(p.run(rn::with_timeout(rn::context(), 1ms)), rn::context_error);
    CHECK_THROWS_AS(rn::sync_wait(p.async_run(stopped)), rn::context_error);
  };
  ends(rn::from(silent) | rn::collect<std::vector>());
  ends(rn::from(silent) | rn::buffer(1) | rn::map(doubled, rn::workers(2)) | rn::collect<std::vector>());
  ends(rn::from(silent) | rn::batch(2, 1h) | rn::for_each([](const numbers&) {}));
  int asked = 0;
  ends(rn::from(endless{&asked}) | rn::filter([](const int&) { return false; }) | rn::collect<std::vector>());
  ends(rn::from(endless{&asked}) | rn::buffer(2) | rn::for_each([](int) {}, rn::workers(2)));
  ends(rn::from(numbers{1}) | rn::flat_map([](int) { return std::views::iota(0); }) | rn::filter([](const int&) { return false; }) |
       rn::reduce(0, std::plus<>()));
  ends(rn::from(numbers{1}) | rn::buffer(1) |
       rn::for_each([&](const rn::context& ctx, int) { static_cast<void>(silent.recv(ctx)); }));
  ends(rn::from(numbers{1, 2, 3}) |
       rn::map(
           [&](const rn::context& ctx, int n) {
             static_cast<void>(silent.recv(ctx));
             return n;
           },
           rn::workers(2)) |
       rn::collect<std::vector>());
  try {
    (rn::from(silent) | rn::for_each([](int) {})).run(rn::with_timeout(rn::context(), 1ms));
  } catch (const rn::context_error& e) {
    CHECK(e.code() == rn::status::timed_out);
  }
}

TEST_CASE("P04 what returns was not asked to stop before its work was done, whether its functions have noticed or not") {
  std::optional<rn::scoped_context> ctx;
  int asked = 0;
  const auto begin = [&]() -> const rn::context& {
    asked = 0;
    return ctx.emplace(rn::with_cancel(rn::context()));
  };
  const auto cut_short = [&](const auto& p) {
    CHECK_THROWS_AS(p.run(begin()), rn::context_error);
    CHECK_THROWS_AS(rn::sync_wait(p.async_run(begin())), rn::context_error);
  };
  const auto whole = [&](const auto& p) {
    CHECK(p.run(begin()) == up_to(2));
    CHECK(rn::sync_wait(p.async_run(begin())) == up_to(2));
  };
  const auto source = [&]() -> std::optional<int> {  // as one that waits for more until the context ends
    if (asked < 2) return asked++;
    ctx->cancel();
    return std::nullopt;
  };
  const auto source_later = [&]() -> rn::task<std::optional<int>> { co_return source(); };
  const auto same_later = [](int n) -> rn::task<int> { co_return n; };
  cut_short(rn::from(source) | rn::collect<std::vector>());
  cut_short(rn::from(source) | rn::map(same_later) | rn::collect<std::vector>());
  cut_short(rn::from(source_later) | rn::collect<std::vector>());
  cut_short(rn::from(source) | rn::buffer(1) | rn::collect<std::vector>());
  cut_short(rn::from(source_later) | rn::buffer(1) | rn::collect<std::vector>());
  cut_short(rn::from(source) | rn::for_each([](int) {}, rn::workers(2)));

  const auto stops = [&](int n) {
    ctx->cancel();
    return numbers{n};
  };
  cut_short(rn::from(up_to(9)) | rn::take(1) | rn::for_each([&](int n) { stops(n); }));
  cut_short(rn::from(up_to(9)) | rn::take(1) | rn::buffer(1) | rn::for_each([&](int n) { stops(n); }));
  cut_short(rn::from(numbers{1}) | rn::flat_map(stops) | rn::collect<std::vector>());
  cut_short(rn::from(numbers{1}) | rn::buffer(1) | rn::flat_map(stops) | rn::collect<std::vector>());

  int batches = 0;
  cut_short(rn::from(source) | rn::batch(9) | rn::for_each([&](const numbers&) { ++batches; }));
  cut_short(rn::from(source_later) | rn::batch(9) | rn::for_each([&](const numbers&) { ++batches; }));
  cut_short(rn::from(source) | rn::buffer(1) | rn::batch(9) | rn::for_each([&](const numbers&) { ++batches; }));
  CHECK(batches == 0);

  whole(rn::from(source) | rn::take(2) | rn::collect<std::vector>());
  whole(rn::from(source) | rn::take(2) | rn::map(same_later) | rn::collect<std::vector>());
  whole(rn::from(source_later) | rn::take(2) | rn::collect<std::vector>());
  whole(rn::from(source) | rn::take(2) | rn::buffer(1) | rn::collect<std::vector>());
  whole(rn::from(source) | rn::take(2) | rn::map(same_later, rn::workers(2)) | rn::collect<std::vector>());
}

TEST_CASE("a stage that says that it was told to stop is no failure, if it was take that told it") {
  const rn::channel<int> silent;
  const auto waits = [&](const rn::context& ctx, int n) {
    if (n < 2) return n;
    static_cast<void>(silent.recv(ctx));
    ctx.throw_if_done();
    return n;
  };
  CHECK((rn::from(up_to(9)) | rn::map(waits) | rn::buffer(4) | rn::take(2) | rn::collect<std::vector>()).run() == numbers{0, 1});
}

TEST_CASE("C40 a fast source does not run ahead of a slow sink by more than the channels hold, and nothing is left") {
  const std::int64_t before = support::counted::live();
  support::counter made{0};
  const auto make = [&made, n = 0]() mutable -> std::optional<support::counted> {
    if (n == 3000) return std::nullopt;
    support::add(made);
    return std::optional<support::counted>(std::in_place, n++);
  };
  std::uint32_t most = 0;
  std::uint32_t count = 0;
  const auto p = rn::from(make) | rn::buffer(4) | rn::map([](support::counted c) { return c; }, rn::workers(2)) | rn::buffer(4) |
                 rn::for_each([&](support::counted) {
                   most = std::max(most, support::read(made) - count);
                   ++count;
                 });
  p.run();
  CHECK(count == 3000);
  // The buffers, the workers' values and results, what the sink has taken, and the one that the source has just made.
  CHECK(most <= 4 + 2 + 64 + 64 + 4 + 64 + 1);
  CHECK(support::counted::live() == before);
}

TEST_CASE("a pipeline is awaited in any coroutine, moved into its task or not") {
  const auto run = []() -> rn::task<int> {
    const auto p = rn::from(up_to(10)) | rn::buffer(2) | rn::reduce(0, std::plus<>());
    const int first = co_await p.async_run();
    auto moved = rn::from(up_to(10)) | rn::reduce(0, std::plus<>());
    rn::task<int> later = std::move(moved).async_run();
    const int second = co_await std::move(later);
    co_return first + second;
  };
  CHECK(rn::runtime::global().run(run()) == 90);
  CHECK(rn::sync_wait(run()) == 90);
}

TEST_CASE("a pipeline is awaited with a context that is made for it") {
  const auto run = []() -> rn::task<int> {
    const auto p = rn::from(up_to(10)) | rn::buffer(2) | rn::reduce(0, std::plus<>());
    const int first = co_await p.async_run(rn::with_timeout(rn::context(), 1h));
    auto moved = rn::from(up_to(10)) | rn::reduce(0, std::plus<>());
    const int second = co_await std::move(moved).async_run(rn::with_cancel(rn::context()));
    co_return first + second;
  };
  CHECK(rn::runtime::global().run(run()) == 90);
  const auto waits = [](const auto& source) -> rn::task<numbers> {
    co_return co_await (rn::from(source) | rn::collect<std::vector>()).async_run(rn::with_timeout(rn::context(), 1ms));
  };
  CHECK_THROWS_AS(rn::sync_wait(waits(rn::channel<int>())), rn::context_error);
}

TEST_CASE("all values come in order through buffers of any size, between tasks that run at once") {
  // Both tasks overtake one another all the time: each wait for room or for values may be over before whoever ends it has looked.
  for (const std::size_t size : std::vector<std::size_t>{0, 1, 2, 3, 64, 1000}) {
    int out_of_order = 0;
    const auto p = rn::from(up_to(support::scaled(100'000, 5000))) | rn::buffer(size) | rn::map([](int n) { return n; }) |
                   rn::buffer(size) |
                   rn::reduce(0, [&](int next, int n) { return n == next ? next + 1 : (++out_of_order, n + 1); });
    CHECK(p.run() == support::scaled(100'000, 5000));
    CHECK(out_of_order == 0);
  }
}

TEST_CASE("runs at the same time do not disturb one another") {
  const numbers source = up_to(300);
  const auto p = rn::from(source) | rn::map(doubled) | rn::buffer(8) | rn::filter([](const int& n) { return n % 4 == 0; }) |
                 rn::reduce(0, std::plus<>());
  const int expected = p.run();
  counter wrong{0};
  support::crew crew;
  for (int t = 0; t < 3; ++t)
    crew.go([&] {
      for (int i = 0; i < 10; ++i)
        if (p.run() != expected) support::add(wrong);
    });
  crew.join();
  CHECK(read(wrong) == 0);
}

TEST_CASE("names of the library that the user's namespace has too are not mixed up") {
  const auto source = rn::from(std::vector<greedy::number>(8));
  const auto p = source | rn::map(greedy::same()) | rn::map(greedy::same_later()) | rn::filter(greedy::looks()) |
                 rn::tap(greedy::looks()) | rn::flat_map(greedy::twice()) | rn::take(10) | rn::buffer(1) |
                 rn::map(greedy::same(), rn::workers(2)) | rn::map(greedy::same(), rn::workers(2), rn::unordered) |
                 rn::batch(3, 1h) | rn::for_each(greedy::checks());
  p.run();
  CHECK((source | rn::reduce(greedy::number(), greedy::adds())).run().value == 9);
  CHECK((source | rn::collect<std::vector>()).run().size() == 8);
  (source | rn::for_each(greedy::sees(), rn::workers(2))).run();
}

}  // namespace pipeline_test
