// The unbounded store: order across segments, closing, which memory it holds, many senders and receivers.
#include <algorithm>
#include <memory>
#include <runnel/channel.hpp>
#include <runnel/detail/segments.hpp>
#include <vector>

#include "catch.hpp"
#include "failing_new.hpp"
#include "support.hpp"

namespace segments_test {

namespace rd = runnel::detail;
using rd::trial;

namespace {

constexpr int slots = 63;  // of one segment
const int boundaries[] = {0, 1, slots - 1, slots, slots + 1, 2 * slots - 1, 2 * slots, 2 * slots + 1, 5 * slots};

int pop(rd::segments<int>& store) {
  rd::storage<int> room;
  return store.try_pop(room.get()) == trial::done ? *room.get() : -1;
}
void push(rd::segments<int>& store, int from, int count) {
  for (int i = from; i < from + count; ++i) REQUIRE(store.try_push(i) == trial::done);
}

}  // namespace

TEST_CASE("C26 values come out in order across segments, whatever there is of them") {
  for (const int fill : boundaries) {
    CAPTURE(fill);
    rd::segments<int> store;
    int in = 0;
    int out = 0;
    for (int round = 0; round < 5; ++round) {
      push(store, in, fill);
      in += fill;
      REQUIRE(store.size() == static_cast<std::size_t>(fill));
      for (int i = 0; i < fill; ++i) REQUIRE(pop(store) == out++);
      REQUIRE(pop(store) == -1);
      REQUIRE(store.size() == 0);
    }
    CHECK_FALSE(store.drained());
  }
}

TEST_CASE("C31 after close it takes nothing, gives what it holds, and is drained then, at every place in a segment") {
  for (int before = 0; before <= slots + 1; ++before)
    for (const int fill : boundaries) {
      CAPTURE(before, fill);
      rd::segments<int> store;
      push(store, 0, before);
      while (pop(store) != -1) {
      }
      push(store, 0, fill);
      store.close();
      REQUIRE(store.closed());
      int value = 7;
      REQUIRE(store.try_push(value) == trial::closed);
      REQUIRE(store.size() == static_cast<std::size_t>(fill));
      for (int i = 0; i < fill; ++i) {
        REQUIRE_FALSE(store.drained());
        REQUIRE(pop(store) == i);
      }
      rd::storage<int> room;
      REQUIRE(store.try_pop(room.get()) == trial::closed);
      REQUIRE(store.drained());
      REQUIRE(store.size() == 0);
    }
}

TEST_CASE("C69 memory: one segment at the least, one spare at the most beyond those that hold values") {
  const auto before = allocations::live();
  {
    rd::segments<int> store;
    const auto segments_now = [&] { return static_cast<int>(allocations::live() - before); };
    CHECK(segments_now() == 1);
    const auto made = allocations::made();
    for (int i = 0; i < 10 * slots; ++i) {
      push(store, i, 1);
      REQUIRE(pop(store) == i);
      REQUIRE(segments_now() <= 2);
    }
    CHECK(allocations::made() - made <= 2);  // the spare goes round and round
    push(store, 0, 10 * slots);
    CHECK(segments_now() >= 10);
    CHECK(segments_now() <= 12);
    for (int i = 0; i < 10 * slots; ++i) {
      REQUIRE(pop(store) == i);
      REQUIRE(segments_now() <= (10 * slots - i) / slots + 3);
    }
    CHECK(segments_now() <= 2);
  }
  CHECK(allocations::live() == before);
}

TEST_CASE("C69 blocks are used again after they were freed, and leftovers are destroyed with the channel") {
  for (const int left : boundaries) {
    CAPTURE(left);
    const auto before = allocations::live();
    {
      const runnel::channel<support::counted> ch(runnel::unbounded);
      for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3 * slots; ++i) ch.send(support::counted(i));
        for (int i = 0; i < 3 * slots; ++i) REQUIRE(ch.recv()->value() == i);
      }
      for (int i = 0; i < left; ++i) ch.send(support::counted(i));
      CHECK(support::counted::live() == left);
    }
    CHECK(support::counted::live() == 0);
    CHECK(allocations::live() == before);
  }
}

TEST_CASE("a push whose segment cannot be allocated has done nothing") {
  rd::segments<support::counted> store;
  int stored = 0;
  for (int i = 0; i < 4 * slots; ++i) {
    support::counted value(i);
    bool refused = false;
    {
      const allocations::failing now(0);
      try {
        static_cast<void>(store.try_push(value));
      } catch (const std::bad_alloc&) {
        refused = true;
      }
    }
    if (refused) {
      REQUIRE(value.value() == i);
      REQUIRE(store.size() == static_cast<std::size_t>(i));
      REQUIRE(store.try_push(value) == trial::done);
      ++stored;
    }
    REQUIRE(value.value() == -1);
  }
  CHECK(stored == 4);
  rd::storage<support::counted> room;
  for (int i = 0; i < 4 * slots; ++i) {
    REQUIRE(store.try_pop(room.get()) == trial::done);
    REQUIRE(room.get()->value() == i);
    std::destroy_at(room.get());
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("C69 48 short-lived senders, and receivers that take turns: each value once, in its sender's order") {
  constexpr int senders = 48;
  constexpr int each = 300;
  const auto before = allocations::live();
  {
    rd::segments<int> store;
    std::vector<std::vector<int>> got(3);
    support::counter taken{0};
    support::crew crew;
    for (auto& mine : got)
      crew.go([&] {
        for (rd::backoff wait; support::read(taken) < senders * each;) {
          if (const int value = pop(store); value >= 0) {
            mine.push_back(value);
            support::add(taken);
          } else {
            wait.pause();
          }
        }
      });
    for (int s = 0; s < senders; s += 4) {
      support::crew few;
      for (int k = 0; k < 4; ++k)
        few.go([&store, s, k] {
          for (int i = 0; i < each; ++i) {
            int value = i * senders + s + k;
            static_cast<void>(store.try_push(value));
          }
        });
    }
    crew.join();
    CHECK(store.size() == 0);
    std::vector<int> seen(std::size_t{senders} * each, 0);
    bool in_order = true;
    for (const auto& mine : got) {
      std::vector<int> last(senders, -1);
      for (const int value : mine) {
        const auto sender = static_cast<std::size_t>(value % senders);
        ++seen[static_cast<std::size_t>(value)];
        in_order = in_order && last[sender] < value;
        last[sender] = value;
      }
    }
    CHECK(in_order);
    CHECK(seen == std::vector<int>(seen.size(), 1));
  }
  CHECK(allocations::live() == before);
}

TEST_CASE("size never says more than there can be, while others send and receive") {
  rd::segments<int> store;
  constexpr int count = 20'000;
  support::crew crew;
  crew.go([&] {
    for (int i = 0; i < count; ++i) {
      int value = i;
      static_cast<void>(store.try_push(value));
    }
    store.close();
  });
  crew.go([&] {
    rd::storage<int> room;
    for (rd::backoff wait;;) {
      const trial t = store.try_pop(room.get());
      if (t == trial::closed) return;
      if (t == trial::would_block) wait.pause();
    }
  });
  std::size_t most = 0;
  while (!store.drained()) most = std::max(most, store.size());
  CHECK(most <= count);
  CHECK(store.size() == 0);
}

}  // namespace segments_test
