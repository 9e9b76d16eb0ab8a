// W6, W7: four threads send and one receives, four send and four receive; capacity 1024.
#include "subjects.hpp"

namespace {

template <class Subject, bench::item Senders, bench::item Receivers>
double crowd(bench::item items) {
  typename Subject::channel ch(1024);
  std::vector<std::function<void()>> parts;
  for (bench::item s = 0; s < Senders; ++s)
    parts.emplace_back([&] {
      for (bench::item i = 0; i < items / Senders; ++i) ch.send(bench::item{i});
    });
  for (bench::item r = 0; r < Receivers; ++r)
    parts.emplace_back([&] {
      for (bench::item i = 0; i < items / Receivers; ++i) benchmark::DoNotOptimize(ch.recv());
    });
  return bench::run_together(parts);
}

template <class Subject>
void add_all() {
  bench::add(std::string("W6/4_to_1/") + Subject::name, 1 << 17, &crowd<Subject, 4, 1>);
  bench::add(std::string("W7/4_to_4/") + Subject::name, 1 << 17, &crowd<Subject, 4, 4>);
}
const bool registered = (add_all<bench::runnel_subject>(), add_all<bench::naive_subject>(), true);

}  // namespace
