// W6, W7: four send and one receives, four send and four receive; capacity 1024; threads, and tasks.
#include "peers.hpp"

namespace {

template <class Subject, bench::item Senders, bench::item Receivers>
double crowd(bench::item items) {
  typename Subject::channel ch(1024);
  std::vector<std::function<void()>> parts;
  for (bench::item s = 0; s < Senders; ++s)
    parts.emplace_back([&] {
      auto&& out = bench::sender_of(ch);
      for (bench::item i = 0; i < items / Senders; ++i) out.send(bench::item{i});
    });
  for (bench::item r = 0; r < Receivers; ++r)
    parts.emplace_back([&] {
      auto&& in = bench::receiver_of(ch);
      for (bench::item i = 0; i < items / Receivers; ++i) benchmark::DoNotOptimize(in.recv());
    });
  return Subject::run(parts);
}

using channel = bench::rn::channel<bench::item>;
bench::rn::task<> send_all(channel ch, bench::item items) {
  for (bench::item i = 0; i < items; ++i) co_await ch.async_send(i);
}
bench::rn::task<> recv_all(channel ch, bench::item items) {
  for (bench::item i = 0; i < items; ++i) benchmark::DoNotOptimize(co_await ch.async_recv());
}
template <class Subject, bench::item Senders, bench::item Receivers>
double crowd_of_tasks(bench::item items) {
  const channel ch(1024);
  std::vector<bench::rn::task<>> parts;
  for (bench::item s = 0; s < Senders; ++s) parts.push_back(send_all(ch, items / Senders));
  for (bench::item r = 0; r < Receivers; ++r) parts.push_back(recv_all(ch, items / Receivers));
  return Subject::on().run(bench::tasks_together(std::move(parts)));
}

constexpr bench::item items = 1 << 17;

template <class Subject>
void add_threads(Subject /*subject*/) {
  bench::add_on_threads("W6/4_to_1", Subject::name, items, &crowd<Subject, 4, 1>);
  bench::add_on_threads("W7/4_to_4", Subject::name, items, &crowd<Subject, 4, 4>);
}
template <class Subject>
void add_coroutines() {
  bench::add(std::string("W6/4_to_1_tasks/") + Subject::name, items, &crowd_of_tasks<Subject, 4, 1>);
  bench::add(std::string("W7/4_to_4_tasks/") + Subject::name, items, &crowd_of_tasks<Subject, 4, 4>);
}
const bool registered = [] {
  add_threads(bench::runnel_subject());
  bench::each_of_many([](auto peer) { add_threads(peer); });
  add_coroutines<bench::tasks_subject>();
  add_coroutines<bench::one_worker_subject>();
  bench::fiber_peers::each([](auto peer) {
    using fiber = decltype(peer);
    bench::add("W6/4_to_1_tasks/fiber", items, &crowd<fiber, 4, 1>);
    bench::add("W7/4_to_4_tasks/fiber", items, &crowd<fiber, 4, 4>);
  });
  return true;
}();

}  // namespace
