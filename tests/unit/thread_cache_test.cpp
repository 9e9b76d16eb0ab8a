// detail/thread_cache.hpp: a thread for each task, kept for the next ones, ended when there are none.
#include <runnel/detail/thread_cache.hpp>

#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace thread_cache_test {

namespace rn = runnel;
using rn::detail::start_task;
using support::counter;
using support::read;
using support::wait_for;

namespace {

counter threads_begun{0};
counter threads_ended{0};

/// Counts the threads that tasks run on, as they first run one, and as they end.
struct thread_mark {
  thread_mark() { support::add(threads_begun); }
  thread_mark(const thread_mark&) = delete;
  thread_mark& operator=(const thread_mark&) = delete;
  ~thread_mark() { support::add(threads_ended); }
  void touch() const noexcept {}
};
void mark_thread() {
  static thread_local const thread_mark mark;
  mark.touch();
}

}  // namespace

TEST_CASE("thread_cache: tasks that block on one another never starve") {
  SECTION("all wait for the last") {
    for (const std::uint32_t size : {2U, 64U, 200U}) {
      support::gate all;
      counter arrived{0};
      counter ended{0};
      for (std::uint32_t i = 0; i < size; ++i)
        start_task([&, size] {
          mark_thread();
          if (arrived.fetch_add(1, rn::detail::acq_rel) + 1 == size) all.open();
          all.wait();
          support::add(ended);
        });
      wait_for(ended, size);
    }
  }
  SECTION("each waits for the next, the last of which is started by the one before") {
    constexpr std::size_t size = 100;
    std::vector<support::gate> done(size + 1);
    counter ended{0};
    struct link {
      std::vector<support::gate>* done;
      counter* ended;
      std::size_t i;
      void operator()() const {
        mark_thread();
        if (i + 1 < size)
          start_task(link{done, ended, i + 1});
        else
          (*done)[size].open();
        (*done)[i + 1].wait();
        (*done)[i].open();
        support::add(*ended);
      }
    };
    start_task(link{&done, &ended, 0});
    done[0].wait();
    wait_for(ended, size);
  }
}

TEST_CASE("thread_cache: threads are used again") {
  std::set<const void*> threads;
  constexpr std::uint32_t tasks = 1000;
  counter ended{0};
  for (std::uint32_t i = 1; i <= tasks; ++i) {
    start_task([&] {
      mark_thread();
      threads.insert(rn::detail::this_thread_id());
      support::add(ended);
    });
    wait_for(ended, i);
  }
  // Most often one thread; another whenever a task comes before the last one's thread has lain down.
  CHECK(threads.size() < tasks / 4);
}

TEST_CASE("thread_cache: what was done before a task is started is visible to it, and what it did to whoever sees it end") {
  std::vector<std::unique_ptr<int>> values;
  for (std::uint32_t i = 0; i < 500; ++i) {
    values.push_back(std::make_unique<int>(0));
    counter ended{0};
    *values[i] = 1;
    start_task([&, i] {
      *values[i] += 1;
      support::add(ended);
    });
    wait_for(ended, 1);
    REQUIRE(*values[i] == 2);
  }
}

TEST_CASE("thread_cache: a task is destroyed when it has run, and may start others as it goes") {
  struct starts_another {
    explicit starts_another(counter& c) : ended(&c) {}
    starts_another(starts_another&& other) noexcept : ended(std::exchange(other.ended, nullptr)) {}
    starts_another& operator=(starts_another&&) = delete;
    ~starts_another() {
      if (ended == nullptr) return;
      start_task([c = ended] { support::add(*c); });
      support::add(*ended);
    }
    void operator()() const { mark_thread(); }
    counter* ended;
  };
  counter ended{0};
  for (std::uint32_t i = 1; i <= 100; ++i) {
    start_task(starts_another(ended));
    wait_for(ended, 2 * i);
  }
  const auto token = std::make_shared<int>(0);
  for (int i = 0; i < 100; ++i) start_task([token] {});
  support::wait_until([&] { return token.use_count() == 1; });
}

TEST_CASE("thread_cache: tasks from many threads at once run once each") {
  constexpr std::uint32_t starters = 4;
  constexpr std::uint32_t each = 500;
  std::vector<counter> runs(std::size_t{starters} * each);
  counter ended{0};
  support::crew others;
  for (std::uint32_t s = 0; s < starters; ++s)
    others.go([&, s] {
      for (std::uint32_t i = 0; i < each; ++i)
        start_task([&, k = s * each + i] {
          mark_thread();
          support::add(runs[k]);
          support::add(ended);
        });
    });
  others.join();
  wait_for(ended, starters * each);
  for (const counter& n : runs) REQUIRE(read(n) == 1);
}

TEST_CASE("thread_cache: threads without work end, and the next task gets a new one") {
  counter ended{0};
  support::gate go_on;
  for (int i = 0; i < 20; ++i)
    start_task([&] {
      mark_thread();
      go_on.wait();
      support::add(ended);
    });
  go_on.open();
  wait_for(ended, 20);
  CHECK(read(threads_begun) >= 20);
  support::wait_until([] { return read(threads_ended) == read(threads_begun); });
  const std::uint32_t begun = read(threads_begun);
  start_task([&] {
    mark_thread();
    support::add(ended);
  });
  wait_for(ended, 21);
  CHECK(read(threads_begun) == begun + 1);
}

}  // namespace thread_cache_test
