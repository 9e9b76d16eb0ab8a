// W11, G3: contexts. One is made and canceled below a parent, looked at, canceled with its children (time: of one child, without
// what makes it), made with a timeout and canceled; an error group runs a hundred functions at a time that look at its context (time: of
// one). What C++ has is std::stop_source, with a callback for each child.
#include "peers.hpp"

#include <deque>
#include <optional>
#include <stop_token>

namespace {

namespace rn = bench::rn;
using bench::item;

template <class F>
double times(item items, F f) {
  return bench::run_here([&] {
    for (item i = 0; i < items; ++i) f();
  });
}

double create_cancel(item items) {
  const rn::scoped_context parent = rn::with_cancel(rn::context::background());
  return times(items, [&] { rn::with_cancel(parent).cancel(); });
}
double timeout_create_cancel(item items) {
  const rn::scoped_context parent = rn::with_cancel(rn::context::background());
  return times(items, [&] { rn::with_timeout(parent, std::chrono::hours(1)).cancel(); });
}
double look(item items) {
  const rn::scoped_context scope = rn::with_cancel(rn::context::background());
  const rn::context ctx = scope;
  return times(items, [&] { benchmark::DoNotOptimize(ctx.err()); });
}
double cancel_children(item children) {
  rn::scoped_context parent = rn::with_cancel(rn::context::background());
  std::vector<rn::scoped_context> all;
  all.reserve(children);
  for (item i = 0; i < children; ++i) all.push_back(rn::with_cancel(parent));
  return bench::run_here([&] { parent.cancel(); });
}

/// A stop_source that stops when its parent does.
class child_source {
 public:
  explicit child_source(const std::stop_token& parent) : link_(parent, stop{&source_}) {}
  void request_stop() { source_.request_stop(); }

 private:
  struct stop {
    std::stop_source* source;
    void operator()() const { source->request_stop(); }
  };
  std::stop_source source_;
  std::stop_callback<stop> link_;
};
double naive_create_cancel(item items) {
  const std::stop_source parent;
  return times(items, [&] { child_source(parent.get_token()).request_stop(); });
}
double naive_look(item items) {
  const std::stop_source source;
  const std::stop_token token = source.get_token();
  return times(items, [&] { benchmark::DoNotOptimize(token.stop_requested()); });
}
double naive_cancel_children(item children) {
  std::stop_source parent;
  std::deque<child_source> all;  // none of them moves
  for (item i = 0; i < children; ++i) all.emplace_back(parent.get_token());
  return bench::run_here([&] { parent.request_stop(); });
}

constexpr item together = 100;
rn::task<double> groups(item items) {
  const rn::scoped_context parent = rn::with_cancel(rn::context::background());
  const bench::clock::time_point begin = bench::clock::now();
  for (item done = 0; done < items; done += together) {
    rn::errgroup group(parent);
    for (item i = 0; i < together; ++i) group.go([](const rn::context& ctx) { benchmark::DoNotOptimize(ctx.err()); });
    co_await group.async_wait();
  }
  co_return std::chrono::duration<double>(bench::clock::now() - begin).count();
}
template <class Subject>
double in_groups(item items) {
  return Subject::on().run(groups(items));
}
#if RUNNEL_BENCH_TBB
double tbb_groups(item items) {
  return bench::run_here([&] {
    for (item done = 0; done < items; done += together) {
      tbb::task_group_context ctx;
      tbb::task_group group(ctx);
      for (item i = 0; i < together; ++i) group.run([&ctx] { benchmark::DoNotOptimize(ctx.is_group_execution_cancelled()); });
      group.wait();
    }
  });
}
#endif

const bool registered = [] {
  bench::add("W11/create_cancel/runnel", 1 << 14, &create_cancel);
  bench::add("W11/create_cancel/naive", 1 << 14, &naive_create_cancel);
  bench::add("W11/err/runnel", 1 << 18, &look);
  bench::add("W11/err/naive", 1 << 18, &naive_look);
  bench::add("W11/cancel_10000/runnel", 10'000, &cancel_children);
  bench::add("W11/cancel_10000/naive", 10'000, &naive_cancel_children);
  bench::add("W11/timeout_create_cancel/runnel", 1 << 14, &timeout_create_cancel);
  bench::add("W11/errgroup/runnel", 100 * together, &in_groups<bench::tasks_subject>);
  bench::add("W11/errgroup/runnel_1", 100 * together, &in_groups<bench::one_worker_subject>);
#if RUNNEL_BENCH_TBB
  bench::add("W11/errgroup/tbb", 100 * together, &tbb_groups);
#endif
  for (item children = 10; children <= 1'000'000; children *= 10) {
    const std::string name = "G3/cancel_" + std::to_string(children);
    bench::add(name + "/runnel", children, &cancel_children);
    bench::add(name + "/naive", children, &naive_cancel_children);
  }
  return true;
}();

}  // namespace
