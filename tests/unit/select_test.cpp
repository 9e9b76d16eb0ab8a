// select and try_select: what each kind of case does, which form of a handler is called, and what is answered.
#include <runnel/go.hpp>
#include <runnel/select.hpp>
#include <runnel/task.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "catch.hpp"
#include "support.hpp"

namespace select_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t unset = 1000;

/// A channel that is closed and empty.
template <class T>
rn::channel<T> drained_channel() {
  const rn::channel<T> ch(1);
  ch.close();
  return ch;
}
/// A channel with room for one value, which is there.
template <class T>
rn::channel<T> holding(T value) {
  const rn::channel<T> ch(1);
  ch.send(std::move(value));
  return ch;
}

template <class Handle>
concept can_be_received_from = requires(const Handle& h) { rn::on_recv(h); };
template <class Handle>
concept can_be_sent_to = requires(const Handle& h) { rn::on_send(h, 1); };

}  // namespace

TEST_CASE("select answers the index of the case that happened") {
  const std::array<rn::channel<int>, 3> channels{rn::channel<int>(1), rn::channel<int>(1), rn::channel<int>(1)};
  for (std::size_t i = 0; i < channels.size(); ++i) {
    channels[i].send(static_cast<int>(i) + 10);
    int got = 0;
    std::size_t handled = unset;
    const auto handle = [&](std::size_t index) {
      return [&, index](int value) {
        handled = index;
        got = value;
      };
    };
    CHECK(rn::select(rn::on_recv(channels[0], handle(0)), rn::on_recv(channels[1], handle(1)),
                     rn::on_recv(channels[2], handle(2))) == i);
    CHECK(handled == i);
    CHECK(got == static_cast<int>(i) + 10);
    CHECK(rn::try_select(rn::on_recv(channels[0]), rn::on_recv(channels[1]), rn::on_recv(channels[2])) == rn::select_none);
  }
}

TEST_CASE("select waits for what is not ready") {
  const rn::channel<int> idle;
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  INFO(support::name_of(capacity));
  const auto ch = support::make<int>(capacity);
  std::size_t chosen = unset;
  int got = 0;
  support::crew threads;
  threads.go([&] { chosen = rn::select(rn::on_recv(idle), rn::on_recv(ch, [&](int value) { got = value; })); });
  support::wait_until_receiving(ch);
  ch.send(5);
  threads.join();
  CHECK(chosen == 1);
  CHECK(got == 5);
  CHECK(support::receiving(idle) == 0);
}

TEST_CASE("a handler of a receive gets the value, else the result, else nothing") {
  const auto ch = holding<std::string>("value");
  std::string called;
  struct both {
    std::string& called;
    void operator()(std::string&& s) const { called = "T " + s; }
    void operator()(const rn::recv_result<std::string>&) const { called = "result"; }
    void operator()() const { called = "nothing"; }
  };
  struct result_or_nothing {
    std::string& called;
    void operator()(const rn::recv_result<std::string>& r) const { called = "result " + *r; }
    void operator()() const { called = "nothing"; }
  };
  SECTION("all three") {
    rn::select(rn::on_recv(ch, both{called}));
    CHECK(called == "T value");
  }
  SECTION("result or nothing") {
    rn::select(rn::on_recv(ch, result_or_nothing{called}));
    CHECK(called == "result value");
  }
  SECTION("nothing") {
    rn::select(rn::on_recv(ch, [&] { called = "nothing"; }));
    CHECK(called == "nothing");
  }
  SECTION("anything: a T, as an rvalue") {
    rn::select(rn::on_recv(ch, [&](auto&& v) {
      STATIC_REQUIRE(std::is_same_v<decltype(v), std::string&&>);
      called = std::forward<decltype(v)>(v);
    }));
    CHECK(called == "value");
  }
  SECTION("a type that T converts to") {
    rn::select(rn::on_recv(ch, [&](std::string_view v) { called = v; }));
    CHECK(called == "value");
  }
  SECTION("no handler: the value is dropped") {
    CHECK(rn::select(rn::on_recv(ch)) == 0);
    CHECK(ch.size() == 0);
  }
}

TEST_CASE("handlers may be move-only, lvalues that are not copied, references, pointers to functions and members") {
  const auto ch = holding(std::make_unique<int>(7));
  std::unique_ptr<int> got;
  SECTION("move-only, with a move-only value") {
    rn::select(rn::on_recv(ch, [&got, one = std::make_unique<int>(1)](std::unique_ptr<int> v) {
      got = std::move(v);
      *got += *one;
    }));
    CHECK(*got == 8);
  }
  SECTION("an lvalue is called where it is") {
    struct counting {
      int calls = 0;
      counting() = default;
      counting(const counting&) = delete;
      counting& operator=(const counting&) = delete;
      void operator()() { ++calls; }
    } counter;
    rn::select(rn::on_recv(ch, counter), rn::on_recv(rn::recv_channel<int>(), counter));
    CHECK(counter.calls == 1);
  }
  SECTION("std::ref, std::function, what it answers is dropped") {
    std::function<int(std::unique_ptr<int>)> f = [&](std::unique_ptr<int> v) { return got = std::move(v), 3; };
    rn::select(rn::on_recv(ch, std::ref(f)));
    CHECK(*got == 7);
  }
  SECTION("a pointer to a member") {
    struct job {
      int* ran;
      int runs = 0;
      void run() { *ran = ++runs; }
    };
    int ran = 0;
    rn::select(rn::on_recv(holding(job{&ran}), &job::run));
    CHECK(ran == 1);
  }
}

TEST_CASE("a slot is filled, emptied by a drained channel, and left alone where its case is not chosen") {
  std::optional<std::string> slot = "before";
  std::optional<std::string> other = "other";
  CHECK(rn::select(rn::on_recv(holding<std::string>("now"), slot), rn::on_recv(rn::channel<std::string>(), other)) == 0);
  CHECK(slot == "now");
  CHECK(other == "other");
  CHECK(rn::select(rn::on_recv(drained_channel<std::string>(), slot)) == 0);
  CHECK_FALSE(slot.has_value());
  std::optional<std::unique_ptr<int>> move_only;
  rn::select(rn::on_recv(holding(std::make_unique<int>(3)), move_only));
  CHECK(**move_only == 3);
}

TEST_CASE("a drained channel: every form but f(T) completes with closed") {
  const auto ch = drained_channel<int>();
  bool called = false;
  CHECK(rn::select(rn::on_recv(ch)) == 0);
  CHECK(rn::select(rn::on_recv(ch, [&] { called = true; })) == 0);
  CHECK(called);
  rn::status why = rn::status::ok;
  CHECK(rn::select(rn::on_recv(ch, [&](const rn::recv_result<int>& r) { why = r.status(); })) == 0);
  CHECK(why == rn::status::closed);

  const auto must_not_run = [](int) { FAIL("there is no value"); };
  CHECK(rn::select(rn::on_recv(ch, must_not_run)) == rn::select_none);
  CHECK(rn::try_select(rn::on_recv(ch, must_not_run)) == rn::select_none);
  CHECK(rn::select(rn::on_recv(ch, must_not_run), rn::on_recv(holding(1))) == 1);
  CHECK(rn::select(rn::on_recv(ch, must_not_run), rn::otherwise()) == 1);
  CHECK(rn::select(rn::on_recv(ch, must_not_run), rn::on_timeout(1ms)) == 1);
}

TEST_CASE("a channel that is drained while select waits") {
  const auto capacity = GENERATE(values<support::size_parameter>({0U, 1U, std::nullopt}));
  INFO(support::name_of(capacity));
  const auto first = support::make<int>(capacity);
  const auto second = support::make<int>(capacity);
  std::size_t chosen = unset;
  int sum = 0;
  support::crew threads;
  SECTION("f(T): the other cases go on, and select_none when there is none left") {
    threads.go(
        [&] { chosen = rn::select(rn::on_recv(first, [&](int v) { sum += v; }), rn::on_recv(second, [&](int v) { sum += v; })); });
    support::wait_until_receiving(first);
    support::wait_until_receiving(second);
    first.close();
    support::wait_until_receiving(second);
    const bool goes_on = GENERATE(true, false);
    if (goes_on)
      second.send(4);
    else
      second.close();
    threads.join();
    CHECK(chosen == (goes_on ? 1 : rn::select_none));
    CHECK(sum == (goes_on ? 4 : 0));
  }
  SECTION("f(): closed is an answer") {
    threads.go([&] { chosen = rn::select(rn::on_recv(first), rn::on_recv(second)); });
    support::wait_until_receiving(second);
    second.close();
    threads.join();
    CHECK(chosen == 1);
  }
}

TEST_CASE("channel<void>: a signal or a close, told apart by the result alone") {
  const rn::channel<void> ch(1);
  int signals = 0;
  rn::status how = rn::status::would_block;
  CHECK(rn::select(rn::on_send(ch)) == 0);
  CHECK(rn::try_select(rn::on_send(ch)) == rn::select_none);
  CHECK(rn::select(rn::on_recv(ch, [&] { ++signals; })) == 0);
  CHECK(rn::select(rn::on_send(ch, [&] { ++signals; })) == 0);
  CHECK(rn::select(rn::on_recv(ch, [&](rn::recv_result<void> r) { how = r.status(); })) == 0);
  CHECK(signals == 2);
  CHECK(how == rn::status::ok);
  ch.close();
  CHECK(rn::select(rn::on_recv(ch, [&] { ++signals; })) == 0);
  CHECK(rn::select(rn::on_recv(ch, [&](rn::recv_result<void> r) { how = r.status(); })) == 0);
  CHECK(signals == 3);
  CHECK(how == rn::status::closed);
  CHECK_THROWS_AS(rn::select(rn::on_send(ch)), rn::channel_closed);
}

TEST_CASE("a handler of a send gets nothing if it can, else the result") {
  const rn::channel<int> ch(8);
  int called = 0;
  struct both {
    int& called;
    void operator()() const { called += 1; }
    void operator()(rn::send_result) const { called += 10; }
  };
  rn::select(rn::on_send(ch, 1, both{called}));
  CHECK(called == 1);
  rn::select(rn::on_send(ch, 2, [&](rn::send_result r) { called += r ? 100 : 1000; }));
  CHECK(called == 101);
  rn::select(rn::on_send(ch, 3, [&](auto&&... nothing) { STATIC_REQUIRE(sizeof...(nothing) == 0); }));
  rn::select(rn::on_send(ch, 4));
  CHECK(ch.size() == 4);
}

TEST_CASE("a send copies an lvalue, and moves from an rvalue only if its case is chosen") {
  const rn::channel<std::string> texts(1);
  const std::string kept = "a text that is too long for the small string optimization";
  rn::select(rn::on_send(texts, kept));
  CHECK(*texts.recv() == kept);
  rn::select(rn::on_send(texts, "converted"));
  CHECK(*texts.recv() == "converted");

  const rn::channel<std::unique_ptr<int>> full(1);
  full.send(nullptr);
  auto value = std::make_unique<int>(1);
  CHECK(rn::try_select(rn::on_send(full, std::move(value))) == rn::select_none);
  CHECK(rn::select(rn::on_send(full, std::move(value)), rn::otherwise()) == 1);
  CHECK(rn::select(rn::on_send(full, std::move(value)), rn::on_timeout(1ms)) == 1);
  CHECK(rn::select(rn::on_send(full, std::move(value)), rn::on_recv(full)) == 1);
  CHECK(rn::select(rn::when(false, rn::on_send(full, std::move(value))), rn::otherwise()) == 1);
  REQUIRE(value != nullptr);
  CHECK(rn::select(rn::on_send(full, std::move(value))) == 0);
  CHECK(value == nullptr);
}

TEST_CASE("a send to a closed channel is ready: it throws, or its handler gets closed, and the value stays") {
  const auto ch = drained_channel<std::unique_ptr<int>>();
  auto value = std::make_unique<int>(1);
  const auto must_not_run = [] { FAIL("nothing was sent"); };
  CHECK_THROWS_AS(rn::select(rn::on_send(ch, std::move(value))), rn::channel_closed);
  CHECK_THROWS_AS(rn::select(rn::on_send(ch, std::move(value), must_not_run)), rn::channel_closed);
  CHECK_THROWS_AS(rn::try_select(rn::on_send(ch, std::move(value)), rn::otherwise()), rn::channel_closed);
  rn::status how = rn::status::ok;
  CHECK(rn::select(rn::on_send(ch, std::move(value), [&](rn::send_result r) { how = r.status(); })) == 0);
  CHECK(how == rn::status::closed);
  CHECK(value != nullptr);
}

TEST_CASE("a send that waits while its channel is closed") {
  const auto capacity = GENERATE(0U, 1U);
  const rn::channel<int> ch(capacity);
  for (unsigned i = 0; i < capacity; ++i) ch.send(0);
  rn::status how = rn::status::ok;
  bool threw = false;
  support::crew threads;
  threads.go(
      [&] { rn::select(rn::on_send(ch, 1, [&](rn::send_result r) { how = r.status(); }), rn::on_recv(rn::channel<int>())); });
  threads.go([&] {
    try {
      rn::select(rn::on_send(ch, 1), rn::on_recv(rn::channel<int>()));
    } catch (const rn::channel_closed&) {
      threw = true;
    }
  });
  support::wait_until_sending(ch, 2);
  ch.close();
  threads.join();
  CHECK(how == rn::status::closed);
  CHECK(threw);
  CHECK(ch.size() == capacity);
}

TEST_CASE("the handles and the slots of the cases may be assigned in a handler") {
  auto numbers = holding(1);
  auto words = holding<std::string>("one");
  std::optional<std::string> word;
  int sum = 0;
  numbers.close();
  words.close();
  std::size_t rounds = 0;
  // Go's loop over several channels: a channel that is drained is switched off.
  while (rn::select(rn::on_recv(numbers,
                                [&](rn::recv_result<int> n) {
                                  if (n)
                                    sum += *n;
                                  else
                                    numbers = nullptr;  // the last handle: the channel is gone here
                                  word = "assigned";
                                }),
                    rn::on_recv(words, [&](rn::recv_result<std::string> w) {
                      if (!w) words = nullptr;
                    })) != rn::select_none)
    ++rounds;
  CHECK(rounds == 4);
  CHECK(sum == 1);
  CHECK(word == "assigned");

  auto out = rn::make_channel<int>(1);
  CHECK(rn::select(rn::on_send(out.send, 3, [&] { out.send = nullptr; })) == 0);
  CHECK(*out.recv.recv() == 3);
  CHECK(out.recv.drained());
}

TEST_CASE("what a handler throws comes out of select, and its case has happened") {
  const auto ch = holding(1);
  CHECK_THROWS_WITH(rn::select(rn::on_recv(ch, [](int) { throw std::runtime_error("mine"); })), "mine");
  CHECK(ch.size() == 0);
  CHECK_THROWS_WITH(rn::select(rn::on_send(ch, 2, [] { throw std::runtime_error("mine"); })), "mine");
  CHECK(*ch.try_recv() == 2);
  CHECK_THROWS_WITH(rn::select(rn::otherwise([] { throw std::runtime_error("mine"); })), "mine");
  CHECK_THROWS_WITH(rn::select(rn::on_timeout(0s, [] { throw std::runtime_error("mine"); })), "mine");
}

TEST_CASE("both ends and whole channels, named and temporary, are handles of cases") {
  const auto ends = rn::make_channel<int>(1);
  int got = 0;
  CHECK(rn::select(rn::on_send(ends.send, 4)) == 0);
  CHECK(rn::select(rn::on_recv(rn::recv_channel<int>(ends.recv), [&](int v) { got = v; })) == 0);
  CHECK(got == 4);
  STATIC_REQUIRE(can_be_received_from<rn::channel<int>>);
  STATIC_REQUIRE(can_be_received_from<rn::recv_channel<int>>);
  STATIC_REQUIRE_FALSE(can_be_received_from<rn::send_channel<int>>);
  STATIC_REQUIRE(can_be_sent_to<rn::channel<int>>);
  STATIC_REQUIRE(can_be_sent_to<rn::send_channel<int>>);
  STATIC_REQUIRE_FALSE(can_be_sent_to<rn::recv_channel<int>>);
}

TEST_CASE("a select over more cases than it can look at together") {
  std::array<rn::channel<int>, 33> ch;
  for (auto& c : ch) c = rn::channel<int>(1);
  const auto select_over = [&]<std::size_t... Index>(std::index_sequence<Index...> /*indices*/) {
    return rn::select(rn::on_recv(ch[Index])..., rn::otherwise());
  };
  const auto over_31 = std::make_index_sequence<31>();  // and otherwise: as many as it can
  const auto over_33 = std::make_index_sequence<33>();
  CHECK(select_over(over_31) == 31);
  CHECK(select_over(over_33) == 33);
  ch[32].send(1);
  CHECK(select_over(over_31) == 31);
  CHECK(select_over(over_33) == 32);
  ch[30].send(1);
  CHECK(select_over(over_31) == 30);
  ch[30].send(1);
  CHECK(select_over(over_33) == 30);
}

TEST_CASE("payloads of a select are counted exactly") {
  const auto before = support::counted::live();
  {
    const rn::channel<support::counted> ch(1);
    const rn::channel<support::counted> idle(1);
    support::counted mine(1);
    std::optional<support::counted> slot;
    CHECK(rn::select(rn::on_send(ch, std::move(mine)), rn::on_recv(idle, slot)) == 0);
    CHECK(mine.value() == -1);
    CHECK(rn::select(rn::on_recv(ch, slot), rn::on_recv(idle, [](support::counted) {})) == 0);
    CHECK(slot->value() == 1);
    CHECK(rn::select(rn::on_send(ch, support::counted(2)), rn::on_recv(idle)) == 0);
    CHECK(rn::select(rn::on_recv(ch)) == 0);
    CHECK(support::counted::live() == before + 2);
    ch.send(support::counted(3));
  }
  CHECK(support::counted::live() == before);
}

// Found by ADL for a call without a namespace, and then ambiguous.
namespace ambush {
struct item {};
struct handler {
  void operator()() const {}
};
template <class F>
bool call_plain(F& f) = delete;
template <class T>
void fill_slot(std::optional<T>& slot, rn::recv_result<T>&& got) = delete;
template <class F, class T>
void hand_over(rn::recv_result<T>&& got, F& f) = delete;
template <class T, class F>
void report_sent(rn::status s, rn::detail::channel_core<T>* core, F& f) = delete;
template <std::size_t... Index, class... Cases>
std::size_t select_at_once(std::index_sequence<Index...> indices, bool biased, bool waits, Cases&... cases) = delete;
template <std::size_t... Index, class... Cases>
std::size_t select_by_engine(std::index_sequence<Index...> indices, bool biased, bool waits, Cases... cases) = delete;
}  // namespace ambush

TEST_CASE("functions in the namespace of a payload or a handler are not taken for the library's") {
  const rn::channel<ambush::item> ch(1);
  std::optional<ambush::item> slot;
  rn::select(rn::on_send(ch, ambush::item(), ambush::handler()));
  rn::select(rn::on_recv(ch, slot), rn::otherwise(ambush::handler()), rn::on_timeout(1h, ambush::handler()));
  CHECK(slot.has_value());
  rn::selector cases(rn::biased);
  cases.add(rn::on_recv(ch, ambush::handler()));
  cases.add(rn::on_send(ch, ambush::item(), ambush::handler()));
  cases.add(rn::otherwise(ambush::handler()));
  CHECK(cases.wait() == 1);
  CHECK(rn::sync_wait([](auto& c) -> rn::task<std::size_t> {
          co_return co_await rn::async_select(rn::on_recv(c, ambush::handler()));
        }(ch)) == 0);
}

}  // namespace select_test
