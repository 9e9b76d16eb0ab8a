// The product's own lock, whose text the build takes out of its header: the tester's other scenarios have the engine's instead.
#include <runnel/detail/sync.hpp>

#include "../engine/scenario.hpp"

// Without its pauses few preemptions lead to a wait; with one its loop is there, too.
namespace runnel::inline RUNNEL_ABI::detail::parking {
inline constexpr int pauses_before_park = 0;
#include "product_mutex.inc"
}  // namespace runnel::inline RUNNEL_ABI::detail::parking
namespace runnel::inline RUNNEL_ABI::detail::spinning {
inline constexpr int pauses_before_park = 1;
#include "product_mutex.inc"
}  // namespace runnel::inline RUNNEL_ABI::detail::spinning

namespace model {
namespace {

template <class Mutex>
struct counter {
  Mutex lock;
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

template <class Mutex>
void two_threads() {
  counter<Mutex> c;
  parallel(as("first", [&] { c.add(2); }), as("second", [&] { c.add(2); }));
  require(c.count == 4, "two had the lock at once");
}
template <class Mutex>
void three_threads() {
  counter<Mutex> c;
  parallel(as("first", [&] { c.add(2); }), as("second", [&] { c.add(1); }), as("third", [&] { c.add(1); }));
  require(c.count == 4, "two had the lock at once");
}
template <class Mutex>
void tries() {
  counter<Mutex> c;
  int done = 0;
  parallel(as("first", [&] { c.add(2); }), as("second", [&] { c.try_to_add(done); }));
  require(c.count == 2 + done, "two had the lock at once");
}

template <class Mutex>
void add(const std::string& how) {
  add_scenario({"mutex/two threads, " + how, {12}, &two_threads<Mutex>});
  add_scenario({"mutex/three threads, " + how, {12}, &three_threads<Mutex>});
  add_scenario({"mutex/tries, " + how, {12}, &tries<Mutex>});
  add_scenario({"mutex/spurious wakes, " + how, {12}, &two_threads<Mutex>, {.spurious_wakes = true}});
}

const enroll all([] {
  add<runnel::detail::parking::mutex>("parking");
  add<runnel::detail::spinning::mutex>("spinning");
});

}  // namespace
}  // namespace model
