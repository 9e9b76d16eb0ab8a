// W2, W3, W4: one thread sends, one receives; capacity 1024, capacity 1, rendezvous; and 32 at a time through 1024.
#include "subjects.hpp"

namespace {

template <class Subject, std::size_t Capacity>
double stream(bench::item items) {
  typename Subject::channel ch(Capacity);
  return bench::run_together({[&] {
                                for (bench::item i = 0; i < items; ++i) ch.send(bench::item{i});
                              },
                              [&] {
                                for (bench::item i = 0; i < items; ++i) benchmark::DoNotOptimize(ch.recv());
                              }});
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

template <class Subject>
void add_all() {
  bench::add(std::string("W2/spsc_1024/") + Subject::name, 1 << 18, &stream<Subject, 1024>);
  bench::add(std::string("W2/batches_of_32/") + Subject::name, 1 << 18, &stream_of_batches<Subject>);
  bench::add(std::string("W3/spsc_1/") + Subject::name, 1 << 14, &stream<Subject, 1>);
  bench::add(std::string("W4/rendezvous/") + Subject::name, 1 << 14, &stream<Subject, 0>);
}
const bool registered = (add_all<bench::runnel_subject>(), add_all<bench::naive_subject>(), true);

}  // namespace
