// The gateway: park and unpark, the lock, backoff, random numbers. Compiled a second time without futex: portable_park_test.cpp.
#include <array>
#include <chrono>
#include <runnel/detail/sync.hpp>
#include <set>
#include <thread>
#include <vector>

#include "catch.hpp"

namespace sync_test {

namespace rd = runnel::detail;
using namespace std::chrono_literals;

namespace {

/// Joins its threads at the end of the scope.
struct threads {
  template <class F>
  void go(F f) {
    all.emplace_back(std::move(f));
  }
  ~threads() {
    for (std::thread& t : all) t.join();
  }
  std::vector<std::thread> all;
};

}  // namespace

TEST_CASE("park returns at once if the word is another one") {
  const rd::atomic<std::uint32_t> word{1};
  rd::park(word, 0);
  rd::park(word, 2, rd::never);
  rd::park(word, 0, runnel::time_point::max() - 1ns);
}

TEST_CASE("B09 park returns by its deadline, also by one that has passed or lies before the clock's beginning") {
  const rd::atomic<std::uint32_t> word{0};
  rd::park(word, 0, rd::now());
  rd::park(word, 0, runnel::time_point());
  rd::park(word, 0, runnel::time_point::min());
  const auto deadline = rd::now() + 3ms;
  while (rd::now() < deadline) rd::park(word, 0, deadline);
  CHECK(rd::now() >= deadline);
}

TEST_CASE("B21 no unpark is lost between the look at the word and the park") {
  rd::atomic<std::uint32_t> ball{0};
  constexpr std::uint32_t rounds = 4'000;
  const auto play = [&](std::uint32_t mine) {
    for (std::uint32_t i = mine; i < rounds; i += 2) {
      for (std::uint32_t seen = ball.load(rd::acquire); seen != i; seen = ball.load(rd::acquire)) rd::park(ball, seen);
      ball.store(i + 1, rd::release);
      rd::unpark(&ball, 1);
    }
  };
  {
    threads two;
    two.go([&] { play(0); });
    two.go([&] { play(1); });
  }
  CHECK(ball.load(rd::acquire) == rounds);
}

TEST_CASE("unpark wakes all that it is asked to, and those on other words stay") {
  rd::atomic<std::uint32_t> open{0};
  rd::atomic<std::uint32_t> passed{0};
  threads all;
  for (int i = 0; i < 8; ++i)
    all.go([&] {
      while (open.load(rd::acquire) == 0) rd::park(open, 0);
      passed.fetch_add(1, rd::acq_rel);
    });
  rd::unpark(&passed, 1000);
  CHECK(passed.load(rd::acquire) == 0);
  open.store(1, rd::release);
  rd::unpark(&open, 1000);
  for (rd::backoff wait; passed.load(rd::acquire) != 8;) wait.pause();
}

TEST_CASE("a mutex lets one in at a time, and hands over what was written under it") {
  rd::mutex mutex;
  int counter = 0;
  bool inside = false;
  int together = 0;
  {
    threads all;
    for (int t = 0; t < 4; ++t)
      all.go([&] {
        for (int i = 0; i < 3'000; ++i) {
          rd::scoped_lock lock(mutex);
          if (inside) ++together;
          inside = true;
          ++counter;
          if (i % 500 == 0) rd::yield();
          inside = false;
          if (i % 2 == 0) {
            lock.unlock();
            lock.lock(mutex);
            ++counter;
          }
        }
      });
  }
  CHECK(counter == 4 * 4'500);
  CHECK(together == 0);
}

TEST_CASE("try_lock fails exactly while the mutex is held") {
  rd::mutex mutex;
  REQUIRE(mutex.try_lock());
  CHECK_FALSE(mutex.try_lock());
  mutex.unlock();
  {
    const rd::scoped_lock lock(mutex);
    bool taken = true;
    std::thread([&] { taken = mutex.try_lock(); }).join();
    CHECK_FALSE(taken);
  }
  CHECK(mutex.try_lock());
  mutex.unlock();
}

TEST_CASE("B28 backoff lets a thread that does not run in the end do its step") {
  rd::atomic<std::uint32_t> step{0};
  threads one;
  one.go([&] {
    for (int i = 0; i < 100; ++i) rd::yield();
    step.store(1, rd::release);
  });
  int pauses = 0;
  for (rd::backoff wait; step.load(rd::acquire) == 0; ++pauses) wait.pause();
  CHECK(step.load(rd::acquire) == 1);
  CHECK(pauses < 100'000);  // it ends up sleeping, 100 microseconds at a time
}

TEST_CASE("random_below is uniform, and stays below") {
  for (const std::uint32_t bound : {1U, 2U, 3U, 7U, 10U}) {
    CAPTURE(bound);
    constexpr int draws = 40'000;
    std::vector<int> hits(bound, 0);
    for (int i = 0; i < draws; ++i) ++hits.at(rd::random_below(bound));
    double chi_square = 0;
    const double expected = static_cast<double>(draws) / bound;
    for (const int n : hits) chi_square += (n - expected) * (n - expected) / expected;
    CHECK(chi_square < 60);  // 9 degrees of freedom: once in 10^9
  }
  for (int i = 0; i < 1'000; ++i) REQUIRE(rd::random_below(0xFFFFFFFFU) < 0xFFFFFFFFU);
}

TEST_CASE("threads draw different random numbers") {
  constexpr std::size_t count = 4;
  std::array<std::uint64_t, count> first{};
  {
    threads all;
    for (auto& mine : first) all.go([&mine] { mine = rd::random(); });
  }
  CHECK(std::set<std::uint64_t>(first.begin(), first.end()).size() == count);
  CHECK(rd::random() != rd::random());
}

TEST_CASE("a thread's id is its own while it runs, and cpu_count is never 0") {
  const void* const mine = rd::this_thread_id();
  const void* other = nullptr;
  std::thread([&] { other = rd::this_thread_id(); }).join();
  CHECK(rd::this_thread_id() == mine);
  CHECK(other != mine);
  CHECK(rd::cpu_count() >= 1);
}

TEST_CASE("an immortal is made once, by whichever thread comes first") {
  struct once_made {
    once_made() { made().fetch_add(1, rd::acq_rel); }
    static rd::atomic<int>& made() {
      static rd::atomic<int> count{0};
      return count;
    }
  };
  std::array<once_made*, 4> seen{};
  {
    threads all;
    for (auto& mine : seen) all.go([&mine] { mine = &rd::immortal<once_made>(); });
  }
  CHECK(std::set<once_made*>(seen.begin(), seen.end()).size() == 1);
  CHECK(once_made::made().load(rd::acquire) == 1);
}

}  // namespace sync_test
