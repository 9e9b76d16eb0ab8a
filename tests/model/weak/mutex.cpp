// The product's own lock, whose text the build takes out of its header: the tester's other scenarios have the engine's instead.
#include <runnel/detail/sync.hpp>

#include "../engine/scenario.hpp"

namespace runnel::inline RUNNEL_ABI::detail::product {

inline constexpr int pauses_before_park = 1;

#include "product_mutex.inc"

}  // namespace runnel::inline RUNNEL_ABI::detail::product

namespace model {
namespace {

using runnel::detail::product::mutex;

struct counter {
  mutex lock;
  int count = 0;  // under the lock

  void add(int times) {
    for (int i = 0; i < times; ++i) {
      lock.lock();
      ++count;
      lock.unlock();
    }
  }
  void try_to_add(int& done) {
    if (!lock.try_lock()) return;
    ++count;
    lock.unlock();
    ++done;
  }
};

void two_threads() {
  counter c;
  parallel(as("first", [&] { c.add(2); }), as("second", [&] { c.add(2); }));
  require(c.count == 4, "two had the lock at once");
}
void three_threads() {
  counter c;
  parallel(as("first", [&] { c.add(1); }), as("second", [&] { c.add(1); }), as("third", [&] { c.add(1); }));
  require(c.count == 3, "two had the lock at once");
}
void tries() {
  counter c;
  int done = 0;
  parallel(as("first", [&] { c.add(2); }), as("second", [&] { c.try_to_add(done); }));
  require(c.count == 2 + done, "two had the lock at once");
}

const enroll all([] {
  add_scenario({"mutex/two threads", {12}, &two_threads});
  add_scenario({"mutex/three threads", {12}, &three_threads});
  add_scenario({"mutex/tries", {12}, &tries});
  add_scenario({"mutex/spurious wakes", {12}, &two_threads, {.spurious_wakes = true}});
});

}  // namespace
}  // namespace model
