// W5: a value goes to and fro over two rendezvous channels (tbb, readerwriter: of capacity 1). Time: of one round trip.
#include "peers.hpp"

namespace {

template <class Subject>
double to_and_fro(bench::item items) {
  typename Subject::channel there(0);
  typename Subject::channel back(0);
  return Subject::run({[&] {
                         for (bench::item i = 0; i < items; ++i) {
                           there.send(bench::item{i});
                           benchmark::DoNotOptimize(back.recv());
                         }
                       },
                       [&] {
                         for (bench::item i = 0; i < items; ++i) back.send(*there.recv());
                       }});
}

using channel = bench::rn::channel<bench::item>;
bench::rn::task<> serve(channel there, channel back, bench::item items) {
  for (bench::item i = 0; i < items; ++i) {
    co_await there.async_send(i);
    benchmark::DoNotOptimize(co_await back.async_recv());
  }
}
bench::rn::task<> return_all(channel there, channel back, bench::item items) {
  for (bench::item i = 0; i < items; ++i) co_await back.async_send((co_await there.async_recv()).value());
}
template <class Subject>
double to_and_fro_of_tasks(bench::item items) {
  const channel there;
  const channel back;
  return Subject::on().run(bench::tasks_together(serve(there, back, items), return_all(there, back, items)));
}

template <class Subject>
void add_threads(Subject /*subject*/) {
  bench::add_on_threads("W5/ping_pong", Subject::name, 1 << 12, &to_and_fro<Subject>);
}
template <class Subject>
void add_coroutines() {
  bench::add(std::string("W5/ping_pong_tasks/") + Subject::name, 1 << 15, &to_and_fro_of_tasks<Subject>);
}
const bool registered = [] {
  add_threads(bench::runnel_subject());
  bench::each_bounded([](auto peer) { add_threads(peer); });
  add_coroutines<bench::tasks_subject>();
  add_coroutines<bench::one_worker_subject>();
  bench::fiber_peers::each([](auto peer) {
    using fiber = decltype(peer);
    bench::add(std::string("W5/ping_pong_tasks/") + fiber::name, 1 << 15, &to_and_fro<fiber>);
  });
  return true;
}();

}  // namespace
