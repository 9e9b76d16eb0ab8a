// The product's own locks, whose text the build takes out of its header: the tester's other scenarios have the engine's instead.
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

/// A lock with flags as one without.
class flagless {
 public:
  void lock() noexcept { lock_.lock(); }
  void unlock() noexcept { lock_.unlock(0); }

 private:
  runnel::detail::parking::flag_lock lock_;
};
using flag_lock = runnel::detail::parking::flag_lock;
constexpr std::uint32_t flag = flag_lock::first_flag;

/// Who shows a flag by locking and then looks, and who does something and then looks at the flag: one sees the other.
void flag_against_look() {
  flag_lock lock;
  runnel::detail::atomic<int> done{0};
  bool seen = false;
  bool found = false;
  parallel(as("shows",
              [&] {
                lock.lock(flag);
                found = done.load(runnel::detail::seq_cst) != 0;
                lock.unlock(flag);
              }),
           as("does", [&] {
             done.store(1, runnel::detail::seq_cst);
             seen = (lock.flags(runnel::detail::seq_cst) & flag) != 0;
           }));
  require(seen || found, "neither has seen the other");
}
/// What the holder wrote is there for whoever acquires the flag that it left.
void flag_publishes() {
  flag_lock lock;
  int written = 0;
  parallel(as("holder",
              [&] {
                lock.lock();
                written = 1;
                lock.unlock(flag);
              }),
           as("looks", [&] {
             if ((lock.flags(runnel::detail::acquire) & flag) != 0)
               require(written == 1, "the flag is there, and what was written is not");
           }));
  require((lock.flags(runnel::detail::relaxed) & flag) != 0, "the flag is lost");
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
  add_scenario({"flag_lock/two threads", {12}, &two_threads<flagless>});
  add_scenario({"flag_lock/three threads", {12}, &three_threads<flagless>});
  add_scenario({"flag_lock/flag against look", {8}, &flag_against_look});
  add_scenario({"flag_lock/flag publishes", {12}, &flag_publishes});
});

}  // namespace
}  // namespace model
