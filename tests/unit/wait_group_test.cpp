#include <runnel/context.hpp>
#include <runnel/wait_group.hpp>

#include <csignal>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "catch.hpp"

namespace wait_group_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

using counter = rn::detail::atomic<std::uint32_t>;

bool dies_by_abort(const char* hidden_test) {
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr || std::freopen("/dev/null", "w", stderr) == nullptr) _exit(3);
    execl("/proc/self/exe", "test", hidden_test, static_cast<char*>(nullptr));
    _exit(2);
  }
  int how = 0;
  waitpid(child, &how, 0);
  return WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT;
}

struct done_on_exit {
  rn::wait_group& group;
  ~done_on_exit() { group.done(); }
};

}  // namespace

TEST_CASE("W01 two-phase barrier, 16 tasks, 8 reuses, nobody released early") {
  rn::wait_group first;
  rn::wait_group second;
  for (int reuse = 0; reuse < 8; ++reuse) {
    constexpr unsigned n = 16;
    first.add(n);
    second.add(n);
    counter released{0};
    counter early{0};
    rn::wait_group exited;
    for (unsigned i = 0; i < n; ++i)
      exited.go([&] {
        first.done();
        second.wait();
        released.fetch_add(1, rn::detail::acq_rel);
      });
    first.wait();
    for (unsigned i = 0; i < n; ++i) {
      if (released.load(rn::detail::acquire) != 0) early.fetch_add(1, rn::detail::relaxed);
      second.done();
    }
    exited.wait();
    REQUIRE(early.load(rn::detail::relaxed) == 0);
    REQUIRE(released.load(rn::detail::acquire) == n);
  }
}

TEST_CASE("W02 W07 the counter cannot go below zero, nor overflow, and is as it was then") {
  rn::wait_group group;
  CHECK_THROWS_AS(group.done(), std::logic_error);
  group.add(2);
  CHECK_THROWS_AS(group.add(-3), std::logic_error);
  CHECK_THROWS_AS(group.add(std::numeric_limits<std::ptrdiff_t>::min()), std::logic_error);
  CHECK_THROWS_AS(group.add(std::numeric_limits<std::ptrdiff_t>::max()), std::logic_error);
  group.add(0);
  group.add(-1);
  CHECK(group.try_wait().status() == rn::status::would_block);
  group.done();
  CHECK(group.try_wait().status() == rn::status::ok);
  CHECK_THROWS_WITH(group.done(), "runnel::wait_group::done: the counter would go below zero");
}

TEST_CASE("W04 a wait_group stands at any address") {
  struct {
    char c;
    rn::wait_group group;
  } odd{};
  odd.group.add();
  odd.group.go([&] { odd.group.done(); });
  odd.group.wait();
}

TEST_CASE("W05 what came before done is seen after wait, by every waiter, transitively") {
  for (int round = 0; round < 50; ++round) {
    rn::wait_group work;
    rn::wait_group waiters;
    int value = 0;
    int copies[3] = {};
    work.add(1);
    for (int& copy : copies)
      waiters.go([&] {
        work.wait();
        copy = value;
      });
    std::thread([&] {
      value = round + 1;
      work.done();
    }).detach();
    waiters.wait();
    for (const int copy : copies) REQUIRE(copy == round + 1);
  }
}

TEST_CASE("W05 tasks add to the group while it is above zero") {
  rn::wait_group group;
  counter ran{0};
  for (int i = 0; i < 8; ++i)
    group.go([&] {
      for (int k = 0; k < 4; ++k) group.go([&] { ran.fetch_add(1, rn::detail::relaxed); });
    });
  group.wait();
  CHECK(ran.load(rn::detail::relaxed) == 32);
}

TEST_CASE("W08 an exception between add and done, caught in the task, with done in a destructor") {
  rn::wait_group group;
  int before_done = 0;
  int caught = 0;
  group.add();
  std::thread task([&] {
    try {
      const done_on_exit done{group};
      before_done = 1;
      throw std::runtime_error("half way");
    } catch (const std::runtime_error&) {
      caught = 1;
    }
  });
  group.wait();
  CHECK(before_done == 1);
  task.join();
  CHECK(caught == 1);
  CHECK(group.try_wait());
}

template <class F>
concept starts = requires(rn::wait_group& group, F f) { group.go(f); };
static_assert(starts<void (*)()> && starts<std::error_code (*)()> && !starts<int (*)()> && !starts<void (*)(int)>);

TEST_CASE("W09 all of 100 run, and their functions are gone when wait returns") {
  rn::wait_group group;
  counter ran{0};
  const auto token = std::make_shared<int>(0);
  for (int i = 0; i < 100; ++i) group.go([&ran, token] { ran.fetch_add(1, rn::detail::relaxed); });
  group.wait();
  CHECK(ran.load(rn::detail::relaxed) == 100);
  CHECK(token.use_count() == 1);
}

TEST_CASE("hidden: an exception escapes from wait_group::go", "[.]") {
  std::signal(SIGABRT, SIG_DFL);
  rn::wait_group group;
  group.go([] { throw 1; });
  group.wait();
}
TEST_CASE("W09 an exception that escapes from go's function ends the process") {
  CHECK(dies_by_abort("hidden: an exception escapes from wait_group::go"));
}

TEST_CASE("a function that cannot be copied leaves the counter as it was") {
  struct copy_throws {
    copy_throws() = default;
    copy_throws(const copy_throws&) { throw std::runtime_error("copy"); }
    void operator()() const {}
  };
  rn::wait_group group;
  const copy_throws f;
  CHECK_THROWS_AS(group.go(f), std::runtime_error);
  CHECK(group.try_wait());
}

TEST_CASE("wait ends with the context, or at the deadline, and the group is as it was") {
  rn::wait_group group;
  rn::scoped_context ctx = rn::with_cancel(rn::context());
  CHECK(group.wait(ctx));
  group.add();
  const auto before = rn::clock::now();
  CHECK(group.try_wait_for(3ms).status() == rn::status::timed_out);
  CHECK(group.try_wait_until(before + 6ms).status() == rn::status::timed_out);
  CHECK(rn::clock::now() - before >= 6ms);
  CHECK(group.try_wait_for(0ms).status() == rn::status::timed_out);
  CHECK(group.wait(rn::with_timeout(ctx, 2ms)).status() == rn::status::timed_out);
  std::thread canceler([&] { ctx.cancel(); });
  CHECK(group.wait(ctx).status() == rn::status::canceled);
  canceler.join();
  CHECK(group.wait(ctx).status() == rn::status::canceled);
  group.done();
  CHECK(group.wait(ctx).status() == rn::status::ok);
  CHECK(group.try_wait_for(-1h).status() == rn::status::ok);
  CHECK(group.try_wait_for(rn::duration::max()).status() == rn::status::ok);
}

TEST_CASE("B34 done races with a wait that times out, and with the group's end") {
  for (int round = 0; round < 200; ++round) {
    auto group = std::make_unique<rn::wait_group>();
    group->add();
    std::thread worker([&group = *group] { group.done(); });
    while (!group->try_wait_for(1us)) {
    }
    group.reset();
    worker.join();
  }
}

}  // namespace wait_group_test
