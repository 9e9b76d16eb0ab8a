// W1: a send and a receive in one thread, of a channel of capacity 1024; the same 32 at a time.
#include "peers.hpp"

namespace {

constexpr std::size_t capacity = 1024;

template <class Subject>
double one_at_a_time(bench::item items) {
  typename Subject::channel ch(capacity);
  auto&& out = bench::sender_of(ch);
  auto&& in = bench::receiver_of(ch);
  return bench::run_here([&] {
    for (bench::item i = 0; i < items; ++i) {
      out.send(bench::item{i});
      benchmark::DoNotOptimize(in.recv());
    }
  });
}

template <class Subject>
double many_at_a_time(bench::item items) {
  constexpr std::size_t many = 32;
  typename Subject::channel ch(capacity);
  auto&& out = bench::sender_of(ch);
  auto&& in = bench::receiver_of(ch);
  const std::vector<bench::item> sent(many, 1);
  std::vector<bench::item> received;
  received.reserve(many);
  return bench::run_here([&] {
    for (bench::item i = 0; i < items; i += many) {
      out.send_many(sent);
      received.clear();
      benchmark::DoNotOptimize(in.recv_many(received, many));
    }
  });
}

template <class Subject>
void add_one(Subject /*subject*/) {
  bench::add(std::string("W1/uncontended_1024/") + Subject::name, 1 << 18, &one_at_a_time<Subject>);
}
template <class Subject>
void add_many(Subject /*subject*/) {
  bench::add(std::string("W1/batches_of_32/") + Subject::name, 1 << 18, &many_at_a_time<Subject>);
}
const bool registered = [] {
  add_one(bench::runnel_subject());
  bench::each_on_threads([](auto peer) { add_one(peer); });
  bench::fiber_peers::each([](auto peer) { add_one(peer); });
  add_many(bench::runnel_subject());
  add_many(bench::naive_subject());
  bench::moodycamel_peers::each([](auto peer) { add_many(peer); });
  return true;
}();

}  // namespace
