// One blocked call and its place in a queue: the claim, the queue, the list of those to wake, the thread that waits.
#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <runnel/detail/waiter.hpp>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

#include "catch.hpp"
#include "support.hpp"

namespace waiter_test {

namespace rn = runnel;
namespace rd = runnel::detail;
using namespace std::chrono_literals;

namespace {

/// A waiter that notes how often it was resumed, and as which in a row.
struct noting final : rd::waiter {
  explicit noting(bool several = false) : waiter(&note, several) {}
  static void note(waiter& w) noexcept {
    auto& self = static_cast<noting&>(w);
    ++self.resumed;
    self.turn = ++turns;
  }
  static inline int turns = 0;
  int resumed = 0;
  int turn = 0;
};

/// A waiter with its node.
struct place {
  explicit place(bool several = false, std::uint32_t index = 0) : who(several) {
    node.owner = &who;
    node.index = index;
  }
  noting who;
  rd::wait_node node;
};

}  // namespace

TEST_CASE("a waiter is claimed once, and tells for which node") {
  noting w(true);
  CHECK_FALSE(w.is_claimed());
  CHECK(w.claim(5));
  CHECK(w.is_claimed());
  CHECK(w.claimed_index() == 5);
  CHECK_FALSE(w.claim(5));
  CHECK_FALSE(w.claim(6));
  CHECK_FALSE(w.lock());
  CHECK(w.claimed_index() == 5);
  CHECK(w.resumed == 0);
}

TEST_CASE("a locked waiter is claimed by commit, or free again by abandon") {
  noting w(true);
  REQUIRE(w.lock());
  CHECK_FALSE(w.is_claimed());
  w.abandon();
  CHECK_FALSE(w.is_claimed());
  REQUIRE(w.lock());
  w.commit(3);
  CHECK(w.claimed_index() == 3);
  CHECK_FALSE(w.lock());
  CHECK_FALSE(w.claim(1));
}

TEST_CASE("of many who claim a waiter, lock it and give it up, one gets it") {
  for (int round = 0; round < support::scaled(2'000, 300); ++round) {
    noting w(true);
    int operation = 0;  // made under the waiter's lock, seen by whoever has it next
    support::counter winners{0};
    support::gate start;
    support::crew crew;
    for (std::uint32_t i = 0; i < 4; ++i)
      crew.go([&, i] {
        start.wait();
        if (i < 2) {
          if (!w.lock()) return;
          ++operation;
          if (i == 0) return w.abandon();
          w.commit(i);
        } else if (!w.claim(i)) {
          return;
        }
        support::add(winners);
      });
    start.open();
    crew.join();
    REQUIRE(support::read(winners) == 1);
    REQUIRE(w.is_claimed());
    REQUIRE((w.claimed_index() >= 1 && w.claimed_index() < 4));
    REQUIRE(operation <= 2);
  }
}

TEST_CASE("B28 whoever claims a waiter that is locked waits for the unlock, and sleeps if it takes long") {
  for (const bool committed : {true, false}) {
    CAPTURE(committed);
    noting w(true);
    REQUIRE(w.lock());
    int written = 0;
    support::counter claimed{0};
    support::crew crew;
    for (int i = 0; i < 2; ++i)
      crew.go([&] {
        const bool mine = w.claim(9);
        if (committed ? !mine && written == 1 : written == 1) support::add(claimed, mine ? 10 : 1);
      });
    for (int i = 0; i < 200; ++i) rd::yield();
    CHECK(support::read(claimed) == 0);
    written = 1;
    committed ? w.commit(0) : w.abandon();
    crew.join();
    CHECK(support::read(claimed) == (committed ? 2 : 11));
  }
}

TEST_CASE("B11 B13 B44 a queue is first come, first served, and a node leaves it from any place") {
  std::deque<place*> model;
  rd::wait_queue queue;
  std::vector<std::unique_ptr<place>> all;
  for (int i = 0; i < 12; ++i) all.push_back(std::make_unique<place>());
  for (int step = 0; step < 20'000; ++step) {
    place& p = *all[rd::random_below(12)];
    const auto at = std::ranges::find(model, &p);
    REQUIRE(p.node.queued == (at != model.end()));
    if (rd::random_below(4) == 0) {
      rd::wait_node* const first = queue.pop();
      REQUIRE(first == (model.empty() ? nullptr : &model.front()->node));
      if (!model.empty()) model.pop_front();
    } else if (at != model.end()) {
      queue.remove(p.node);
      model.erase(at);
    } else {
      queue.push(p.node);
      model.push_back(&p);
    }
    REQUIRE(queue.empty() == model.empty());
    std::size_t length = 0;
    const rd::wait_node* previous = nullptr;
    for (const rd::wait_node* n = queue.front(); n != nullptr; n = n->behind()) {
      REQUIRE(n == &model[length++]->node);
      REQUIRE(n->previous == previous);
      previous = n;
    }
    REQUIRE(length == model.size());
  }
}

TEST_CASE("a wake list resumes in order, once each, and takes of a queue those that can still be claimed") {
  noting::turns = 0;
  place a;
  place b(true, 4);
  place gone(true, 5);
  place c;
  rd::wait_queue queue;
  for (place* p : {&a, &b, &gone, &c}) queue.push(p->node);
  REQUIRE(gone.who.claim(1));  // claimed at another of its queues
  rd::wake_list wakes;
  wakes.add_all(queue, rn::status::closed);
  CHECK(queue.empty());
  CHECK(a.who.resumed == 0);
  wakes.resume_all();
  CHECK(a.who.turn == 1);
  CHECK(b.who.turn == 2);
  CHECK(c.who.turn == 3);
  for (const place* p : {&a, &b, &c}) {
    CHECK(p->who.resumed == 1);
    CHECK(p->node.outcome == rn::status::closed);
    CHECK_FALSE(p->node.queued);
  }
  CHECK(b.who.claimed_index() == 4);
  CHECK(gone.who.resumed == 0);
  CHECK(gone.node.outcome == rn::status::ok);
  wakes.resume_all();
  CHECK(a.who.resumed == 1);
}

TEST_CASE("a thread that was resumed before it waits does not wait") {
  rd::thread_waiter w(false);
  w.resume();
  CHECK(w.wait(rn::time_point::min()));
  CHECK(w.wait(rd::never));
  w.wait();
}

TEST_CASE("B09 a thread waits up to its deadline, and may be resumed after that") {
  rd::thread_waiter w(false);
  CHECK_FALSE(w.wait(rn::time_point::min()));
  CHECK_FALSE(w.wait(rd::now()));
  const auto deadline = rd::now() + 2ms;
  CHECK_FALSE(w.wait(deadline));
  CHECK(rd::now() >= deadline);
  support::crew crew;
  crew.go([&] { w.resume(); });
  w.wait();
  CHECK(w.wait(rn::time_point::min()));
}

TEST_CASE("B21 B31 a thread wakes by every resume, sees what came before it, and may then be gone") {
  for (int round = 0; round < support::scaled(3'000, 500); ++round) {
    auto w = std::make_unique<rd::thread_waiter>(false);
    int written = 0;
    support::crew crew;
    crew.go([&written, waiter = w.get(), yields = round % 50] {
      for (int i = 0; i < yields; ++i) rd::yield();
      written = 1;
      waiter->resume();
    });
    if (round % 3 == 0) w->wait(rd::now());  // as one that timed out, and was claimed meanwhile
    w->wait();
    w.reset();
    REQUIRE(written == 1);
  }
}

#if defined(__linux__)
TEST_CASE(
    "of threads that resume each other on one core, one sleeps without yields now and then, and less often where that does not "
    "help") {
  const int core = rd::this_core();
  if (core < 0) return;  // it is not known there
  std::deque<rd::thread_waiter> of_one;
  std::deque<rd::thread_waiter> of_other;
  for (unsigned i = 0; i < 8 * rd::waits_before_parting; ++i) {
    of_one.emplace_back(false);
    of_other.emplace_back(false);
  }
  const auto on_that_core = [core](auto steps) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<std::size_t>(core), &only);
    return ::pthread_setaffinity_np(::pthread_self(), sizeof only, &only) == 0 ? (steps(), rd::this_thread().parts_after) : 0;
  };
  unsigned one = 0;
  unsigned other = 0;
  {
    support::crew crew;
    crew.go([&] {
      one = on_that_core([&] {
        for (std::size_t i = 0; i < of_one.size(); ++i) {
          of_other[i].resume();
          of_one[i].wait();
        }
      });
    });
    crew.go([&] {
      other = on_that_core([&] {
        for (std::size_t i = 0; i < of_one.size(); ++i) {
          of_other[i].wait();
          of_one[i].resume();
        }
      });
    });
  }
  CHECK(std::max(one, other) > rd::waits_before_parting);
  CHECK(std::max(one, other) <= 4 * rd::waits_before_parting);  // a fourth time is after 1 + 2 + 3 + 4 times as many: there were 8
}
#endif

}  // namespace waiter_test
