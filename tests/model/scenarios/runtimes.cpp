// Coroutines that are destroyed while they wait, and the runtime: places that are given up, stolen from, and shut down.
#include <runnel/errgroup.hpp>
#include <runnel/go.hpp>
#include <runnel/runtime.hpp>
#include <runnel/task.hpp>
#include <runnel/wait_group.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

// Coroutines that are destroyed while they wait

/// Begins on the destroying thread, and is destroyed there while the peer lets it go.
template <class Coroutine, class Peer>
void destroyed_while(Coroutine coroutine, Peer peer) {
  thread_place here;
  parallel(as("destroys",
              [&] {
                placed waits = coroutine();
                waits.start(here);
                waits.destroy();
              }),
           as("peer", peer));
}

void destroyed_receiver(std::size_t capacity) {
  const auto ch = make(capacity);
  destroyed_while([&]() -> placed { static_cast<void>(co_await ch.async_recv()); },
                  [&] { static_cast<void>(ch.try_send(counted(1))); });
  while (ch.try_recv()) {
  }
}
void destroyed_sender() {
  const auto ch = make(0);
  counted value(1);
  rn::status got = rn::status::would_block;
  destroyed_while([&]() -> placed { co_await ch.async_send(std::move(value)); }, [&] { got = ch.try_recv().status(); });
  require(got == rn::status::ok || value.has_value(), "a send that was withdrawn has moved its value");
}
void destroyed_limited_receiver() {
  const auto ch = make(0);
  auto ctx = rn::with_cancel(rn::context());
  thread_place here;
  parallel(as("destroys",
              [&] {
                const auto body = [&]() -> placed { static_cast<void>(co_await ch.async_recv(ctx)); };
                placed waits = body();
                waits.start(here);
                waits.destroy();
              }),
           as("sender", [&] { static_cast<void>(ch.try_send(counted(1))); }), as("cancel", [&] { ctx.cancel(); }));
}
void destroyed_select() {
  const auto a = make(0);
  const auto b = make(1);
  thread_place here;
  int received = 0;
  rn::status sent_a = rn::status::would_block;
  parallel(as("destroys",
              [&] {
                const auto note = [&](rn::recv_result<counted> v) { received += v ? 1 : 0; };
                const auto body = [&]() -> placed { co_await rn::async_select(rn::on_recv(a, note), rn::on_recv(b, note)); };
                placed waits = body();
                waits.start(here);
                waits.destroy();
              }),
           as("sender a", [&] { sent_a = a.try_send(counted(1)).status(); }), as("sender b", [&] { b.send(counted(2)); }));
  require(received <= 1, "two cases of one select happened");
}
void destroyed_wait_group_waiter() {
  rn::wait_group group;
  group.add();
  destroyed_while([&]() -> placed { co_await group.async_wait(); }, [&] { group.done(); });
}

// The runtime

rn::errgroup_options on(rn::runtime& r) { return {.limit = 0, .collect_all = false, .on = &r}; }

/// Two functions that meet at a rendezvous, one after the other in one place: the first gives its place up.
void functions_meet(unsigned workers) {
  const rn::channel<int> ch;
  int got = 0;
  {
    rn::runtime r(workers);
    r.go([&] { ch.send(7); });
    r.go([&] { got = *ch.recv(); });
  }
  require(got == 7, "the value came over");
}
void coroutines_meet(unsigned workers) {
  const rn::channel<int> ch;
  int got = 0;
  {
    rn::runtime r(workers);
    r.go([&]() -> rn::task<> { co_await ch.async_send(7); });
    r.go([&]() -> rn::task<> { got = *co_await ch.async_recv(); });
  }
  require(got == 7, "the value came over");
}
void function_meets_coroutine(unsigned workers) {
  const rn::channel<int> ch;
  int got = 0;
  {
    rn::runtime r(workers);
    r.go([&] { got = *ch.recv(); });
    r.go([&]() -> rn::task<> { co_await ch.async_send(7); });
  }
  require(got == 7, "the value came over");
}
/// What the function has let go stands next in its place when it waits for the answer.
void question_and_answer() {
  rn::runtime r(1);
  const rn::channel<int> questions;
  const rn::channel<int> answers;
  r.go([&]() -> rn::task<> {
    const auto question = co_await questions.async_recv();
    co_await answers.async_send(1 + *question);
  });
  auto answer = r.async([&] {
    questions.send(6);
    return *answers.recv();
  });
  require(answer.get() == 7, "the answer comes");
}
void thread_meets_coroutine(unsigned workers) {
  rn::runtime r(workers);
  const rn::channel<int> ch;
  auto answer = r.async([&]() -> rn::task<int> { co_return *co_await ch.async_recv(); });
  ch.send(7);
  require(answer.get() == 7, "the value came over");
}
/// More than a place keeps to itself, started from inside: they overflow, and are taken from. Nobody waits besides: with a future and a
/// group for these six it took more states than a machine of 24 GB can keep at bound 3.
void many_are_started(unsigned workers) {
  rn::runtime r(workers);
  std::array<int, 6> ran{};
  r.go([&] {
    for (int& mine : ran) rn::go([&mine] { ++mine; });
  });
  r.shutdown(rn::drain);
  require(std::ranges::all_of(ran, [](int times) { return times == 1; }), "each ran once");
}
/// A place that becomes idle against work that comes from elsewhere.
void started_while_others_end(unsigned workers) {
  rn::runtime r(workers);
  rn::wait_group group;
  int ran[2] = {};
  group.add(2);
  parallel(as("one", [&] { r.go([&] { ++ran[0], group.done(); }); }), as("two", [&] { r.go([&] { ++ran[1], group.done(); }); }));
  group.wait();
  require(ran[0] == 1 && ran[1] == 1, "each ran once");
}
/// Its thread waits for a thing of its own while another task is queued behind it.
void blocking_region_gives_way() {
  rn::runtime r(1);
  rn::detail::atomic<std::uint32_t> word{0};
  auto waits = r.async([&] {
    const rn::blocking_region region;
    while (word.load(rn::detail::acquire) == 0) rn::detail::park(word, 0);
  });
  r.go([&] {
    word.store(1, rn::detail::release);
    rn::detail::unpark(&word, 1);
  });
  waits.get();
}

void drained() {
  int ran = 0;
  const rn::channel<int> ch;
  rn::runtime r(1);
  r.go([&]() -> rn::task<> {
    static_cast<void>(co_await ch.async_recv());
    ++ran;
  });
  parallel(as("sender", [&] { ch.send(1); }), as("drain", [&] {
             r.shutdown(rn::drain);
             require(ran == 1, "drain waits for all");
           }));
}
void abandoned(unsigned workers) {
  const auto ch = make(0);
  rn::status sent = rn::status::would_block;
  std::optional<rn::future<int>> answer;
  {
    rn::runtime r(workers);
    answer.emplace(r.async([&]() -> rn::task<int> { co_return (*co_await ch.async_recv()).value(); }));
    parallel(as("sender", [&] { sent = ch.try_send(counted(7)).status(); }), as("abandon", [&] { r.shutdown(rn::abandon); }));
  }
  try {
    require(answer->get() == 7, "the value came over");
    require(sent == rn::status::ok, "a value was received that was not sent");
  } catch (const rn::context_error&) {
    // destroyed: before it began, while it waited, or with its value
  }
  require(!ch.try_recv(), "nothing is left");
}
void drained_for_a_while() {
  const rn::channel<int> never;
  int destroyed = 0;
  struct told {
    int* count;
    explicit told(int& c) : count(&c) {}
    told(const told&) = delete;
    ~told() { ++*count; }
  };
  {
    rn::runtime r(1);
    r.go([&]() -> rn::task<> {
      const told when_destroyed(destroyed);
      static_cast<void>(co_await never.async_recv());
    });
    r.shutdown(rn::drain_for(milliseconds(10)));
  }
  require(destroyed <= 1, "a frame is destroyed once");
}
/// A frame's group waits, when the frame is destroyed, for a task that is to be destroyed too.
void abandoned_with_a_group(bool given_later) {
  const rn::channel<int> never;
  const auto waits = [&never]() -> rn::task<> { static_cast<void>(co_await never.async_recv()); };
  rn::runtime r(2);
  const auto owns = [&waits](std::unique_ptr<rn::errgroup> group) -> rn::task<> {
    const std::unique_ptr<rn::errgroup> kept = std::move(group);
    co_await waits();
  };
  const auto begins = [&waits]() -> rn::task<> {
    rn::errgroup group;
    try {
      group.go(waits);
    } catch (const std::logic_error&) {
      // refused: the runtime ends
    }
    co_await waits();
  };
  if (given_later) {
    auto group = std::make_unique<rn::errgroup>(rn::context(), on(r));
    group->go(waits);
    r.go(owns(std::move(group)));
  } else {
    r.go(waits);  // which is left when the other one has waited
    r.go(begins);
  }
  r.shutdown(rn::abandon);
}
/// Some have begun and wait, some are about to, or queued: all are gone when abandon returns, whoever drops them.
void abandoned_before_all_wait() {
  const rn::channel<int> never;
  shared_count gone;
  struct frame_part {
    explicit frame_part(shared_count& g) : count(&g) {}
    frame_part(const frame_part&) = delete;
    ~frame_part() {
      word.store(1, rn::detail::relaxed);  // a step
      ++*count;
    }
    rn::detail::atomic<std::uint32_t> word{0};
    shared_count* count;
  };
  rn::runtime r(1);
  for (int i = 0; i < 3; ++i)
    r.go([](const rn::channel<int>& from, std::unique_ptr<frame_part>) -> rn::task<> {
      static_cast<void>(co_await from.async_recv());
    }(never, std::make_unique<frame_part>(gone)));
  r.shutdown(rn::abandon);
  require(gone == 3, "abandon returns when all frames are gone");
}
void abandoned_while_started() {
  int ran = 0;
  std::optional<rn::future<void>> answer;
  {
    rn::runtime r(1);
    parallel(as("abandon", [&] { r.shutdown(rn::abandon); }), as("starter", [&] {
               try {
                 answer.emplace(r.async([&] { ++ran; }));
               } catch (const std::logic_error&) {
                 // refused
               }
             }));
  }
  bool ended = false;
  try {
    if (answer) answer->get(), ended = true;
  } catch (const rn::context_error&) {
    // dropped
  }
  require(ran == (ended ? 1 : 0), "what is refused or dropped does not run");
}

rn::task<> receive_and_set(rn::channel<int> from, unknown_event& event) {
  static_cast<void>(co_await from.async_recv());
  event.set();
}
/// A step resumes two coroutines, and lasts until both have run: one is in its place's next slot, and one in the queue.
void resumed_while_a_step_stays() {
  const rn::channel<int> first;
  const rn::channel<int> second;
  unknown_event one;
  unknown_event two;
  rn::runtime r(2);
  {
    undisturbed before;
    r.go(receive_and_set(first, one));
    r.go(receive_and_set(second, two));
    before.settle();
  }
  r.go([](const rn::channel<int>& to, const rn::channel<int>& then, const unknown_event& a, const unknown_event& b) -> rn::task<> {
    co_await to.async_send(1);
    co_await then.async_send(2);
    a.wait();
    b.wait();
  }(first, second, one, two));
}
/// A place is given up while what was resumed, and not offered, is in its queue.
void given_up_with_what_is_kept() {
  const rn::channel<int> first;
  const rn::channel<int> second;
  const rn::channel<int> answer;
  rn::runtime r(1);
  r.go([](const rn::channel<int>& from, const rn::channel<int>& to) -> rn::task<> {
    static_cast<void>(co_await from.async_recv());
    co_await to.async_send(1);
  }(first, answer));
  r.go([](const rn::channel<int>& from, const rn::channel<int>& blocks) -> rn::task<> {
    static_cast<void>(co_await from.async_recv());
    static_cast<void>(blocks.recv());
  }(second, answer));
  r.go([](const rn::channel<int>& to, const rn::channel<int>& then) -> rn::task<> {
    co_await to.async_send(1);
    co_await then.async_send(2);
  }(first, second));
}
/// A step starts another, and lasts until that has run.
void started_while_a_step_stays() {
  unknown_event ran;
  rn::runtime r(2);
  r.go([&] {
    rn::go([&] { ran.set(); });
    ran.wait();
  });
}
/// All places become idle, and the watch is about to end, when a step begins that resumes another one and lasts until that has run.
void stays_when_the_watch_ends() {
  const rn::channel<int> first;
  const rn::channel<int> second;
  unknown_event one;
  unknown_event two;
  rn::runtime r(2);
  {
    const undisturbed before;
    r.go([](const rn::channel<int>& from, unknown_event& event, const rn::channel<int>& then, unknown_event& last) -> rn::task<> {
      static_cast<void>(co_await from.async_recv());
      event.set();
      static_cast<void>(co_await then.async_recv());
      last.set();
    }(first, one, second, two));
    r.go([](const rn::channel<int>& to) -> rn::task<> { co_await to.async_send(1); }(first));
    one.wait();
  }
  r.go([](const rn::channel<int>& to, const unknown_event& event) -> rn::task<> {
    co_await to.async_send(2);
    event.wait();
  }(second, two));
}
/// Whoever takes several tasks from another place, or from the shared queue, has others take from it what it does not run.
void taken_while_a_step_stays(bool from_outside) {
  unknown_event ran;
  rn::runtime r(2);
  const auto start = [&](auto where) {
    where([&] { ran.wait(); });
    where([&] { ran.set(); });
    where([] {});
  };
  if (from_outside)
    start([&](auto f) { r.go(f); });
  else
    r.go([&, start] { start([](auto f) { rn::go(f); }); });
}

/// Whoever takes one task from the shared queue leaves the other one there, for a place that is becoming idle.
void left_while_a_step_stays() {
  unknown_event ran;
  rn::runtime r(2);
  r.go([] {});
  r.go([&] { ran.wait(); });
  r.go([&] { ran.set(); });
}
/// The same by one that has been at work, and did not search, while the other place becomes idle.
void left_by_one_at_work() {
  unknown_event at_work;
  unknown_event goes_on;
  unknown_event other_began;
  unknown_event ran;
  rn::runtime r(2);
  r.go([&] {
    at_work.set();
    goes_on.wait();
  });
  at_work.wait();
  r.go([&] { other_began.set(); });
  other_began.wait();
  r.go([&] { ran.wait(); });
  r.go([&] { ran.set(); });
  goes_on.set();
}

// The coroutine forms of what is not a channel

void coroutine_waits_for_group() {
  rn::runtime r(1);
  rn::errgroup group({}, on(r));
  int work = 0;
  group.go([&] { ++work; });
  const auto waits = [&]() -> placed {
    rn::task<> end = group.async_wait();
    co_await std::move(end);
    require(work == 1, "async_wait returns after the work");
  };
  run_here(waits());
}
void coroutine_waits_for_future() {
  auto answer = rn::async([] { return 7; });
  const auto waits = [&]() -> placed { require(co_await answer.async_get() == 7, "the task's value"); };
  run_here(waits());
}
void coroutine_waits_for_counter() {
  rn::wait_group group;
  group.add();
  parallel(as("worker", [&] { group.done(); }), as("waiter", [&] {
             const auto waits = [&]() -> placed { co_await group.async_wait(); };
             run_here(waits());
           }));
}
void tasks_in_tasks() {
  const rn::channel<int> ch;
  const auto inner = [](const rn::channel<int>& from) -> rn::task<int> { co_return *co_await from.async_recv(); };
  const auto outer = [&]() -> rn::task<int> {
    rn::task<int> t = inner(ch);
    co_return 1 + co_await std::move(t);
  };
  parallel(as("sender", [&] { ch.send(1); }), as("receiver", [&] { require(rn::sync_wait(outer()) == 2, "the value came over"); }));
}

void add_for_workers(const std::string& name, const std::function<void(unsigned)>& body) {
  for (const unsigned workers : {1U, 2U}) {
    scenario s{name + (workers == 1 ? "/1 worker" : "/2 workers"), {9, 10}, [body, workers] { body(workers); }};
    if (workers == 2) s.far_timers_up_to = 2;
    add_scenario(s);
  }
}
/// For those with two workers, and a watch.
void add_with_watch(const std::string& name, const std::function<void()>& body) {
  scenario s{name, {9, 10}, body};
  s.far_timers_up_to = 1;
  add_scenario(s);
}

placed receive_one(const rn::channel<counted>& ch, const void* starter, bool& at_once) {
  static_cast<void>(co_await ch.async_recv());
  if (rn::detail::this_thread_id() == starter) at_once = true;
}
/// What a place is told instead of a coroutine.
class no_step final : public rn::work_item {
 public:
  no_step() noexcept : rn::work_item([](rn::work_item&, bool) noexcept {}) {}
};
/// A coroutine queues, and is resumed, and gone, on another thread before the call that suspended it has come back.
void ends_elsewhere() {
  const rn::channel<counted> ch(0);
  thread_place place;
  no_step nothing;
  bool at_once = false;
  std::optional<placed> coroutine;
  parallel(as("starts",
              [&] {
                coroutine.emplace(receive_one(ch, rn::detail::this_thread_id(), at_once));
                coroutine->start(place);
                if (at_once) place.post(nothing);
              }),
           as("sends, resumes, destroys", [&] {
             ch.send(counted(1));
             place.run_one();
             coroutine->destroy();
           }));
}

/// Takes a coroutine to another place, for what is left of it.
class way_out final : public rn::work_item {
 public:
  explicit way_out(thread_place& to) noexcept : rn::work_item(&step), to_(&to) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> who) noexcept {
    who_ = who;
    to_->post(*this);
  }
  void await_resume() const noexcept {}

 private:
  static void step(rn::work_item& self, bool /*runs*/) noexcept { static_cast<way_out&>(self).who_.resume(); }

  thread_place* to_;
  std::coroutine_handle<> who_;
};
/// A task of a runtime ends on a thread that is none of its, and takes a step to be destroyed.
void task_ends_elsewhere() {
  struct last {
    rn::detail::atomic<std::uint32_t> word{0};
    bool* gone;
    explicit last(bool& g) : gone(&g) {}
    last(const last&) = delete;
    ~last() {
      word.store(1, rn::detail::relaxed);
      *gone = true;
    }
  };
  thread_place other;
  way_out out(other);
  bool gone = false;
  rn::runtime r(1);
  r.go([](way_out& way, std::unique_ptr<last>) -> rn::task<> { co_await way; }(out, std::make_unique<last>(gone)));
  parallel(as("runs the end", [&] { other.run_one(); }), as("drain", [&] {
             r.shutdown(rn::drain);
             require(gone, "what a task holds is destroyed when its runtime is drained");
           }));
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}})
    add_scenario({"coroutine/destroyed receiver/" + capacity_name(capacity), about(capacity, {4, 8, 9, 10}),
                  counting([capacity] { destroyed_receiver(capacity); })});
  add_scenario({"coroutine/destroyed sender", {4, 8, 9, 10}, counting(&destroyed_sender)});
  add_scenario({"coroutine/ends elsewhere", {9, 10}, counting(&ends_elsewhere)});
  add_scenario({"coroutine/destroyed receiver, canceled", {4, 8, 9, 10}, counting(&destroyed_limited_receiver)});
  add_scenario({"coroutine/destroyed select", {4, 8, 9, 10, 11}, counting(&destroyed_select)});
  add_scenario({"coroutine/destroyed waiter of a wait_group", waiting, &destroyed_wait_group_waiter});
  add_scenario({"coroutine/waits for a group", waiting, &coroutine_waits_for_group});
  add_scenario({"coroutine/waits for a future", waiting, &coroutine_waits_for_future});
  add_scenario({"coroutine/waits for a counter", waiting, &coroutine_waits_for_counter});
  add_scenario({"coroutine/tasks in tasks", waiting, &tasks_in_tasks});
  add_for_workers("runtime/functions meet", &functions_meet);
  add_for_workers("runtime/coroutines meet", &coroutines_meet);
  add_for_workers("runtime/function meets coroutine", &function_meets_coroutine);
  add_for_workers("runtime/thread meets coroutine", &thread_meets_coroutine);
  add_for_workers("runtime/many are started", &many_are_started);
  add_for_workers("runtime/started while others end", &started_while_others_end);
  add_scenario({"runtime/given up with what is kept", waiting, &given_up_with_what_is_kept});
  add_with_watch("runtime/resumed while a step stays", &resumed_while_a_step_stays);
  add_with_watch("runtime/stays when the watch ends", &stays_when_the_watch_ends);
  add_scenario({"runtime/started while a step stays", waiting, &started_while_a_step_stays});
  add_scenario({"runtime/stolen while a step stays", waiting, [] { taken_while_a_step_stays(false); }});
  add_scenario({"runtime/shared while a step stays", waiting, [] { taken_while_a_step_stays(true); }});
  add_scenario({"runtime/left while a step stays", waiting, &left_while_a_step_stays});
  add_scenario({"runtime/left by one at work", waiting, &left_by_one_at_work});
  add_scenario({"runtime/blocking region", waiting, &blocking_region_gives_way});
  add_scenario({"runtime/question and answer", waiting, &question_and_answer});
  add_scenario({"runtime/drain", waiting, &drained});
  add_for_workers("runtime/abandon", [](unsigned workers) { counting([workers] { abandoned(workers); })(); });
  add_scenario({"runtime/drain, ends elsewhere", waiting, &task_ends_elsewhere});
  add_scenario({"runtime/drain for a while", waiting, &drained_for_a_while});
  add_scenario({"runtime/abandon, group", waiting, [] { abandoned_with_a_group(false); }});
  add_scenario({"runtime/abandon, group given later", waiting, [] { abandoned_with_a_group(true); }});
  add_scenario({"runtime/abandon, queued", waiting, &abandoned_before_all_wait});
  add_scenario({"runtime/abandon, start", waiting, &abandoned_while_started});
});

}  // namespace
}  // namespace model
