// The bounded store: exact capacities, laps, positions that wrap around, closing, many senders and receivers.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <runnel/channel.hpp>
#include <runnel/detail/ring.hpp>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace ring_test {

namespace rd = runnel::detail;
using rd::trial;

namespace {

constexpr std::uint64_t last_lap = std::numeric_limits<std::uint64_t>::max();
/// The first lap, and those from which the position counter wraps around soon.
constexpr std::uint64_t first_laps[] = {0, last_lap, last_lap - 1, last_lap - 5};

/// What is at the head, or -1.
int pop(rd::ring<int>& ring) {
  rd::storage<int> room;
  return ring.try_pop(room.get()) == trial::done ? *room.get() : -1;
}

}  // namespace

TEST_CASE("C26 C69 a ring holds exactly its capacity, lap after lap, also where positions wrap around") {
  for (std::size_t capacity = 1; capacity <= 17; ++capacity)
    for (const std::uint64_t lap : first_laps) {
      CAPTURE(capacity, lap);
      rd::ring<int> ring;
      ring.allocate(capacity, lap);
      CHECK(ring.capacity() == capacity);
      int in = 0;
      int out = 0;
      for (std::size_t fill = 0; fill <= capacity; ++fill)
        for (int again = 0; again < 3; ++again) {
          for (std::size_t i = 0; i < fill; ++i) {
            REQUIRE(ring.size() == i);
            REQUIRE(ring.try_push(in) == trial::done);
            ++in;
          }
          if (fill == capacity) REQUIRE(ring.try_push(in) == trial::would_block);
          REQUIRE(ring.size() == fill);
          for (std::size_t i = 0; i < fill; ++i) REQUIRE(pop(ring) == out++);
          REQUIRE(pop(ring) == -1);
        }
      CHECK(in == out);
      CHECK_FALSE(ring.closed());
      CHECK_FALSE(ring.drained());
    }
}

TEST_CASE("a ring says whether it is full, and gives its oldest value away only then, also where positions wrap around") {
  for (const std::size_t capacity : {1U, 2U, 3U, 7U, 8U})
    for (const std::uint64_t lap : first_laps) {
      CAPTURE(capacity, lap);
      rd::ring<int> ring;
      ring.allocate(capacity, lap);
      int in = 0;
      int out = 0;
      rd::storage<int> oldest;
      for (int round = 0; round < 40; ++round) {
        while (!ring.is_full()) {
          REQUIRE_FALSE(ring.pop_if_full(oldest.get()));
          REQUIRE(ring.try_push(in) == trial::done);
          ++in;
        }
        REQUIRE(ring.size() == capacity);
        REQUIRE(ring.pop_if_full(oldest.get()));
        REQUIRE(*oldest.get() == out++);
        if (round % 3 == 0 && ring.size() > 0) REQUIRE(pop(ring) == out++);
      }
      while (!ring.is_full() && ring.try_push(in) == trial::done) {
      }
      ring.close();
      CHECK_FALSE(ring.is_full());  // a push need not wait
      CHECK(ring.pop_if_full(oldest.get()));
      while (pop(ring) != -1) {
      }
    }
}

TEST_CASE("C69 a ring at any fill goes on correctly across the wrap") {
  for (std::size_t capacity = 1; capacity <= 17; ++capacity)
    for (std::size_t fill = 1; fill <= capacity; ++fill) {
      CAPTURE(capacity, fill);
      rd::ring<int> ring;
      ring.allocate(capacity, last_lap - 1);
      int in = 0;
      for (; in < static_cast<int>(fill); ++in) REQUIRE(ring.try_push(in) == trial::done);
      for (int out = 0; out < 100; ++out) {
        REQUIRE(pop(ring) == out);
        REQUIRE(ring.try_push(in) == trial::done);
        ++in;
        REQUIRE(ring.size() == fill);
      }
      while (pop(ring) != -1) {
      }
    }
}

TEST_CASE("a ring takes and gives many at once: a run up to the lap's end, in order, lap after lap") {
  for (std::size_t capacity = 1; capacity <= 9; ++capacity)
    for (const std::uint64_t lap : first_laps) {
      CAPTURE(capacity, lap);
      rd::ring<int> ring;
      ring.allocate(capacity, lap);
      int in = 0;
      int out = 0;
      const auto push = [&](std::size_t most) { return ring.try_push_many(most, [&](int* to) { std::construct_at(to, in++); }); };
      std::size_t held = 0;
      for (std::size_t most = 0; most < 60; ++most) {
        const std::size_t room = std::min(capacity - held, capacity - static_cast<std::size_t>(in) % capacity);
        const std::size_t pushed = push(most % 7);
        REQUIRE(pushed == std::min(most % 7, room));
        held += pushed;
        REQUIRE(ring.size() == held);
        const std::size_t there = std::min(held, capacity - static_cast<std::size_t>(out) % capacity);
        bool in_order = true;
        const std::size_t popped = ring.try_pop_many(most % 5, [&](int&& value) { in_order = in_order && value == out++; });
        REQUIRE(popped == std::min(most % 5, there));
        REQUIRE(in_order);
        held -= popped;
      }
      ring.close();
      CHECK(push(5) == 0);
      while (pop(ring) != -1) ++out;
      CHECK(in == out);
    }
}

TEST_CASE("C31 after close a ring takes nothing, gives what it holds, and is drained then") {
  for (std::size_t capacity = 1; capacity <= 5; ++capacity)
    for (std::size_t fill = 0; fill <= capacity; ++fill)
      for (const std::uint64_t lap : first_laps) {
        CAPTURE(capacity, fill, lap);
        rd::ring<support::counted> ring;
        ring.allocate(capacity, lap);
        for (std::size_t i = 0; i < fill; ++i) {
          support::counted value(static_cast<int>(i));
          REQUIRE(ring.try_push(value) == trial::done);
        }
        ring.close();
        CHECK(ring.closed());
        support::counted refused(7);
        CHECK(ring.try_push(refused) == trial::closed);
        CHECK(refused.value() == 7);
        CHECK(ring.size() == fill);
        rd::storage<support::counted> room;
        for (std::size_t i = 0; i < fill; ++i) {
          CHECK_FALSE(ring.drained());
          REQUIRE(ring.try_pop(room.get()) == trial::done);
          CHECK(room.get()->value() == static_cast<int>(i));
          std::destroy_at(room.get());
        }
        CHECK(ring.try_pop(room.get()) == trial::closed);
        CHECK(ring.drained());
      }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("a full ring refuses, and leaves the value as it was") {
  rd::ring<support::counted> ring;
  ring.allocate(1);
  support::counted first(1);
  support::counted second(2);
  REQUIRE(ring.try_push(first) == trial::done);
  CHECK(first.value() == -1);
  CHECK(ring.try_push(second) == trial::would_block);
  CHECK(second.value() == 2);
  rd::storage<support::counted> room;
  REQUIRE(ring.try_pop(room.get()) == trial::done);
  CHECK(room.get()->value() == 1);
  std::destroy_at(room.get());
}

TEST_CASE("the stamps change with what they stand for, and with nothing else") {
  rd::ring<int> ring;
  ring.allocate(3);
  const auto push0 = ring.push_stamp();
  const auto pop0 = ring.pop_stamp();
  int value = 1;
  CHECK(pop(ring) == -1);
  CHECK(ring.push_stamp() == push0);
  REQUIRE(ring.try_push(value) == trial::done);
  CHECK(ring.push_stamp() != push0);
  CHECK(ring.pop_stamp() == pop0);
  CHECK(pop(ring) == 1);
  CHECK(ring.pop_stamp() != pop0);
  const auto push1 = ring.push_stamp();
  const auto pop1 = ring.pop_stamp();
  ring.close();
  CHECK(ring.push_stamp() != push1);
  CHECK(ring.pop_stamp() != pop1);
}

TEST_CASE("a look tells whether a try would have to wait, and bears the stamp") {
  for (const std::size_t capacity : {1U, 3U}) {
    CAPTURE(capacity);
    rd::ring<int> ring;
    ring.allocate(capacity, ~std::uint64_t{0});  // the first lap is the last one before the counters wrap
    for (int round = 0; round < 3; ++round) {
      CHECK_FALSE(ring.look_pop().hopeful);
      for (std::size_t i = 0; i < capacity; ++i) {
        CHECK(ring.look_push().hopeful);
        int value = round;
        REQUIRE(ring.try_push(value) == trial::done);
        CHECK(ring.look_pop().hopeful);
      }
      CHECK_FALSE(ring.look_push().hopeful);
      CHECK(ring.look_pop().stamp == ring.push_stamp());
      CHECK(ring.look_push().stamp == ring.pop_stamp());
      for (std::size_t i = 0; i < capacity; ++i) REQUIRE(pop(ring) == round);
    }
    ring.close();  // what is closed answers at once
    CHECK(ring.look_pop().hopeful);
    CHECK(ring.look_push().hopeful);
    CHECK(ring.look_pop().stamp == ring.push_stamp());
    CHECK(ring.look_push().stamp == ring.pop_stamp());
  }
}

TEST_CASE("many senders and receivers use one ring across the wrap, and each value comes out once, in its sender's order") {
  for (const std::size_t capacity : {1U, 2U, 3U, 16U}) {
    CAPTURE(capacity);
    constexpr int senders = 2;
    constexpr int each = 3'000;
    rd::ring<int> ring;
    ring.allocate(capacity, last_lap - 3);
    std::vector<std::vector<int>> got(2);
    {
      support::crew crew;
      for (int s = 0; s < senders; ++s)
        crew.go([&, s] {
          for (int i = 0; i < each; ++i) {
            int value = i * senders + s;
            for (rd::backoff wait; ring.try_push(value) != trial::done;) wait.pause();
          }
        });
      support::counter taken{0};
      for (auto& mine : got)
        crew.go([&] {
          for (rd::backoff wait; support::read(taken) < senders * each;) {
            if (const int value = pop(ring); value >= 0) {
              mine.push_back(value);
              support::add(taken);
            } else {
              wait.pause();
            }
          }
        });
      crew.join();
    }
    std::vector<int> seen(std::size_t{senders} * each, 0);
    bool in_order = true;
    for (const auto& mine : got) {
      int last[senders] = {-1, -1};
      for (const int value : mine) {
        ++seen[static_cast<std::size_t>(value)];
        in_order = in_order && last[value % senders] < value;
        last[value % senders] = value;
      }
    }
    CHECK(in_order);
    CHECK(seen == std::vector<int>(seen.size(), 1));
  }
}

TEST_CASE("C69 a channel whose positions wrap around waits, wakes, closes and destroys its leftovers as any other") {
  for (const std::size_t capacity : {1U, 2U, 3U, 8U}) {
    CAPTURE(capacity);
    auto* const core = new rd::channel_core<support::counted>(capacity, last_lap - 2);
    const auto values = rd::channel_access::recv_end<support::counted>(core);
    {
      const auto sender = rd::channel_access::send_end<support::counted>(core);
      core->release_handles(rd::one_sender + rd::one_receiver);
      support::crew crew;
      crew.go([&] {
        for (int i = 0; i < 500; ++i) sender.send(support::counted(i));
      });
      int wrong = 0;
      for (int i = 0; i < 500; ++i) wrong += values.recv()->value() == i ? 0 : 1;
      CHECK(wrong == 0);
      crew.join();
      for (std::size_t i = 0; i < capacity; ++i) sender.send(support::counted(5));
    }
    CHECK(values.closed());
    CHECK(values.size() == capacity);
    CHECK(support::counted::live() == static_cast<std::int64_t>(capacity));
    CHECK(values.recv()->value() == 5);
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("max_capacity is the last one whose storage has a size") {
  CHECK(rd::ring<int>::max_capacity() > 1'000'000);
  CHECK(rd::ring<std::array<int, 1024>>::max_capacity() < rd::ring<int>::max_capacity());
}

}  // namespace ring_test
