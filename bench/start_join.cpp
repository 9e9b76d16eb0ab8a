// W10: empty functions and coroutines are started, a hundred at a time, and joined; a coroutine awaits an empty one. Time: of one task.
// What starts them is a task itself, and a fiber or a thread with those peers; where DETAIL says outside, it is a thread of no runtime.
#include "peers.hpp"

namespace {

namespace rn = bench::rn;
constexpr bench::item together = 100;

void empty_function() {}
rn::task<> empty_task() { co_return; }

/// What go, which knows no end, is joined with by hand.
class by_go {
 public:
  void go(void (*f)()) {
    running_.add();
    rn::go([this, f] {
      f();
      running_.done();
    });
  }
  void go(rn::task<> (*f)()) {
    running_.add();
    rn::go(counted(&running_, f));
  }
  [[nodiscard]] auto async_wait() { return running_.async_wait(); }

 private:
  static rn::task<> counted(rn::wait_group* running, rn::task<> (*f)()) {
    co_await f();
    running->done();
  }
  rn::wait_group running_;
};

template <class Group, class Function>
rn::task<double> from_inside(Function f, bench::item items) {
  const bench::clock::time_point begin = bench::clock::now();
  for (bench::item done = 0; done < items; done += together) {
    Group group;
    for (bench::item i = 0; i < together; ++i) group.go(f);
    co_await group.async_wait();
  }
  co_return std::chrono::duration<double>(bench::clock::now() - begin).count();
}
template <class Subject, class Group, auto F>
double inside(bench::item items) {
  return Subject::on().run(from_inside<Group>(F, items));
}
template <class Group, auto F>
double outside(bench::item items) {
  return bench::run_here([&] {
    for (bench::item done = 0; done < items; done += together) {
      Group group;
      for (bench::item i = 0; i < together; ++i) group.go(F);
      group.wait();
    }
  });
}
template <class Subject, bench::item Together>
double peers_group(bench::item items) {
  return bench::run_here([&] {
    typename Subject::group group;
    for (bench::item done = 0; done < items; done += Together) {
      for (bench::item i = 0; i < Together; ++i) group.run(empty_function);
      group.wait();
    }
  });
}

rn::task<double> await_children(bench::item items) {
  const bench::clock::time_point begin = bench::clock::now();
  for (bench::item i = 0; i < items; ++i) co_await empty_task();
  co_return std::chrono::duration<double>(bench::clock::now() - begin).count();
}
template <class Subject>
double one_by_one(bench::item items) {
  return Subject::on().run(await_children(items));
}

constexpr bench::item items = 100 * together;

template <class Subject>
void add_all() {
  const std::string name = std::string("/") + Subject::name;
  bench::add("W10/function_go" + name, items, &inside<Subject, by_go, &empty_function>);
  bench::add("W10/function_wait_group" + name, items, &inside<Subject, rn::wait_group, &empty_function>);
  bench::add("W10/function_errgroup" + name, items, &inside<Subject, rn::errgroup, &empty_function>);
  bench::add("W10/task_go" + name, items, &inside<Subject, by_go, &empty_task>);
  bench::add("W10/task_wait_group" + name, items, &inside<Subject, rn::wait_group, &empty_task>);
  bench::add("W10/task_errgroup" + name, items, &inside<Subject, rn::errgroup, &empty_task>);
  bench::add("W10/task_one_by_one" + name, items, &one_by_one<Subject>);
}
const bool registered = [] {
  add_all<bench::tasks_subject>();
  add_all<bench::one_worker_subject>();
  bench::add("W10/function_outside/runnel", items, &outside<rn::wait_group, &empty_function>);
  bench::add("W10/task_outside/runnel", items, &outside<rn::wait_group, &empty_task>);
  bench::tbb_peers::each([](auto peer) {
    for (const char* detail : {"go", "wait_group", "errgroup", "outside"})
      bench::add(std::string("W10/function_") + detail + "/tbb", items, &peers_group<decltype(peer), together>);
  });
  bench::fiber_peers::each([](auto peer) {
    for (const char* detail : {"go", "wait_group"})
      bench::add(std::string("W10/task_") + detail + "/fiber", items, &peers_group<decltype(peer), together>);
    bench::add("W10/task_one_by_one/fiber", items, &peers_group<decltype(peer), 1>);
  });
  return true;
}();

}  // namespace
