// W8: a select over four channels that four threads, or tasks, feed. W9: a select with one of four ready, with none ready and a default,
// and one that times out. A channel of one's own making has no select: it can be asked in turn, which serves where nobody
// waits (W9, though not at one instant), and not where somebody does (W8, the timeout).
#include <runnel/select.hpp>

#include <array>

#include "subjects.hpp"

namespace {

namespace rn = runnel;
constexpr std::size_t capacity = 1024;

template <class Channel>
struct four {
  std::array<Channel, 4> of{Channel(capacity), Channel(capacity), Channel(capacity), Channel(capacity)};
};

/// Fills one channel after the other, untimed, and lets `take` empty it.
template <class Channel, class Take>
double one_ready(bench::item items, Take take) {
  four<Channel> channels;
  double seconds = 0;
  for (bench::item done = 0; done < items; done += capacity) {
    Channel& full = channels.of[done / capacity % 4];
    for (bench::item i = 0; i < capacity; ++i) full.send(bench::item{i});
    seconds += bench::run_here([&] {
      for (bench::item i = 0; i < capacity; ++i) take(channels.of);
    });
  }
  return seconds;
}

constexpr auto keep = [](bench::item value) { benchmark::DoNotOptimize(value); };

double runnel_one_ready(bench::item items) {
  return one_ready<rn::channel<bench::item>>(items, [](auto& ch) {
    rn::select(rn::on_recv(ch[0], keep), rn::on_recv(ch[1], keep), rn::on_recv(ch[2], keep), rn::on_recv(ch[3], keep));
  });
}
double naive_one_ready(bench::item items) {
  return one_ready<naive::channel<bench::item>>(items, [start = std::size_t{0}](auto& ch) mutable {
    for (std::size_t i = ++start;; ++i)
      if (const auto value = ch[i % 4].try_recv()) return keep(*value);
  });
}

double runnel_default(bench::item items) {
  const four<rn::channel<bench::item>> channels;
  const auto& ch = channels.of;
  return bench::run_here([&] {
    for (bench::item i = 0; i < items; ++i)
      benchmark::DoNotOptimize(rn::select(rn::on_recv(ch[0], keep), rn::on_recv(ch[1], keep), rn::on_recv(ch[2], keep),
                                          rn::on_recv(ch[3], keep), rn::otherwise()));
  });
}
double naive_default(bench::item items) {
  four<naive::channel<bench::item>> channels;
  return bench::run_here([&] {
    for (bench::item i = 0; i < items; ++i)
      for (auto& ch : channels.of) benchmark::DoNotOptimize(ch.try_recv());
  });
}

double runnel_timeout(bench::item items) {
  const four<rn::channel<bench::item>> channels;
  const auto& ch = channels.of;
  return bench::run_here([&] {
    for (bench::item i = 0; i < items; ++i)
      benchmark::DoNotOptimize(rn::select(rn::on_recv(ch[0], keep), rn::on_recv(ch[1], keep), rn::on_recv(ch[2], keep),
                                          rn::on_recv(ch[3], keep), rn::on_timeout(std::chrono::nanoseconds(1))));
  });
}

double runnel_fed_by_four(bench::item items) {
  const four<rn::channel<bench::item>> channels;
  const auto& ch = channels.of;
  std::vector<std::function<void()>> parts;
  for (std::size_t s = 0; s < 4; ++s)
    parts.emplace_back([&, s] {
      for (bench::item i = 0; i < items / 4; ++i) ch[s].send(bench::item{i});
    });
  parts.emplace_back([&] {
    for (bench::item i = 0; i < items; ++i)
      rn::select(rn::on_recv(ch[0], keep), rn::on_recv(ch[1], keep), rn::on_recv(ch[2], keep), rn::on_recv(ch[3], keep));
  });
  return bench::run_together(parts);
}

rn::task<> feed(rn::channel<bench::item> ch, bench::item items) {
  for (bench::item i = 0; i < items; ++i) co_await ch.async_send(i);
}
rn::task<> select_all(std::array<rn::channel<bench::item>, 4> ch, bench::item items) {
  for (bench::item i = 0; i < items; ++i)
    co_await rn::async_select(rn::on_recv(ch[0], keep), rn::on_recv(ch[1], keep), rn::on_recv(ch[2], keep),
                              rn::on_recv(ch[3], keep));
}
template <class Subject>
double tasks_fed_by_four(bench::item items) {
  const four<rn::channel<bench::item>> channels;
  std::vector<rn::task<>> parts;
  for (const auto& ch : channels.of) parts.push_back(feed(ch, items / 4));
  parts.push_back(select_all(channels.of, items));
  return Subject::on().run(bench::tasks_together(std::move(parts)));
}

const bool registered = [] {
  bench::add_on_threads("W8/select_fed_by_4", "runnel", 1 << 17, &runnel_fed_by_four);
  bench::add("W8/select_fed_by_4_tasks/runnel", 1 << 17, &tasks_fed_by_four<bench::tasks_subject>);
  bench::add("W8/select_fed_by_4_tasks/runnel_1", 1 << 17, &tasks_fed_by_four<bench::one_worker_subject>);
  bench::add("W9/select_1_of_4_ready/runnel", 1 << 17, &runnel_one_ready);
  bench::add("W9/select_1_of_4_ready/naive", 1 << 17, &naive_one_ready);
  bench::add("W9/select_default/runnel", 1 << 17, &runnel_default);
  bench::add("W9/select_default/naive", 1 << 17, &naive_default);
  bench::add("W9/select_timeout/runnel", 1 << 15, &runnel_timeout);
  return true;
}();

}  // namespace
