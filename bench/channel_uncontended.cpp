// W1: a send and a receive in one thread, of a channel of capacity 1024; the same 32 at a time.
#include "subjects.hpp"

namespace {

constexpr std::size_t capacity = 1024;

template <class Subject>
double one_at_a_time(bench::item items) {
  typename Subject::channel ch(capacity);
  return bench::run_here([&] {
    for (bench::item i = 0; i < items; ++i) {
      ch.send(bench::item{i});
      benchmark::DoNotOptimize(ch.recv());
    }
  });
}

template <class Subject>
double many_at_a_time(bench::item items) {
  constexpr std::size_t many = 32;
  typename Subject::channel ch(capacity);
  const std::vector<bench::item> in(many, 1);
  std::vector<bench::item> out;
  out.reserve(many);
  return bench::run_here([&] {
    for (bench::item i = 0; i < items; i += many) {
      ch.send_many(in);
      out.clear();
      benchmark::DoNotOptimize(ch.recv_many(out, many));
    }
  });
}

template <class Subject>
void add_all() {
  bench::add(std::string("W1/uncontended_1024/") + Subject::name, 1 << 18, &one_at_a_time<Subject>);
  bench::add(std::string("W1/batches_of_32/") + Subject::name, 1 << 18, &many_at_a_time<Subject>);
}
const bool registered = (add_all<bench::runnel_subject>(), add_all<bench::naive_subject>(), true);

}  // namespace
