// G1: 1 to 64 send to one, capacity 1024. G2: a value is sent to one of 1 to 1024 channels in turn, and a select over all of them receives
// it. G5: 1 to 64 stages between a source and a sink, capacity 1024 (time: of one value through one channel). G3 is in context.cpp, G4
// in million.cpp.
#include "peers.hpp"

#include <deque>

namespace {

namespace rn = bench::rn;
using bench::item;
using channel = rn::channel<item>;
constexpr std::size_t room = 1024;

template <class Subject, item Senders>
double producers(item items) {
  typename Subject::channel ch(room);
  std::vector<std::function<void()>> parts;
  for (item s = 0; s < Senders; ++s)
    parts.emplace_back([&] {
      auto&& out = bench::sender_of(ch);
      for (item i = 0; i < items / Senders; ++i) out.send(item{i});
    });
  parts.emplace_back([&] {
    auto&& in = bench::receiver_of(ch);
    for (item i = 0; i < items; ++i) benchmark::DoNotOptimize(in.recv());
  });
  return Subject::run(parts);
}
rn::task<> send_all(channel out, item items) {
  for (item i = 0; i < items; ++i) co_await out.async_send(i);
}
rn::task<> recv_all(channel in, item items) {
  for (item i = 0; i < items; ++i) benchmark::DoNotOptimize(co_await in.async_recv());
}
template <class Subject, item Senders>
double producing_tasks(item items) {
  const channel ch(room);
  std::vector<rn::task<>> parts;
  for (item s = 0; s < Senders; ++s) parts.push_back(send_all(ch, items / Senders));
  parts.push_back(recv_all(ch, items));
  return Subject::on().run(bench::tasks_together(std::move(parts)));
}

template <item Channels>
double select_over(item items) {
  std::vector<channel> all;
  rn::selector cases;
  for (item i = 0; i < Channels; ++i) {
    all.emplace_back(1);
    cases.add(rn::on_recv(all.back(), [](item value) { benchmark::DoNotOptimize(value); }));
  }
  return bench::run_here([&] {
    for (item i = 0; i < items; ++i) {
      all[i * 7919 % Channels].send(i);
      cases.wait();
    }
  });
}

template <class Subject, item Stages>
double chain(item items) {
  const item values = items / (Stages + 1);
  std::deque<typename Subject::channel> channels;
  for (item i = 0; i <= Stages; ++i) channels.emplace_back(room);
  std::vector<std::function<void()>> parts;
  parts.emplace_back([&] {
    for (item i = 0; i < values; ++i) channels.front().send(item{i});
  });
  for (item stage = 0; stage < Stages; ++stage)
    parts.emplace_back([&, stage] {
      for (item i = 0; i < values; ++i) channels[stage + 1].send(*channels[stage].recv());
    });
  parts.emplace_back([&] {
    for (item i = 0; i < values; ++i) benchmark::DoNotOptimize(channels.back().recv());
  });
  return Subject::run(parts);
}
rn::task<> pass_on(channel in, channel out, item items) {
  for (item i = 0; i < items; ++i) co_await out.async_send((co_await in.async_recv()).value());
}
template <class Subject, item Stages>
double chain_of_tasks(item items) {
  const item values = items / (Stages + 1);
  channel in(room);
  std::vector<rn::task<>> parts;
  parts.push_back(send_all(in, values));
  for (item stage = 0; stage < Stages; ++stage) {
    const channel out(room);
    parts.push_back(pass_on(in, out, values));
    in = out;
  }
  parts.push_back(recv_all(in, values));
  return Subject::on().run(bench::tasks_together(std::move(parts)));
}

template <item N>
void add_up_to_64() {
  const std::string n = std::to_string(N);
  const auto add_threads = [&]<class Subject>(Subject) {
    bench::add("G1/producers_" + n + '/' + Subject::name, 1 << 18, &producers<Subject, N>);
  };
  add_threads(bench::runnel_subject());
  bench::each_of_many(add_threads);
  bench::add("G1/producers_" + n + "_tasks/runnel", 1 << 18, &producing_tasks<bench::tasks_subject, N>);
  bench::add("G5/stages_" + n + "_tasks/runnel", (1 << 14) * (N + 1), &chain_of_tasks<bench::tasks_subject, N>);
  bench::fiber_peers::each([&]<class Subject>(Subject) {
    bench::add("G1/producers_" + n + "_tasks/fiber", 1 << 18, &producers<Subject, N>);
    bench::add("G5/stages_" + n + "_tasks/fiber", (1 << 14) * (N + 1), &chain<Subject, N>);
  });
  if constexpr (N < 64) add_up_to_64<2 * N>();
}
template <item N>
void add_selects() {
  bench::add("G2/select_" + std::to_string(N) + "/runnel", (1 << 16) / (N + 15), &select_over<N>);
  if constexpr (N < 1024) add_selects<4 * N>();
}
const bool registered = (add_up_to_64<1>(), add_selects<1>(), true);

}  // namespace
