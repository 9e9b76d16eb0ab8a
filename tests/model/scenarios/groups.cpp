// Tasks and those who wait for them: errgroup, wait_group, futures, and the threads that they run on.
#include <runnel/errgroup.hpp>
#include <runnel/go.hpp>
#include <runnel/wait_group.hpp>

#include <stdexcept>
#include <string>

#include "kit.hpp"

namespace model {
namespace {

struct failure {
  int number;
};

template <class F>
int caught(F f) {
  try {
    f();
  } catch (const failure& e) {
    return e.number;
  } catch (const rn::context_error&) {
    return -1;
  }
  return 0;
}

void errgroup_failure_and_wait() {
  rn::errgroup group;
  int other = 0;
  group.go([] { throw failure{1}; });
  group.go([&](const rn::context& ctx) { other = ctx.done() ? 2 : 1; });
  require(caught([&] { group.wait(); }) == 1, "wait() throws the failure");
  require(other != 0, "wait() returns when all have ended");
}

void errgroup_failure_cancels() {
  rn::errgroup group;
  rn::channel<int> ch;
  rn::status why = rn::status::ok;
  group.go([&](const rn::context& ctx) { why = ch.recv(ctx).status(); });
  group.go([] { throw failure{1}; });
  require(caught([&] { group.wait(); }) == 1, "wait() throws the failure");
  require(why == rn::status::canceled, "a failure cancels the others");
}

void errgroup_two_failures() {
  rn::errgroup group;
  group.go([] { throw failure{1}; });
  group.go([] { throw failure{2}; });
  const int first = caught([&] { group.wait(); });
  require(first == 1 || first == 2, "one of the failures comes out");
}

void errgroup_limit() {
  rn::errgroup group({}, {.limit = 1});
  int running = 0;
  int ran = 0;
  const auto task = [&] {
    require(++running == 1, "more tasks run than the limit allows");
    ++ran;
    --running;
  };
  group.go(task);
  const bool started = group.try_go(task);
  group.go(task);
  group.wait();
  require(running == 0 && ran == (started ? 3 : 2), "all tasks that were started have ended");
}

void errgroup_limit_is_set() {
  rn::errgroup group;
  bool ran = false;
  const auto set_limit = [&] {
    try {
      group.set_limit(1);
    } catch (const std::logic_error&) {  // a task runs
    }
  };
  parallel(as("cancel", [&] { group.cancel(); }), as("go", [&] { group.go([&] { ran = true; }); }), as("set_limit", set_limit));
  group.wait();
  require(ran, "wait() returns when the task has ended");
}

void errgroup_cancel_and_wait() {
  rn::errgroup group;
  rn::channel<int> ch;
  group.go([&](const rn::context& ctx) { static_cast<void>(ch.recv(ctx)); });
  parallel(as("cancel", [&] { group.cancel(); }),
           as("wait", [&] { require(caught([&] { group.wait(); }) == 0, "canceled on purpose: no failure"); }));
}

void errgroup_parent_ends() {
  auto parent = rn::with_cancel(rn::context());
  rn::errgroup group(parent);
  rn::channel<int> ch;
  group.go([&](const rn::context& ctx) { static_cast<void>(ch.recv(ctx)); });
  parallel(as("cancel the parent", [&] { parent.cancel(); }),
           as("wait", [&] { require(caught([&] { group.wait(); }) == -1, "the parent's end comes out of wait()"); }));
}

void errgroup_two_rounds() {
  rn::errgroup group;
  group.go([] { throw failure{1}; });
  require(caught([&] { group.wait(); }) == 1, "the first round fails");
  group.go([](const rn::context& ctx) { require(!ctx.done(), "the second round is live"); });
  require(caught([&] { group.wait(); }) == 0, "the second round does not");
}

void wait_group_ends() {
  int work = 0;
  auto group = std::make_unique<rn::wait_group>();
  group->add(2);
  rn::wait_group* const g = group.get();
  parallel(as("worker 1", [&, g] { g->done(); }),
           as("worker 2",
              [&, g] {
                ++work;
                g->done();
              }),
           as("waiter", [&] {
             group->wait();
             require(work == 1, "wait() returns after the work");
             group.reset();  // done() is through with it
           }));
}

void wait_group_timed() {
  rn::wait_group group;
  group.add();
  parallel(as("worker", [&] { group.done(); }), as("waiter", [&] { static_cast<void>(group.try_wait_for(milliseconds(10))); }),
           as("waiter", [&] { group.wait(); }));
}

void wait_group_go() {
  rn::wait_group group;
  int work = 0;
  group.go([&] { ++work; });
  group.wait();
  require(work == 1, "wait() returns after the task");
}

void future_get() {
  std::optional<rn::future<int>> answer;
  answer.emplace(rn::async([] { return 7; }));
  require(answer->get() == 7, "the task's value");
}
void future_timed() {
  auto answer = rn::async([] { return 7; });
  const auto r = answer.try_wait_for(milliseconds(10));
  require(r.status() == rn::status::ok || r.status() == rn::status::timed_out, "a limited wait answers ok or timed_out");
  require(answer.get() == 7, "the task's value");
}
void future_dropped() {
  auto answer = std::optional(rn::async([value = counted(1)] { return value.value(); }));
  parallel(as("drop", [&] { answer.reset(); }), as("another task", [] { rn::go([] {}); }));
  while (counted::live.load(std::memory_order_relaxed) != 0) rn::detail::yield();  // the task may be about to end
}
void future_in_select() {
  const rn::channel<int> ch;
  auto answer = rn::async([] { return 7; });
  parallel(as("select",
              [&] {
                int which = 0;
                rn::select(rn::on_ready(answer, [&] { which = 1; }), rn::on_recv(ch, [&](int) { which = 2; }));
                require(which != 0, "one case happened");
                if (which == 1) static_cast<void>(ch.recv());
              }),
           as("sender", [&] { ch.send(1); }));
  require(answer.get() == 7, "the future is as it was");
}

void threads_are_used_again() {
  int done = 0;
  for (int i = 0; i < 2; ++i) {
    rn::wait_group group;
    group.go([&] { ++done; });
    group.wait();
  }
  require(done == 2, "both tasks ran");
}
void thread_grows_old() {
  int done = 0;
  const auto once = [&] {
    rn::wait_group group;
    group.go([&] { ++done; });
    group.wait();
  };
  once();
  rn::sleep_for(std::chrono::seconds(5));
  once();
  require(done == 2, "both tasks ran");
}

/// The same where two of its tasks run at once.
void add_on_two_cpus(const std::string& name, const std::vector<int>& proves, void (*body)()) {
  scenario s{name + "/two cpus", proves, [body] {
               cpus = 2;
               body();
             }};
  s.far_timers_up_to = 2;
  add_scenario(s);
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_on_two_cpus("errgroup/failure, wait", waiting, &errgroup_failure_and_wait);
  add_on_two_cpus("errgroup/failure cancels", waiting, &errgroup_failure_cancels);
  add_on_two_cpus("errgroup/two failures", waiting, &errgroup_two_failures);
  add_on_two_cpus("errgroup/limit, try_go", waiting, &errgroup_limit);
  add_scenario({"errgroup/failure, wait", waiting, &errgroup_failure_and_wait});
  add_scenario({"errgroup/failure cancels", waiting, &errgroup_failure_cancels});
  add_scenario({"errgroup/two failures", waiting, &errgroup_two_failures});
  add_scenario({"errgroup/limit, try_go", waiting, &errgroup_limit});
  add_scenario({"errgroup/cancel, set_limit", waiting, &errgroup_limit_is_set});
  add_scenario({"errgroup/cancel, wait", waiting, &errgroup_cancel_and_wait});
  add_scenario({"errgroup/parent ends", waiting, &errgroup_parent_ends});
  add_scenario({"errgroup/two rounds", waiting, &errgroup_two_rounds});
  add_scenario({"wait_group/two workers, destroyed by the waiter", waiting, &wait_group_ends});
  add_scenario({"wait_group/timed", waiting, &wait_group_timed});
  add_scenario({"wait_group/go", waiting, &wait_group_go});
  add_scenario({"future/get", waiting, &future_get});
  add_scenario({"future/timed", waiting, &future_timed});
  add_scenario({"future/dropped", waiting, counting(&future_dropped)});
  add_scenario({"future/in select", {9, 10, 11}, &future_in_select});
  add_scenario({"threads/used again", waiting, &threads_are_used_again});
  add_scenario({"threads/grow old", waiting, &thread_grows_old});
});

}  // namespace
}  // namespace model
