// W2, W3, W4: one sends, one receives; capacity 1024, capacity 1, rendezvous; threads, and tasks; and 32 at a time through 1024.
#include "peers.hpp"

namespace {

template <class Subject, std::size_t Capacity>
double stream(bench::item items) {
  typename Subject::channel ch(Capacity);
  return Subject::run({[&] {
                         auto&& out = bench::sender_of(ch);
                         for (bench::item i = 0; i < items; ++i) out.send(bench::item{i});
                       },
                       [&] {
                         auto&& in = bench::receiver_of(ch);
                         for (bench::item i = 0; i < items; ++i) benchmark::DoNotOptimize(in.recv());
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
                                auto&& out = bench::sender_of(ch);
                                const std::vector<bench::item> sent(many, 1);
                                for (bench::item i = 0; i < items; i += many) out.send_many(sent);
                              },
                              [&] {
                                auto&& in = bench::receiver_of(ch);
                                std::vector<bench::item> received;
                                received.reserve(many);
                                for (bench::item all = 0; all < items; all += received.size()) {
                                  received.clear();
                                  in.recv_many(received, many);
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
void add_wide(Subject /*subject*/) {
  bench::add_on_threads("W2/spsc_1024", Subject::name, 1 << 18, &stream<Subject, 1024>);
}
template <class Subject>
void add_batches(Subject /*subject*/) {
  bench::add_on_threads("W2/batches_of_32", Subject::name, 1 << 18, &stream_of_batches<Subject>);
}
template <class Subject>
void add_narrow(Subject /*subject*/) {
  bench::add_on_threads("W3/spsc_1", Subject::name, 1 << 13, &stream<Subject, 1>);
}
template <class Subject>
void add_rendezvous(Subject /*subject*/) {
  bench::add_on_threads("W4/rendezvous", Subject::name, 1 << 13, &stream<Subject, 0>);
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
  add_wide(bench::runnel_subject());
  bench::each_on_threads([](auto peer) { add_wide(peer); });
  add_batches(bench::runnel_subject());
  add_batches(bench::naive_subject());
  bench::moodycamel_peers::each([](auto peer) { add_batches(peer); });
  add_narrow(bench::runnel_subject());
  bench::each_bounded([](auto peer) { add_narrow(peer); });
  add_rendezvous(bench::runnel_subject());
  add_rendezvous(bench::naive_subject());
  add_coroutines<bench::tasks_subject>();
  add_coroutines<bench::one_worker_subject>();
  bench::fiber_peers::each([](auto peer) {
    using fiber = decltype(peer);
    add_tasks(fiber::name, &stream<fiber, 1024>, &stream<fiber, 1>, &stream<fiber, 0>);
  });
  return true;
}();

}  // namespace
