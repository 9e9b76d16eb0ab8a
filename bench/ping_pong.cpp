// W5: a value goes to and fro between two threads over two rendezvous channels. Time: of one round trip.
#include "subjects.hpp"

namespace {

template <class Subject>
double to_and_fro(bench::item items) {
  typename Subject::channel there(0);
  typename Subject::channel back(0);
  return bench::run_together({[&] {
                                for (bench::item i = 0; i < items; ++i) {
                                  there.send(bench::item{i});
                                  benchmark::DoNotOptimize(back.recv());
                                }
                              },
                              [&] {
                                for (bench::item i = 0; i < items; ++i) back.send(*there.recv());
                              }});
}

template <class Subject>
void add_all() {
  bench::add(std::string("W5/ping_pong/") + Subject::name, 1 << 13, &to_and_fro<Subject>);
}
const bool registered = (add_all<bench::runnel_subject>(), add_all<bench::naive_subject>(), true);

}  // namespace
