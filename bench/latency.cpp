// L1: four clients ask one server, and each waits for its answer: threads, and tasks. Time: of one request. Counted besides: how long a
// request is on its way from the one who sends it to the one who receives it, while all of them have work: the percentiles.
#include "peers.hpp"

#include <array>

namespace {

namespace rn = bench::rn;
using bench::item;
constexpr item clients = 4;

item now() { return static_cast<item>(bench::clock::now().time_since_epoch().count()); }
/// A request carries its time and its client.
item request_of(item client) { return now() << 2U | client; }
void note(std::vector<item>& latencies, item request) { latencies.push_back(now() - (request >> 2U)); }

/// What the server answers one client through.
template <class Channel>
struct way_back {
  decltype(bench::sender_of(std::declval<Channel&>())) to;
};

template <class Subject>
double threads(item items, std::vector<item>& latencies) {
  using channel = typename Subject::channel;
  channel requests(1024);
  std::array<channel, clients> answers{channel(1), channel(1), channel(1), channel(1)};
  std::vector<std::function<void()>> parts;
  for (item client = 0; client < clients; ++client)
    parts.emplace_back([&, client] {
      auto&& out = bench::sender_of(requests);
      auto&& in = bench::receiver_of(answers[client]);
      for (item i = 0; i < items / clients; ++i) {
        out.send(request_of(client));
        benchmark::DoNotOptimize(in.recv());
      }
    });
  parts.emplace_back([&] {
    auto&& in = bench::receiver_of(requests);
    std::vector<way_back<channel>> back;
    for (channel& answer : answers) back.push_back({bench::sender_of(answer)});
    for (item i = 0; i < items; ++i) {
      const item request = *in.recv();
      note(latencies, request);
      back[request % clients].to.send(item{request});
    }
  });
  return Subject::run(parts);
}

using channel = rn::channel<item>;
rn::task<> ask(channel requests, channel answers, item client, item count) {
  for (item i = 0; i < count; ++i) {
    co_await requests.async_send(request_of(client));
    benchmark::DoNotOptimize(co_await answers.async_recv());
  }
}
rn::task<> serve(channel requests, std::vector<channel> answers, item count, std::vector<item>* latencies) {
  for (item i = 0; i < count; ++i) {
    const item request = (co_await requests.async_recv()).value();
    note(*latencies, request);
    co_await answers[request % clients].async_send(request);
  }
}
template <class Subject>
double tasks(item items, std::vector<item>& latencies) {
  const channel requests(1024);
  std::vector<channel> answers;
  std::vector<rn::task<>> parts;
  for (item client = 0; client < clients; ++client) {
    answers.emplace_back(1);
    parts.push_back(ask(requests, answers.back(), client, items / clients));
  }
  parts.push_back(serve(requests, answers, items, &latencies));
  return Subject::on().run(bench::tasks_together(std::move(parts)));
}

void add(const std::string& name, double (*run)(item, std::vector<item>&)) {
  const auto loop = [run](benchmark::State& state) {
    constexpr item items = 1 << 14;
    std::vector<item> latencies;
    run(items, latencies);  // warms up
    latencies.clear();
    while (state.KeepRunningBatch(items)) state.SetIterationTime(run(items, latencies));
    std::ranges::sort(latencies);
    const auto of_1000 = [&](std::size_t n) { return static_cast<double>(latencies[latencies.size() * n / 1000]); };
    state.counters["p50"] = of_1000(500);
    state.counters["p99"] = of_1000(990);
    state.counters["p999"] = of_1000(999);
  };
  benchmark::RegisterBenchmark(name.c_str(), loop)->UseManualTime();
}
const bool registered = [] {
  const auto add_threads = []<class Subject>(Subject) { add(std::string("L1/4_clients/") + Subject::name, &threads<Subject>); };
  add_threads(bench::runnel_subject());
  bench::each_of_many(add_threads);
  add("L1/4_clients_tasks/runnel", &tasks<bench::tasks_subject>);
  add("L1/4_clients_tasks/runnel_1", &tasks<bench::one_worker_subject>);
  bench::fiber_peers::each([](auto peer) { add("L1/4_clients_tasks/fiber", &threads<decltype(peer)>); });
  return true;
}();

}  // namespace
