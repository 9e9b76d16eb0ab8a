// selectable: an event of the user's in select and selector, beside the library's own.
#include <runnel/context.hpp>
#include <runnel/select.hpp>
#include <runnel/selectable.hpp>
#include <runnel/task.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace selectable_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

/// A count of permits; to happen is to take one. Written with what selectable.hpp says and nothing more.
class permits : public rn::selectable {
 public:
  explicit permits(bool stamped) : stamped_(stamped) {}

  void add() {
    rn::wait_node* chosen = nullptr;
    {
      const std::lock_guard lock(mutex_);
      ++changes_;
      while (chosen == nullptr && !waiting_.empty()) {
        rn::wait_node* const node = waiting_.front();
        waiting_.erase(waiting_.begin());
        if (claim(*node)) chosen = node;
      }
      if (chosen == nullptr) ++free_;
    }
    if (chosen != nullptr) chosen->owner->resume();
  }

  rn::attempt try_now() override {
    const std::lock_guard lock(mutex_);
    if (ended_) return rn::attempt::never;
    if (free_ == 0) return rn::attempt::not_yet;
    --free_;
    return rn::attempt::done;
  }
  void join(rn::wait_node& node) override {
    {
      const std::lock_guard lock(mutex_);
      ++joins_;
      if (free_ == 0) return waiting_.push_back(&node);
      if (!claim(node)) return;
      --free_;
    }
    node.owner->resume();
  }
  bool leave(rn::wait_node& node) noexcept override {
    const std::lock_guard lock(mutex_);
    return std::erase(waiting_, &node) != 0;
  }
  bool finish(rn::wait_node& /*node*/) noexcept override {
    const std::lock_guard lock(mutex_);
    return !ended_;
  }
  [[nodiscard]] std::uint64_t stamp() const noexcept override {
    const std::lock_guard lock(mutex_);
    return stamped_ ? changes_ : no_stamp;
  }

  /// From now on it can never happen; whoever waits finds out.
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    add();
  }
  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  [[nodiscard]] int free() const {
    const std::lock_guard lock(mutex_);
    return free_;
  }
  [[nodiscard]] int joins() const {
    const std::lock_guard lock(mutex_);
    return joins_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<rn::wait_node*> waiting_;
  std::uint64_t changes_ = 0;
  int free_ = 0;
  int joins_ = 0;
  bool ended_ = false;
  const bool stamped_;
};

/// A try of it takes a while.
class time_passes final : public permits {
 public:
  using permits::permits;
  rn::attempt try_now() override {
    if (meanwhile) meanwhile();
    const auto begin = rn::clock::now();
    while (rn::clock::now() - begin < 1us) {
    }
    return permits::try_now();
  }
  std::function<void()> meanwhile;
};

/// An event that is ready only once somebody joins it.
class ready_when_joined final : public rn::selectable {
 public:
  rn::attempt try_now() override { return rn::attempt::not_yet; }
  void join(rn::wait_node& node) override {
    if (!claim(node)) return;
    ++happened;
    node.owner->resume();
  }
  bool leave(rn::wait_node& /*node*/) noexcept override { return false; }
  bool finish(rn::wait_node& /*node*/) noexcept override { return true; }

  int happened = 0;
};

/// An event that cannot even be tried.
class failing final : public rn::selectable {
 public:
  rn::attempt try_now() override { throw std::runtime_error("try"); }
  void join(rn::wait_node& /*node*/) override {}
  bool leave(rn::wait_node& /*node*/) noexcept override { return true; }
  bool finish(rn::wait_node& /*node*/) noexcept override { return true; }
};

/// An event whose join fails, after some that do not.
class fails_to_join final : public rn::selectable {
 public:
  explicit fails_to_join(int good = 0) : good_(good) {}
  rn::attempt try_now() override { return rn::attempt::not_yet; }
  void join(rn::wait_node& /*node*/) override {
    if (--good_ >= 0) return;
    if (before) before();
    throw std::runtime_error("join");
  }
  bool leave(rn::wait_node& /*node*/) noexcept override { return true; }
  bool finish(rn::wait_node& /*node*/) noexcept override { return true; }

  std::function<void()> before;

 private:
  int good_;
};

void wait_until_waiting(const permits& p, std::size_t n = 1) {
  support::wait_until([&] { return p.waiting() == n; });
}

}  // namespace

TEST_CASE("an event of the user's is a case: ready, not ready, waited for") {
  permits event(GENERATE(true, false));
  const rn::channel<int> idle;
  int handled = 0;
  CHECK(rn::try_select(rn::on_recv(idle), rn::on_event(event)) == rn::select_none);
  CHECK(rn::select(rn::on_recv(idle), rn::on_event(event), rn::otherwise()) == 2);
  CHECK(rn::select(rn::on_recv(idle), rn::on_event(event), rn::on_timeout(1ms)) == 2);
  event.add();
  CHECK(rn::select(rn::on_recv(idle), rn::on_event(event, [&] { ++handled; })) == 1);
  CHECK(handled == 1);
  CHECK(event.free() == 0);

  std::size_t chosen = 0;
  support::crew threads;
  threads.go([&] { chosen = rn::select(rn::on_recv(idle), rn::on_event(event, [&] { ++handled; }), rn::on_timeout(1h)); });
  wait_until_waiting(event);
  event.add();
  threads.join();
  CHECK(chosen == 1);
  CHECK(handled == 2);
  CHECK(event.free() == 0);
  CHECK(support::receiving(idle) == 0);
}

TEST_CASE("an event that lost is left") {
  permits event(true);
  const rn::channel<int> ch;
  std::size_t chosen = 9;
  support::crew threads;
  threads.go([&] { chosen = rn::select(rn::on_event(event), rn::on_recv(ch)); });
  wait_until_waiting(event);
  ch.send(1);
  threads.join();
  CHECK(chosen == 1);
  CHECK(event.waiting() == 0);
  event.add();
  CHECK(event.free() == 1);
}

TEST_CASE("a select that does not wait queues at an event without a stamp, and only there") {
  const bool stamped = GENERATE(true, false);
  permits a(stamped);
  permits b(stamped);
  CHECK(rn::try_select(rn::on_event(a), rn::on_event(b)) == rn::select_none);
  CHECK(a.joins() == (stamped ? 0 : 1));
  CHECK(b.joins() == (stamped ? 0 : 1));
  CHECK(a.waiting() + b.waiting() == 0);
}

TEST_CASE("a select whose time passes while it tries its cases does not queue") {
  const bool stamped = GENERATE(true, false);
  const rn::channel<int> ch(1);
  time_passes event(stamped);
  CHECK(rn::select(rn::on_event(event), rn::on_recv(ch), rn::on_timeout(1ns)) == 2);
  CHECK(event.joins() == (stamped ? 0 : 1));
  CHECK(support::receiving(ch) == 0);
  rn::selector cases;
  cases.add(rn::on_event(event));
  cases.add(rn::on_recv(ch));
  CHECK(cases.try_wait_for(1ns).status() == rn::status::timed_out);
  CHECK(event.joins() == (stamped ? 0 : 2));
}

TEST_CASE("what becomes ready while the time of a select passes wins") {
  const rn::channel<int> ch(1);
  time_passes event(true);
  int tries = 0;
  event.meanwhile = [&] {
    if (++tries == 2) ch.send(7);  // the second look at the cases: the channel was tried before
  };
  int got = 0;
  CHECK(rn::select(rn::biased, rn::on_recv(ch, [&](int value) { got = value; }), rn::on_event(event), rn::on_timeout(1ns)) == 0);
  CHECK(got == 7);
  CHECK(tries == 2);
}

TEST_CASE("B40 an event that happens while it is joined, in the thread that waits") {
  ready_when_joined event;
  permits other(true);
  const rn::channel<int> idle;
  CHECK(rn::select(rn::on_recv(idle), rn::on_event(event), rn::on_event(other)) == 1);
  CHECK(event.happened == 1);
  CHECK(other.joins() == 0);
  CHECK(rn::try_select(rn::on_recv(idle), rn::on_event(event)) == 1);
  CHECK(rn::try_select(rn::on_event(event), rn::on_event(event)) == 0);
  CHECK(event.happened == 3);
  rn::selector cases;
  const std::size_t id = cases.add(rn::on_event(event));
  CHECK(cases.wait() == id);
  CHECK(cases.wait(rn::with_timeout(rn::context(), 1h)).status() == rn::status::ok);
}

TEST_CASE("an event that can never happen is no case, also if that becomes so while it is waited for") {
  permits event(true);
  const rn::channel<int> ch;
  std::size_t chosen = 9;
  support::crew threads;
  SECTION("alone") {
    threads.go([&] { chosen = rn::select(rn::on_event(event)); });
    wait_until_waiting(event);
    event.end();
    threads.join();
    CHECK(chosen == rn::select_none);
  }
  SECTION("among others") {
    threads.go([&] { chosen = rn::select(rn::on_event(event), rn::on_recv(ch)); });
    wait_until_waiting(event);
    event.end();
    ch.send(1);
    threads.join();
    CHECK(chosen == 1);
  }
}

TEST_CASE("what the try of an event throws comes out, and nothing is queued") {
  failing event;
  const rn::channel<int> ch;
  CHECK_THROWS_WITH(rn::select(rn::biased, rn::on_recv(ch), rn::on_event(event)), "try");
  CHECK(support::receiving(ch) == 0);
  CHECK(rn::try_select(rn::when(false, rn::on_event(event)), rn::on_recv(ch)) == rn::select_none);
}

TEST_CASE("what the join of an event throws comes out, and nothing stays queued") {
  fails_to_join event;
  permits other(true);
  const rn::channel<int> ch;
  CHECK_THROWS_WITH(rn::select(rn::on_recv(ch), rn::on_event(other), rn::on_event(event)), "join");
  CHECK(support::receiving(ch) == 0);
  CHECK(other.waiting() == 0);
  CHECK_THROWS_WITH(rn::try_select(rn::on_recv(ch), rn::on_event(event)), "join");
  CHECK(support::receiving(ch) == 0);
  rn::selector cases;
  cases.add(rn::on_recv(ch));
  cases.add(rn::on_event(event));
  CHECK_THROWS_WITH(cases.wait(rn::with_timeout(rn::context(), 1h)), "join");
  CHECK(support::receiving(ch) == 0);
  CHECK(ch.try_send(1).status() == rn::status::would_block);
}

TEST_CASE("what a join throws is not heard of once another case has happened") {
  fails_to_join event;
  const rn::channel<int> ch;
  int got = 0;
  const auto take = [&](int value) { got += value; };
  event.before = [&] { ch.send(7); };
  CHECK(rn::select(rn::on_recv(ch, take), rn::on_event(event), rn::on_timeout(1h)) == 0);
  CHECK(got == 7);
  CHECK(rn::try_select(rn::on_recv(ch, take), rn::on_event(event)) == 0);
  CHECK(got == 14);
  rn::sync_wait([](auto& c, auto& f, auto& e) -> rn::task<> {
    const std::size_t chosen = co_await rn::async_select(rn::on_recv(c, f), rn::on_event(e), rn::on_timeout(1h));
    CHECK(chosen == 0);
  }(ch, take, event));
  CHECK(got == 21);
  CHECK(support::receiving(ch) == 0);
}

TEST_CASE("a join that throws in a select that is awaited, at once or when it goes round again") {
  const int good = GENERATE(0, 1);
  const rn::channel<int> ch;
  const rn::channel<int> closes;
  std::string thrown;
  auto selects = [&]() -> rn::task<> {
    fails_to_join event(good);
    const auto take = [](int) {};
    try {
      co_await rn::async_select(rn::on_recv(ch, take), rn::on_recv(closes, take), rn::on_event(event), rn::on_timeout(1h));
    } catch (const std::runtime_error& e) {
      thrown = e.what();
    }
  };
  support::crew threads;
  threads.go([&] { rn::sync_wait(selects()); });
  if (good != 0) support::wait_until_receiving(closes);
  closes.close();
  threads.join();
  CHECK(thrown == "join");
  CHECK(support::receiving(ch) == 0);
  CHECK(ch.try_send(1).status() == rn::status::would_block);
}

TEST_CASE("a selector waits for an event many times") {
  permits event(GENERATE(true, false));
  const rn::channel<int> ch;
  rn::selector cases;
  int taken = 0;
  const std::size_t id = cases.add(rn::on_event(event, [&] { ++taken; }));
  cases.add(rn::on_recv(ch));
  CHECK(cases.try_wait().status() == rn::status::would_block);
  CHECK(cases.try_wait_for(1ms).status() == rn::status::timed_out);
  support::crew threads;
  threads.go([&] {
    for (int i = 0; i < 100; ++i) event.add();
  });
  for (int i = 0; i < 100; ++i) REQUIRE(cases.wait() == id);
  threads.join();
  CHECK(taken == 100);
  CHECK(event.free() == 0);
  CHECK(event.waiting() == 0);
}

TEST_CASE("every permit goes to exactly one of several selects") {
  constexpr int each = 2000;
  permits event(GENERATE(true, false));
  const rn::channel<int> idle;
  rn::scoped_context ctx = rn::with_cancel(rn::context::background());
  support::counter taken{0};
  support::crew threads;
  for (int t = 0; t < 3; ++t)
    threads.go([&] {
      bool on = true;
      while (on)
        rn::select(rn::on_event(event, [&] { support::add(taken); }), rn::on_recv(idle), rn::on_done(ctx, [&] { on = false; }));
    });
  for (int i = 0; i < each; ++i) event.add();
  support::wait_for(taken, each);
  ctx.cancel();
  threads.join();
  CHECK(support::read(taken) == each);
  CHECK(event.free() == 0);
}

TEST_CASE("a coroutine's select whose event throws when it is looked at once more ends with that") {
  struct failing final : rn::selectable {
    explicit failing(rn::channel<int> c) : closes(std::move(c)) {}
    rn::attempt try_now() override { return ++looks == 3 ? throw std::runtime_error("third look") : rn::attempt::not_yet; }
    void join(rn::wait_node& /*node*/) override { closes.close(); }  // which claims the wait, and completes no case
    bool leave(rn::wait_node& /*node*/) noexcept override { return true; }
    bool finish(rn::wait_node& /*node*/) noexcept override { return true; }
    rn::channel<int> closes;
    int looks = 0;
  };
  const rn::channel<int> closed;
  const rn::channel<int> open;
  failing event(closed);
  const auto selects = [&]() -> rn::task<> {
    co_await rn::async_select(rn::on_recv(closed, [](int /*value*/) {}), rn::on_recv(open), rn::on_event(event));
  };
  CHECK_THROWS_AS(rn::sync_wait(selects()), std::runtime_error);
  CHECK(!open.try_send(1));  // nobody waits there
}

}  // namespace selectable_test
