// The states of a channel, its handles, how it closes, and the range that it is. The forms of send and recv: channel_forms_test.cpp;
// what may be sent: channel_types_test.cpp.
#include <algorithm>
#include <iterator>
#include <limits>
#include <memory>
#include <ranges>
#include <runnel/channel.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace channel_test {

namespace rn = runnel;

namespace {

constexpr std::size_t no_bound = std::numeric_limits<std::size_t>::max();
const support::size_parameter sizes[] = {0, 1, 2, 7, std::nullopt};
const support::size_parameter buffered_sizes[] = {1, 2, 7, std::nullopt};

/// What the exception of type E says that f throws; empty if it throws none.
template <class E, class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "";
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("C07 C26 size and capacity of every kind, empty, with values and full") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    CHECK(ch.capacity() == size.value_or(no_bound));
    CHECK(ch.size() == 0);
    const std::size_t fill = size.value_or(200);
    for (std::size_t i = 0; i < fill; ++i) {
      REQUIRE(ch.try_send(static_cast<int>(i)));
      REQUIRE(ch.size() == i + 1);
    }
    if (size) CHECK(ch.try_send(0).status() == rn::status::would_block);  // a rendezvous is full and empty at once
    if (!size) CHECK(ch.try_send(200));
    CHECK_FALSE(ch.closed());
    CHECK_FALSE(ch.drained());
  }
}

TEST_CASE("C27 C49 B37 what the try forms answer: empty, with a value, empty again, closed with values, drained") {
  for (const auto size : buffered_sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK(ch.try_send(1).status() == rn::status::ok);
    CHECK(ch.size() == 1);
    const auto first = ch.try_recv();
    REQUIRE(first.status() == rn::status::ok);
    CHECK(*first == 1);
    CHECK(ch.try_recv().status() == rn::status::would_block);
    REQUIRE(ch.try_send(2));
    ch.close();
    CHECK(ch.closed());
    CHECK_FALSE(ch.drained());
    CHECK(ch.try_send(3).status() == rn::status::closed);
    CHECK(ch.size() == 1);
    CHECK(*ch.recv() == 2);
    for (int again = 0; again < 2; ++again) {
      CHECK(ch.drained());
      CHECK(ch.recv().status() == rn::status::closed);
      CHECK(ch.try_recv().status() == rn::status::closed);
      CHECK(ch.try_send(3).status() == rn::status::closed);
      CHECK_THROWS_AS(ch.send(3), rn::channel_closed);
    }
    CHECK(ch.capacity() == size.value_or(no_bound));
  }
  const rn::channel<int> rendezvous;
  CHECK(rendezvous.try_recv().status() == rn::status::would_block);
  CHECK(rendezvous.try_send(1).status() == rn::status::would_block);
  rendezvous.close();
  CHECK(rendezvous.closed());
  CHECK(rendezvous.drained());
  CHECK(rendezvous.try_recv().status() == rn::status::closed);
  CHECK(rendezvous.try_send(1).status() == rn::status::closed);
  CHECK(rendezvous.recv().status() == rn::status::closed);
}

TEST_CASE("the messages say what was done to what") {
  const rn::channel<int> bounded(4);
  bounded.close();
  const std::string send = message_of<rn::channel_closed>([&] { bounded.send(1); });
  CHECK(contains(send, "send on a closed channel<int> (capacity 4)"));
  const std::string close = message_of<rn::channel_closed>([&] { bounded.close(); });
  CHECK(contains(close, "close of a closed channel<int> (capacity 4)"));
  const rn::channel<void> signal(rn::unbounded);
  signal.close();
  CHECK(contains(message_of<rn::channel_closed>([&] { signal.send(); }), "channel<void> (unbounded)"));
  CHECK(contains(message_of<std::logic_error>([] { rn::channel<int>(nullptr).close(); }), "nil channel"));
  CHECK(contains(message_of<std::logic_error>([] { const rn::close_on_exit closing{rn::send_channel<int>()}; }), "nil"));
  CHECK(contains(message_of<std::length_error>([] { rn::channel<int>(static_cast<std::size_t>(-1)); }), std::to_string(no_bound)));
}

TEST_CASE("B27 H08 close answers once, and channel_closed carries the status") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    ch.close();
    for (int again = 0; again < 3; ++again) CHECK_THROWS_AS(ch.close(), rn::channel_closed);
    try {
      rn::send_channel<int>(ch).close();
      FAIL("closed twice");
    } catch (const std::system_error& e) {
      CHECK(e.code() == rn::status::closed);
      CHECK(e.code() == std::errc::broken_pipe);
    }
  }
}

TEST_CASE("C58 handles are equal exactly if they name the same channel, whatever their kind") {
  const rn::channel<int> a;
  const rn::channel<int> b;
  const rn::channel<int> copy = a;
  const rn::send_channel<int> a_send = a;
  const rn::recv_channel<int> a_recv = copy;
  CHECK(a == copy);
  CHECK(a == a_send);
  CHECK(a_recv == a);
  CHECK(a_send == a_recv);
  CHECK(a != b);
  CHECK(b != a_send);
  CHECK(rn::recv_channel<int>(b) != a_send);
  CHECK(rn::channel<int>(nullptr) == rn::send_channel<int>());
  CHECK(rn::recv_channel<int>(nullptr) != a);
  const rn::channel<int> unbounded(rn::unbounded);
  const rn::channel<int> bounded(3);
  CHECK(unbounded != bounded);
  CHECK(unbounded != a);
}

TEST_CASE("a moved-from handle and a default-made end are nil; an assigned one names what it was given") {
  rn::channel<int> ch(1);
  rn::channel<int> taken = std::move(ch);
  CHECK(ch == rn::channel<int>(nullptr));  // NOLINT(bugprone-use-after-move): that it is nil is what is asked
  CHECK(ch.try_send(1).status() == rn::status::would_block);
  ch = taken;
  REQUIRE(ch.try_send(1));
  CHECK(*taken.recv() == 1);
  taken = nullptr;
  CHECK(taken.try_recv().status() == rn::status::would_block);
  CHECK_FALSE(ch.closed());
  rn::channel<int>& self = ch;
  ch = self;
  CHECK_FALSE(ch.closed());
  rn::send_channel<int> sender = ch;
  ch = std::move(self);
  CHECK(sender != nullptr);
  sender = nullptr;
  CHECK(sender == rn::recv_channel<int>());
}

TEST_CASE("C59 a nil channel is neither closed nor drained, holds nothing and never lets anything happen") {
  const rn::channel<int> nil(nullptr);
  CHECK(nil.size() == 0);
  CHECK(nil.capacity() == 0);
  CHECK_FALSE(nil.closed());
  CHECK_FALSE(nil.drained());
  CHECK(nil.try_recv().status() == rn::status::would_block);
  CHECK(nil.try_send(1).status() == rn::status::would_block);
  CHECK_THROWS_AS(nil.close(), std::logic_error);
  std::vector<int> out;
  CHECK(nil.try_recv_many(out, 3) == 0);
  CHECK(nil.try_send_many(std::vector{1, 2}) == 0);
  CHECK(out.empty());
  const rn::channel<void> nil_signal(nullptr);
  CHECK(nil_signal.try_send().status() == rn::status::would_block);
  CHECK(nil_signal.try_recv().status() == rn::status::would_block);
}

TEST_CASE("channel<void> carries signals and nothing else") {
  for (const auto size : buffered_sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<void>(size);
    ch.send();
    CHECK(ch.size() == 1);
    CHECK(ch.recv());
    CHECK(ch.try_recv().status() == rn::status::would_block);
    CHECK(ch.try_send());
    ch.close();
    CHECK(ch.try_recv().status() == rn::status::ok);
    CHECK(ch.recv().status() == rn::status::closed);
    CHECK(ch.drained());
    CHECK_THROWS_AS(ch.send(), rn::channel_closed);
    CHECK_THROWS_AS(ch.recv().value(), rn::channel_closed);
  }
  const rn::channel<void> rendezvous;
  support::crew crew;
  crew.go([&] { rendezvous.send(); });
  CHECK(rendezvous.recv());
}

TEST_CASE("what recv answers: a value, or why there is none") {
  const rn::channel<std::string> ch(2);
  ch.send("one");
  ch.send("two");
  const std::optional<std::string> one = ch.recv();
  CHECK(one == "one");
  CHECK(ch.recv().value() == "two");
  CHECK_THROWS_AS(ch.try_recv().value(), std::system_error);
  ch.close();
  const auto none = ch.recv();
  CHECK_FALSE(none);
  CHECK_FALSE(none.to_optional());
  CHECK_THROWS_AS(none.value(), rn::channel_closed);
}

TEST_CASE("close_on_exit closes what nobody has closed, and never throws") {
  const rn::channel<int> ch(1);
  {
    const rn::close_on_exit closing(ch);
    CHECK_FALSE(ch.closed());
  }
  CHECK(ch.closed());
  CHECK_THROWS_AS(ch.close(), rn::channel_closed);
  CHECK_NOTHROW([&] { const rn::close_on_exit late(rn::send_channel<int>{ch}); }());
  const rn::channel<void> by_hand;
  {
    const rn::close_on_exit closing(by_hand);
    by_hand.close();
  }
  CHECK(by_hand.closed());
  auto ends = rn::make_channel<int>(2);
  {
    const rn::close_on_exit closing(ends.send);
    ends.send.send(1);
    ends.send = nullptr;  // close_on_exit keeps a handle of its own
    CHECK_FALSE(ends.recv.closed());
  }
  CHECK(*ends.recv.recv() == 1);
  CHECK(ends.recv.drained());
}

TEST_CASE("make_channel answers the two ends and no third handle") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    auto ends = size ? rn::make_channel<int>(*size) : rn::make_channel<int>(rn::unbounded);
    CHECK(ends.send == ends.recv);
    CHECK(ends.send.capacity() == size.value_or(no_bound));
    const rn::send_channel<int> second = ends.send;
    ends.send = nullptr;
    CHECK_FALSE(ends.recv.closed());
    if (size != 0U) CHECK(second.try_send(5));
    ends.recv = nullptr;
    CHECK(second.closed());
    CHECK(second.drained());
    CHECK(second.size() == 0);
    CHECK(second.try_send(6).status() == rn::status::closed);
    CHECK_NOTHROW(second.close());  // closed by lifetime is not closed by hand
    CHECK_THROWS_AS(second.close(), rn::channel_closed);
  }
}

TEST_CASE("C54 a channel is an input range that ends when it is drained") {
  STATIC_REQUIRE(std::ranges::input_range<rn::channel<int>>);
  STATIC_REQUIRE(std::ranges::input_range<const rn::recv_channel<int>>);
  STATIC_REQUIRE(std::ranges::input_range<rn::recv_channel<std::unique_ptr<int>>>);
  STATIC_REQUIRE(std::same_as<std::ranges::range_value_t<rn::channel<int>>, int>);
  STATIC_REQUIRE(std::same_as<std::ranges::range_reference_t<rn::recv_channel<int>>, int&>);
  for (const auto size : buffered_sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    support::crew crew;
    crew.go([&] {
      const rn::close_on_exit closing(ch);
      for (int i = 0; i < 50; ++i) ch.send(i);
    });
    std::vector<int> seen;
    for (const int& value : ch) {
      seen.push_back(value);
      if (value == 9) break;  // leaves the rest
    }
    std::ranges::copy_if(ch, std::back_inserter(seen), [](int v) { return v % 2 == 0; });
    std::vector<int> expected{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int i = 10; i < 50; i += 2) expected.push_back(i);
    CHECK(seen == expected);
    CHECK(ch.begin() == ch.end());
  }
}

TEST_CASE("C54 B27 ranges over two channels nest, values may be moved out, and none is leaked") {
  REQUIRE(support::counted::live() == 0);
  {
    const rn::channel<support::counted> outer(3);
    const rn::channel<support::counted> inner(rn::unbounded);
    for (int i = 0; i < 3; ++i) outer.send(support::counted(i));
    outer.close();
    for (int i = 0; i < 30; ++i) inner.send(support::counted(i));
    std::vector<support::counted> kept;
    int next = 0;
    for (const auto& o : outer)
      for (auto& i : inner) {
        CHECK(o.value() == next / 10);
        CHECK(i.value() == next);
        kept.push_back(std::move(i));
        if (++next % 10 == 0) break;
      }
    CHECK(next == 30);
    CHECK(outer.drained());
    CHECK(inner.size() == 0);
    CHECK(support::counted::live() == 30);
    inner.send(support::counted(0));
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("an iterator counts as a receiver") {
  auto ends = rn::make_channel<int>(4);
  ends.send.send(1);
  ends.send.send(2);
  {
    auto it = ends.recv.begin();
    ends.recv = nullptr;
    CHECK(*it == 1);
    CHECK_FALSE(ends.send.closed());
    ++it;
    CHECK(*it == 2);
  }
  CHECK(ends.send.closed());
}

}  // namespace channel_test
