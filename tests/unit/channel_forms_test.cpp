// The forms of send and recv: many at a time, up to a time, against a context; and what an operation that fails leaves behind.
#include <chrono>
#include <limits>
#include <list>
#include <memory>
#include <numeric>
#include <ranges>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace channel_forms_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 7, std::nullopt};

using words = std::vector<std::string>;
const words three{"one, and long enough to be moved visibly", "two, and long enough to be moved visibly", "3"};

/// A view that is no borrowed range and stands on somebody's lvalue, as a filter does (clang 14 cannot use libstdc++'s).
struct view_of : std::ranges::view_base {
  words* all = nullptr;
  [[nodiscard]] auto begin() const { return all->begin(); }
  [[nodiscard]] auto end() const { return all->end(); }
};
static_assert(std::ranges::view<view_of> && !std::ranges::borrowed_range<view_of>);

/// The numbers in [from, to).
std::vector<int> numbers(int from, int to) {
  std::vector<int> out(static_cast<std::size_t>(to - from));
  std::iota(out.begin(), out.end(), from);
  return out;
}

/// All that is in a channel now.
template <class T>
std::vector<T> rest_of(const rn::channel<T>& ch) {
  std::vector<T> out;
  ch.try_recv_many(out, std::numeric_limits<std::size_t>::max());
  return out;
}

/// Its copy throws once the fuse has burned down; its moves do not. Live instances are counted.
class fused {
 public:
  explicit fused(int v) : value(v) {}
  fused(const fused& other) : value(other.value), count_(other.count_.value()) {
    if (fuse-- == 0) throw std::runtime_error("copy");
  }
  fused(fused&&) noexcept = default;
  fused& operator=(fused&&) noexcept = default;

  static inline int fuse = -1;
  int value;

 private:
  support::counted count_;
};

}  // namespace

TEST_CASE("send_many sends in order and answers how many") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    std::vector<int> out;
    support::crew crew;
    std::size_t count = 0;
    crew.go([&] {
      count = ch.send_many(numbers(0, 40));
      ch.close();
    });
    while (ch.recv_many(out, 3) != 0) {
    }
    crew.join();
    CHECK(count == 40);
    CHECK(out == numbers(0, 40));
    CHECK(ch.send_many(std::vector{1, 2}) == 0);
  }
}

TEST_CASE("send_many moves from an owning rvalue, and copies what somebody else owns") {
  const rn::channel<std::string> ch(20);
  words values = three;
  CHECK(ch.send_many(values) == 3);
  CHECK(values == three);
  CHECK(ch.send_many(std::span(values)) == 3);
  CHECK(values == three);
  CHECK(ch.send_many(view_of{{}, &values}) == 3);
  CHECK(values == three);
  CHECK(ch.send_many(std::as_const(values)) == 3);
  CHECK(ch.send_many(std::list<const char*>{"from", "what converts"}) == 2);
  CHECK(ch.send_many(std::move(values)) == 3);
  CHECK(values == words(3));  // NOLINT(bugprone-use-after-move): that they were moved from is what is asked
  const words all = rest_of(ch);
  REQUIRE(all.size() == 17);
  CHECK(all[12] == "from");
  CHECK(words(all.begin() + 14, all.end()) == three);
  const rn::channel<std::unique_ptr<int>> pointers(2);
  std::vector<std::unique_ptr<int>> owned;
  owned.push_back(std::make_unique<int>(1));
  owned.push_back(std::make_unique<int>(2));
  CHECK(pointers.send_many(std::move(owned)) == 2);
  CHECK(**pointers.recv() == 1);
}

TEST_CASE("B20 what send_many did not send is as it was, whatever ended it") {
  const rn::channel<std::string> ch(2);
  words values = three;
  SECTION("no room") { CHECK(ch.try_send_many(std::move(values)) == 2); }
  SECTION("a time") { CHECK(ch.try_send_many_for(1ms, std::move(values)) == 2); }
  SECTION("a time that has passed") { CHECK(ch.try_send_many_until(rn::time_point::min(), std::move(values)) == 2); }
  SECTION("a context") {
    auto ctx = rn::with_cancel(rn::context());
    support::crew crew;
    crew.go([&] {
      support::wait_until_sending(ch);
      ctx.cancel();
    });
    CHECK(ch.send_many(ctx, std::move(values)) == 2);
  }
  SECTION("close") {
    support::crew crew;
    crew.go([&] {
      support::wait_until_sending(ch);
      ch.close();
    });
    CHECK(ch.send_many(std::move(values)) == 2);
  }
  CHECK(values == words{"", "", "3"});  // NOLINT(bugprone-use-after-move): what was moved from is what is asked
  CHECK(rest_of(ch) == words{three[0], three[1]});
}

TEST_CASE("recv_many waits for one, and takes what else is there, up to max") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    std::vector<int> out{-1};
    CHECK(ch.recv_many(out, 0) == 0);
    CHECK(ch.try_recv_many(out, 9) == 0);
    support::crew crew;
    crew.go([&] {
      support::wait_until_receiving(ch);
      ch.send(0);
    });
    CHECK(ch.recv_many(out, 9) == 1);
    crew.join();
    const int fill = size ? static_cast<int>(*size) : 20;
    for (int i = 1; i <= fill; ++i) ch.send(i);
    if (fill > 2) CHECK(ch.recv_many(out, 2) == 2);
    if (fill > 0) CHECK(ch.recv_many(out, 100) == static_cast<std::size_t>(fill > 2 ? fill - 2 : fill));
    CHECK(out == numbers(-1, fill + 1));
    ch.close();
    CHECK(ch.recv_many(out, 100) == 0);
  }
}

TEST_CASE("recv_many takes from the senders that wait, too") {
  for (const std::size_t capacity : {0U, 1U, 2U}) {
    CAPTURE(capacity);
    const rn::channel<int> ch(capacity);
    for (std::size_t i = 0; i < capacity; ++i) ch.send(static_cast<int>(i));
    support::crew crew;
    for (std::size_t i = 0; i < 4; ++i) {
      crew.go([&ch, value = static_cast<int>(capacity + i)] { ch.send(value); });
      support::wait_until_sending(ch, i + 1);
    }
    std::vector<int> out;
    CHECK(ch.recv_many(out, 100) == capacity + 4);
    CHECK(out == numbers(0, static_cast<int>(capacity) + 4));
  }
}

TEST_CASE("recv_many appends to whatever vector it is given") {
  const rn::channel<bool> bits(8);
  std::vector<bool> out;
  bits.send_many(std::vector<bool>{true, false, true});
  CHECK(bits.recv_many(out, 8) == 3);
  CHECK(out == std::vector<bool>{true, false, true});
  const rn::recv_channel<std::unique_ptr<int>> nil;
  std::vector<std::unique_ptr<int>> pointers;
  CHECK(nil.try_recv_many_for(1ms, pointers, 1) == 0);
  auto ctx = rn::with_cancel(rn::context());
  ctx.cancel();
  CHECK(nil.recv_many(ctx, pointers, 1) == 0);
}

TEST_CASE("C28 a timed form never ends early, and says timed_out") {
  for (const auto size : {support::size_parameter(0), support::size_parameter(1), support::size_parameter(2)}) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    auto start = rn::clock::now();
    CHECK(ch.try_recv_for(3ms).status() == rn::status::timed_out);
    CHECK(rn::clock::now() - start >= 3ms);
    for (std::size_t i = 0; i < *size; ++i) ch.send(1);
    start = rn::clock::now();
    CHECK(ch.try_send_until(start + 3ms, 1).status() == rn::status::timed_out);
    CHECK(rn::clock::now() - start >= 3ms);
    CHECK(ch.try_send_until(std::chrono::system_clock::now() + 2ms, 1).status() == rn::status::timed_out);
    CHECK(support::sending(ch) == 0);
    CHECK(support::receiving(ch) == 0);
  }
}

TEST_CASE("C28 a peer in time is a success, and close beats the time") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    support::crew crew;
    crew.go([&] {
      support::wait_until_receiving(ch);
      ch.send(7);
      support::wait_until_receiving(ch);
      ch.close();
    });
    CHECK(ch.try_recv_for(1h).to_optional() == 7);
    CHECK(ch.try_recv_until(rn::clock::now() + 1h).status() == rn::status::closed);
    CHECK(ch.try_recv_for(1ms).status() == rn::status::closed);
    CHECK(ch.try_send_for(1ms, 1).status() == rn::status::closed);
  }
}

TEST_CASE("B09 any time of any clock: what has passed does not wait, the longest wait for ever") {
  using std::chrono::duration;
  using std::chrono::hours;
  using std::chrono::nanoseconds;
  using std::chrono::system_clock;
  using std::chrono::time_point;
  const rn::channel<int> ch(1);
  CHECK(ch.try_recv_for(0s).status() == rn::status::timed_out);
  CHECK(ch.try_recv_for(-1ns).status() == rn::status::timed_out);
  CHECK(ch.try_recv_for(hours::min()).status() == rn::status::timed_out);
  CHECK(ch.try_recv_for(duration<double>(-std::numeric_limits<double>::infinity())).status() == rn::status::timed_out);
  CHECK(ch.try_recv_until(rn::time_point::min()).status() == rn::status::timed_out);
  CHECK(ch.try_recv_until(system_clock::time_point::min()).status() == rn::status::timed_out);
  CHECK(ch.try_recv_until(rn::clock::now()).status() == rn::status::timed_out);
  const auto times = [](auto recv) {
    const rn::channel<int> late;
    support::crew crew;
    crew.go([&] {
      support::wait_until_receiving(late);
      late.send(1);
    });
    CHECK(recv(late).status() == rn::status::ok);
  };
  times([](const auto& c) { return c.try_recv_for(rn::duration::max()); });
  times([](const auto& c) { return c.try_recv_for(hours::max()); });
  times([](const auto& c) { return c.try_recv_for(duration<double, std::ratio<3600>>(1e300)); });
  times([](const auto& c) { return c.try_recv_for(rn::duration::max() - 1ns); });
  times([](const auto& c) { return c.try_recv_until(rn::time_point::max()); });
  times([](const auto& c) { return c.try_recv_until(system_clock::time_point::max()); });
  times([](const auto& c) { return c.try_recv_until(time_point<system_clock, hours>::max()); });
  ch.send(1);
  CHECK(ch.try_send_for(nanoseconds::min(), 2).status() == rn::status::timed_out);
  CHECK(ch.try_send_until(rn::time_point::min(), 2).status() == rn::status::timed_out);
}

TEST_CASE("a value or room that is there wins over a time that has passed and over a context that is done") {
  auto done = rn::with_cancel(rn::context());
  done.cancel();
  auto late = rn::with_timeout(rn::context(), -1s);
  for (const auto size : {support::size_parameter(1), support::size_parameter(2), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    CHECK(ch.recv(done).status() == rn::status::canceled);
    CHECK(ch.recv(late).status() == rn::status::timed_out);
    CHECK(ch.send(done, 1));
    CHECK(ch.recv(late).to_optional() == 1);
    CHECK(ch.try_send_for(-1s, 2));
    CHECK(ch.recv(done).to_optional() == 2);
    CHECK(ch.try_send_until(rn::time_point::min(), 3));
    CHECK(ch.try_recv_for(0s).to_optional() == 3);
    ch.close();
    CHECK(ch.recv(done).status() == rn::status::closed);
    CHECK(ch.send(late, 4).status() == rn::status::closed);
  }
  const rn::channel<int> rendezvous;
  CHECK(rendezvous.send(done, 1).status() == rn::status::canceled);
  CHECK(rendezvous.send(late, 1).status() == rn::status::timed_out);
  support::crew crew;
  crew.go([&] { rendezvous.send(5); });
  support::wait_until_sending(rendezvous);
  CHECK(rendezvous.recv(done).to_optional() == 5);
}

TEST_CASE("C59 on a nil channel the limited forms end as their limit says") {
  const rn::channel<int> nil(nullptr);
  auto ctx = rn::with_cancel(rn::context());
  CHECK(nil.try_recv_for(1ms).status() == rn::status::timed_out);
  CHECK(nil.try_send_for(1ms, 1).status() == rn::status::timed_out);
  CHECK(nil.try_recv_until(rn::clock::now() + 1ms).status() == rn::status::timed_out);
  CHECK(nil.recv(rn::with_timeout(ctx, 1ms)).status() == rn::status::timed_out);
  CHECK(nil.try_recv_for(-1s).status() == rn::status::timed_out);
  ctx.cancel();
  CHECK(nil.recv(ctx).status() == rn::status::canceled);
  CHECK(nil.send(ctx, 1).status() == rn::status::canceled);
  const rn::channel<void> signal(nullptr);
  CHECK(signal.send(ctx).status() == rn::status::canceled);
  CHECK(signal.try_send_for(0s).status() == rn::status::timed_out);
  CHECK(signal.try_recv_until(rn::clock::now()).status() == rn::status::timed_out);
}

TEST_CASE("C30 C63 an operation that fails leaves its argument whole") {
  auto done = rn::with_cancel(rn::context());
  done.cancel();
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<std::unique_ptr<int>>(size);
    auto value = std::make_unique<int>(1);
    const auto whole = [&] { return value != nullptr && *value == 1; };
    if (size) {
      for (std::size_t i = 0; i < *size; ++i) ch.send(std::make_unique<int>(0));
      CHECK(ch.try_send(std::move(value)).status() == rn::status::would_block);
      CHECK(ch.try_send_for(1ms, std::move(value)).status() == rn::status::timed_out);
      CHECK(ch.try_send_until(rn::clock::now() + 1ms, std::move(value)).status() == rn::status::timed_out);
      CHECK(ch.send(done, std::move(value)).status() == rn::status::canceled);
      CHECK(ch.send(rn::with_timeout(rn::context(), 1ms), std::move(value)).status() == rn::status::timed_out);
      CHECK(whole());
    }
    ch.close();
    CHECK_THROWS_AS(ch.send(std::move(value)), rn::channel_closed);
    CHECK(ch.try_send(std::move(value)).status() == rn::status::closed);
    CHECK(ch.try_send_for(1ms, std::move(value)).status() == rn::status::closed);
    CHECK(ch.send(done, std::move(value)).status() == rn::status::closed);
    CHECK(whole());
    auto ends = size ? rn::make_channel<std::unique_ptr<int>>(*size) : rn::make_channel<std::unique_ptr<int>>(rn::unbounded);
    ends.recv = nullptr;
    CHECK_THROWS_AS(ends.send.send(std::move(value)), rn::channel_closed);
    CHECK(ends.send.try_send(std::move(value)).status() == rn::status::closed);
    CHECK(whole());
  }
}

TEST_CASE("C67 a copy that throws comes out of send and has changed nothing") {
  auto live = rn::with_cancel(rn::context());
  for (const auto size : {support::size_parameter(5), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    {
      const auto ch = support::make<fused>(size);
      const std::vector<fused> values = [] {
        std::vector<fused> v;
        for (int i = 0; i < 4; ++i) v.emplace_back(i);
        return v;
      }();
      for (int form = 0; form < 5; ++form) {
        fused::fuse = 0;
        CHECK_THROWS_WITH(form == 0   ? ch.send(values[0])
                          : form == 1 ? static_cast<void>(ch.try_send(values[0]))
                          : form == 2 ? static_cast<void>(ch.send(live, values[0]))
                          : form == 3 ? static_cast<void>(ch.try_send_for(1h, values[0]))
                                      : static_cast<void>(ch.try_send_until(rn::time_point::max(), values[0])),
                          "copy");
        CHECK(ch.size() == 0);
      }
      fused::fuse = 2;
      CHECK_THROWS_WITH(ch.send_many(values), "copy");
      fused::fuse = -1;
      CHECK(ch.size() == 2);  // those before the one that failed
      ch.send(values[3]);
      int next = 0;
      for (const int expected : {0, 1, 3}) CHECK((++next, ch.recv()->value == expected));
      CHECK(next == 3);
      ch.send(values[2]);  // destroyed with the channel
    }
    CHECK(support::counted::live() == 0);
  }
}

}  // namespace channel_forms_test
