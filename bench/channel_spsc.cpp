// W2, W3, W4: one sends, one receives; capacity 1024, capacity 1, rendezvous; threads, and tasks; and 32 at a time through 1024.
#include "peers.hpp"

namespace {

template <class Subject, std::size_t Capacity>
double stream(bench::item items) {
  typename Subject::channel ch(Capacity);
  return Subject::run({[&] {
                         for (bench::item i = 0; i < items; ++i) ch.send(bench::item{i});
                       },
                       [&] {
                         for (bench::item i = 0; i < items; ++i) benchmark::DoNotOptimize(ch.recv());
                       }});
}

using channel = bench::rn::channel<bench::item>;
bench::rn::task<> send_all(channel ch, bench::item items) {
  for (bench::item i = 0; i < items; ++i) co_await ch.async_send(i);
}
bench::rn::task<> recv_all(channel ch, bench::item items) {
  for (bench::item i = 0; i < items; ++i) benchmark::DoNotOptimize(co_await ch.async_recv());
}
template <class Subject, std::size_t Capacity>
double stream_of_tasks(bench::item items) {
  const channel ch(Capacity);
  return Subject::on().run(bench::tasks_together(send_all(ch, items), recv_all(ch, items)));
}

template <class Subject>
double stream_of_batches(bench::item items) {
  constexpr std::size_t many = 32;
  typename Subject::channel ch(1024);
  return bench::run_together({[&] {
                                const std::vector<bench::item> in(many, 1);
                                for (bench::item i = 0; i < items; i += many) ch.send_many(in);
                              },
                              [&] {
                                std::vector<bench::item> out;
                                out.reserve(many);
                                for (bench::item received = 0; received < items; received += out.size()) {
                                  out.clear();
                                  ch.recv_many(out, many);
                                }
                              }});
}

/// 32 at a time; each call of async_send_many makes a task.
bench::rn::task<> send_batches(channel ch, bench::item items) {
  const std::vector<bench::item> in(32, 1);
  for (bench::item i = 0; i < items; i += in.size()) co_await ch.async_send_many(in);
}
bench::rn::task<> recv_batches(channel ch, bench::item items) {
  std::vector<bench::item> out;
  for (bench::item received = 0; received < items; received += out.size()) {
    out.clear();
    co_await ch.async_recv_many(out, 32);
  }
}
template <class Subject>
double stream_of_batches_of_tasks(bench::item items) {
  const channel ch(1024);
  return Subject::on().run(bench::tasks_together(send_batches(ch, items), recv_batches(ch, items)));
}

template <class Subject>
void add_threads() {
  bench::add(std::string("W2/spsc_1024/") + Subject::name, 1 << 18, &stream<Subject, 1024>);
  bench::add(std::string("W3/spsc_1/") + Subject::name, 1 << 14, &stream<Subject, 1>);
}
template <class Subject>
void add_more_threads() {
  bench::add(std::string("W2/batches_of_32/") + Subject::name, 1 << 18, &stream_of_batches<Subject>);
  bench::add(std::string("W4/rendezvous/") + Subject::name, 1 << 14, &stream<Subject, 0>);
}
void add_tasks(const std::string& name, double (*wide)(bench::item), double (*narrow)(bench::item), double (*none)(bench::item)) {
  bench::add("W2/spsc_1024_tasks/" + name, 1 << 18, wide);
  bench::add("W3/spsc_1_tasks/" + name, 1 << 16, narrow);
  bench::add("W4/rendezvous_tasks/" + name, 1 << 16, none);
}
template <class Subject>
void add_coroutines() {
  add_tasks(Subject::name, &stream_of_tasks<Subject, 1024>, &stream_of_tasks<Subject, 1>, &stream_of_tasks<Subject, 0>);
  bench::add(std::string("W2/batches_of_32_tasks/") + Subject::name, 1 << 18, &stream_of_batches_of_tasks<Subject>);
}
const bool registered = [] {
  add_threads<bench::runnel_subject>();
  add_threads<bench::naive_subject>();
  bench::tbb_peers::each([](auto peer) { add_threads<decltype(peer)>(); });
  add_more_threads<bench::runnel_subject>();
  add_more_threads<bench::naive_subject>();
  add_coroutines<bench::tasks_subject>();
  add_coroutines<bench::one_worker_subject>();
  bench::fiber_peers::each([](auto peer) {
    using fiber = decltype(peer);
    add_tasks(fiber::name, &stream<fiber, 1024>, &stream<fiber, 1>, &stream<fiber, 0>);
  });
  return true;
}();

}  // namespace
