// The gateway: everything that the scheduler, the clock or chance decides enters the library here and nowhere else.
//
// No other header names std::atomic, a lock, a futex, a thread, a clock, thread_local or a random source. A test build
// puts a header with the same names in its place and so decides every step of every algorithm above.
//
// Rules: every atomic access names its order; no fences; park() may return for no reason; unpark() touches nothing but
// the address that it is given, so the word may be gone by the time it runs.
#pragma once

#include <runnel/detail/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <thread>  // with durations and clocks, as <chrono>, which costs its user a tenth of a second for calendars
#include <utility>

#if defined(__linux__) && !defined(RUNNEL_PORTABLE_PARK)
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <condition_variable>
#include <mutex>
#endif

namespace runnel::inline RUNNEL_ABI {

/// The clock of every deadline in the library, and its types. Durations in other units and times of other clocks convert.
using clock = std::chrono::steady_clock;
using duration = clock::duration;
using time_point = clock::time_point;

namespace detail {

inline constexpr std::memory_order relaxed = std::memory_order_relaxed;
inline constexpr std::memory_order acquire = std::memory_order_acquire;
inline constexpr std::memory_order release = std::memory_order_release;
inline constexpr std::memory_order acq_rel = std::memory_order_acq_rel;
inline constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

/// What is aligned to this shares no cache line with its neighbours.
inline constexpr std::size_t cache_line = 64;

/// std::atomic without implicit conversions and without a default order.
template <class T>
class atomic {
 public:
  constexpr atomic() noexcept = default;
  explicit constexpr atomic(T value) noexcept : value_(value) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  [[nodiscard]] T load(std::memory_order order) const noexcept { return value_.load(order); }
  void store(T value, std::memory_order order) noexcept { value_.store(value, order); }
  T exchange(T value, std::memory_order order) noexcept { return value_.exchange(value, order); }
  bool compare_exchange(T& expected, T desired, std::memory_order success, std::memory_order failure) noexcept {
    return value_.compare_exchange_strong(expected, desired, success, failure);
  }
  T fetch_add(T value, std::memory_order order) noexcept { return value_.fetch_add(value, order); }
  T fetch_sub(T value, std::memory_order order) noexcept { return value_.fetch_sub(value, order); }
  T fetch_or(T value, std::memory_order order) noexcept { return value_.fetch_or(value, order); }

 private:
  std::atomic<T> value_{};
};

/// The time at which a wait without a limit ends.
inline constexpr time_point never = time_point::max();

inline time_point now() noexcept { return clock::now(); }

/// Tells the core that this thread is spinning.
inline void spin_hint() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

inline void yield() noexcept { std::this_thread::yield(); }

/// How long a wait lasts before the thread sleeps: pauses that cost no other thread anything, then yields. Measured: a hand-off
/// that comes within them is a hundred times cheaper than one that has to wake a thread.
inline constexpr int pauses_before_park = 40;
inline constexpr unsigned yields_before_park = 24;
/// From this capacity on a channel's buffer is worth some pauses before its waiters queue, and where a slot is claimed and not filled
/// yet: see lingers (channel_send.hpp) and least_pause (ring.hpp).
inline constexpr std::size_t lingering_capacity = 64;
/// Now and then a thread whose waits end in sleep yields for longer than it takes to wake one. Two that hand values to each other would
/// otherwise go on to sleep only because the other one has to be woken first.
inline constexpr unsigned yields_of_a_long_wait = 96;
inline constexpr unsigned sleeps_per_long_wait = 16;
/// After so many waits in a row that were ended from the thread's own core, one sleeps without yields: whoever is woken is put on a core
/// that is idle, while the system leaves two that yield to each other on one core for long. Where that has not helped, after so many more.
inline constexpr unsigned waits_before_parting = 32;
inline constexpr unsigned most_waits_before_parting = 1U << 14;

/// How many tasks that are ready a place of a runtime keeps to itself; what is more goes to a queue that all share.
inline constexpr std::uint64_t tasks_per_place = 256;
/// How many tasks that were resumed may wait behind short steps of their place before others are asked to take some: see scheduler.hpp, 3.
inline constexpr std::uint64_t tasks_kept_together = 8;

/// After how many operations that need not wait a coroutine looks how long its step has lasted, and after which time it lets others go:
/// the look, and the way through the queue, cost little beside them.
inline constexpr unsigned operations_per_look = 256;
inline constexpr std::chrono::microseconds longest_turn{200};

/// How many blocks of the memory of tasks change hands together; 0: each one goes to the heap, which a sanitizer can then watch.
inline constexpr std::uint32_t blocks_in_batch = RUNNEL_ASAN ? 0 : 64;

/// How many threads can run at once; at least 1.
inline unsigned cpu_count() noexcept {
  static const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : count;
}

#if defined(__linux__) && !defined(RUNNEL_PORTABLE_PARK)

/// The core that this thread runs on; it may be another one at once. Negative: unknown.
inline int this_core() noexcept { return ::sched_getcpu(); }

/// Blocks the thread while `word` holds `expected`, at most until `deadline`. May return at any time: look again.
inline void park(const atomic<std::uint32_t>& word, std::uint32_t expected, time_point deadline = never) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t));
#if RUNNEL_TSAN
  // ThreadSanitizer keeps a signal back until its thread makes a call that it knows, and a futex is none: the handler would
  // wait as long as the thread does. So under it no thread sleeps for long without looking.
  if (const time_point soon = now() + std::chrono::milliseconds(50); soon < deadline) deadline = soon;
#endif
  timespec at{};
  if (deadline != never) {
    const duration given = deadline.time_since_epoch();
    const auto since_epoch = given > duration::zero() ? given : duration::zero();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
    at.tv_sec = static_cast<std::time_t>(seconds.count());
    at.tv_nsec = static_cast<long>(std::chrono::nanoseconds(since_epoch - seconds).count());
  }
  // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which is libstdc++'s and libc++'s steady_clock.
  ::syscall(SYS_futex, static_cast<const void*>(&word), FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
            deadline == never ? nullptr : &at, nullptr, FUTEX_BITSET_MATCH_ANY);
}

/// Wakes up to `count` threads parked on the word that stood at this address; the word itself is not touched.
inline void unpark(const atomic<std::uint32_t>* word, int count = 1) noexcept {
  ::syscall(SYS_futex, static_cast<const void*>(word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count);
}

#else

inline int this_core() noexcept { return -1; }

// Where there is no futex: a fixed table of buckets, chosen by the word's address, each a mutex and a condition variable.
struct parking_bucket {
  std::mutex mutex;
  std::condition_variable changed;
};
inline parking_bucket& parking_bucket_of(const void* word) noexcept {
  static auto* const buckets = new parking_bucket[64];  // never destroyed: threads may park while the program ends
  const auto address = reinterpret_cast<std::uintptr_t>(word);
  return buckets[(address >> 4 ^ address >> 10) % 64];
}
inline void park(const atomic<std::uint32_t>& word, std::uint32_t expected, time_point deadline = never) noexcept {
  parking_bucket& bucket = parking_bucket_of(&word);
  std::unique_lock lock(bucket.mutex);
  if (word.load(acquire) != expected) return;
  if (deadline == never)
    bucket.changed.wait(lock);
  else
    bucket.changed.wait_until(lock, deadline);
}
inline void unpark(const atomic<std::uint32_t>* word, int = 1) noexcept {
  parking_bucket& bucket = parking_bucket_of(word);
  {
    std::lock_guard lock(bucket.mutex);
  }  // whoever saw the old word is waiting by now
  bucket.changed.notify_all();
}

#endif

/// Waits a little longer each time, for another thread to end a step that does not block: pauses, then yields, then sleeps.
class backoff {
 public:
  /// `least`: a round to begin with that is not the first; in one below six there are two to its power pauses.
  void pause(unsigned least = 0) noexcept {
    round_ = round_ < least ? least : round_;
    if (round_ < 6) {
      for (unsigned i = 0; i < 1U << round_; ++i) spin_hint();
    } else if (round_ < 40) {
      yield();
    } else {
      // The other thread has been off its core for long, perhaps because this one outranks it: leave the core to it.
      const atomic<std::uint32_t> nobody{0};
      park(nobody, 0, now() + std::chrono::microseconds(100));
    }
    if (round_ < 40) ++round_;
  }

 private:
  unsigned round_ = 0;
};

/// A lock of one word. Spins for a bounded while, then parks. Not recursive, not fair; nothing of the user runs under it.
class mutex {
 public:
  mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  void lock() noexcept {
    std::uint32_t expected = free;
    // [mutex.word] acquire: sees all that the last holder wrote before its release in unlock.
    if (!word_.compare_exchange(expected, held, acquire, relaxed)) lock_slow();
  }
  bool try_lock() noexcept {
    std::uint32_t expected = free;
    return word_.compare_exchange(expected, held, acquire,
                                  relaxed);  // [mutex.word] as in lock; relaxed: nothing is read on failure
  }
  void unlock() noexcept {
    // [mutex.word] release: publishes what was done under the lock to the next holder's acquire.
    if (word_.exchange(free, release) == contended) unpark(&word_, 1);
  }

 private:
  enum : std::uint32_t { free, held, contended };

  RUNNEL_NOINLINE void lock_slow() noexcept {
    for (int i = 0; i < pauses_before_park; ++i) {
      std::uint32_t seen = word_.load(relaxed);  // relaxed: only the exchange below acquires
      if (seen == contended) break;
      if (seen == free && word_.compare_exchange(seen, held, acquire, relaxed)) return;
      spin_hint();
    }
    // [mutex.word] acquire, as in lock. From here on the word says `contended`, so that unlock wakes the next one.
    while (word_.exchange(contended, acquire) != free) park(word_, contended);
  }

  atomic<std::uint32_t> word_{free};
};

/// A lock of one word that shows flags to everybody. Whoever holds it changes them: to lock and to show a flag is one step, and to unlock
/// and to take flags back. For steps so short that nobody sleeps who waits for it: so the unlock is a store. Not recursive, not fair.
class flag_lock {
 public:
  flag_lock() noexcept = default;
  flag_lock(const flag_lock&) = delete;
  flag_lock& operator=(const flag_lock&) = delete;

  static constexpr std::uint32_t first_flag = 2;

  [[nodiscard]] std::uint32_t flags(std::memory_order order) const noexcept { return word_.load(order) & ~locked; }

  /// Locks it. These flags are shown from then on, besides those that are.
  void lock(std::uint32_t shown = 0) noexcept {
    if (!try_lock(shown)) lock_slow(shown);
  }
  bool try_lock(std::uint32_t shown = 0) noexcept {
    std::uint32_t seen = word_.load(relaxed);  // relaxed: a guess, which the exchange checks
    // [flag_lock.word] seq_cst: acquires what the last holder wrote; and what is shown is so before anything else is looked at.
    return (seen & locked) == 0 && word_.compare_exchange(seen, seen | shown | locked, seq_cst, relaxed);
  }
  /// Shows these flags alone from then on. New ones among them are seen by whoever locks it later, or acquires them.
  void unlock(std::uint32_t shown) noexcept { word_.store(shown, release); }  // [flag_lock.word] release: with lock

 private:
  static constexpr std::uint32_t locked = 1;

  RUNNEL_NOINLINE void lock_slow(std::uint32_t shown) noexcept {
    for (backoff wait; !try_lock(shown);) wait.pause();
  }

  atomic<std::uint32_t> word_{0};
};

/// Holds a mutex for a scope, or until unlock().
class scoped_lock {
 public:
  explicit scoped_lock(mutex& m) noexcept : mutex_(&m) { m.lock(); }
  scoped_lock(const scoped_lock&) = delete;
  scoped_lock& operator=(const scoped_lock&) = delete;
  ~scoped_lock() {
    if (mutex_ != nullptr) mutex_->unlock();
  }
  void unlock() noexcept { std::exchange(mutex_, nullptr)->unlock(); }
  void lock(mutex& m) noexcept {
    m.lock();
    mutex_ = &m;
  }

 private:
  mutex* mutex_;
};

/// Runs f() on a new thread that nobody joins. Throws std::system_error if there is no thread to be had; f has then not run.
template <class F>
void start_thread(F&& f) {
  std::thread(std::forward<F>(f)).detach();
}

class task_thread;
class task_cache;
class group_scope;
class read_scope;

/// What each thread keeps for itself. Trivially destructible, so that it can be used while the thread ends.
struct thread_slot {
  std::uint64_t random_state = 0;
  int pauses = pauses_before_park;       // before this thread's next wait yields: none helps if the other one needs its core
  unsigned yields = yields_before_park;  // how many yields this thread's next wait may spend before it sleeps: see yield_until
  unsigned sleeps = 0;                   // how many of its waits yields did not end
  unsigned waits_on_one_core = 0;        // how many of its last waits were ended from its own core
  unsigned parts_after = waits_before_parting;     // how many of them it takes before one sleeps at once
  unsigned transfers = 0;                          // between coroutines, without going through a queue: see task_promise.hpp
  unsigned operations_left = operations_per_look;  // of coroutines, before one looks whether it lets others go first: see await.hpp
  bool runs_timers = false;                        // the timer thread: no code of the user's runs there
  task_thread* tasks = nullptr;                    // while it runs tasks of a runtime: see blocking.hpp
  task_cache* memory = nullptr;                    // of a worker: see task_memory.hpp
  const group_scope* groups = nullptr;             // whose functions it is in: see group_scope.hpp
  const read_scope* reads = nullptr;               // what it reads, in functions: see rw_core.hpp
};
inline thread_slot& this_thread() noexcept {
  static thread_local constinit thread_slot slot;
  return slot;
}

/// Yields until `done` says true, a bounded number of times. Returns: whether it has. Where that did not help, this thread yields fewer
/// times when it waits again, until a long wait has shown that it helps.
template <class Done>
bool yield_until(Done done) noexcept {
  thread_slot& self = this_thread();
  for (unsigned left = self.sleeps % sleeps_per_long_wait == sleeps_per_long_wait - 1 ? yields_of_a_long_wait : self.yields;
       left > 0; --left) {
    yield();
    if (!done()) continue;
    self.sleeps = 0;
    if (self.yields < yields_before_park) ++self.yields;
    return true;
  }
  ++self.sleeps;
  if (self.yields > 1) self.yields /= 2;
  return false;
}

/// The one T of the program, made at the first use and never destroyed: threads may use it while the program ends.
template <class T>
T& immortal() {
  static auto* const instance = new T;
  return *instance;
}

/// Memory that is never given back, for what belongs to an immortal object. Throws: std::bad_alloc.
inline void* immortal_storage(std::size_t size, std::size_t alignment) { return ::operator new(size, std::align_val_t(alignment)); }

/// A number that no other running thread has.
inline const void* this_thread_id() noexcept { return &this_thread(); }

/// The next of this thread's pseudo-random numbers (SplitMix64: Steele, Lea, Flood 2014).
inline std::uint64_t random() noexcept {
  std::uint64_t& state = this_thread().random_state;
  if (state == 0) {
    static atomic<std::uint64_t> seeds{static_cast<std::uint64_t>(now().time_since_epoch().count())};
    state = seeds.fetch_add(0xD1342543DE82EF95U, relaxed) | 1U;  // relaxed: a number, nothing else is published
  }
  state += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}
/// Uniform in [0, bound), for a bound below 2^32 (Lemire's multiplication; its bias is below 2^-32).
inline std::uint32_t random_below(std::uint32_t bound) noexcept {
  return static_cast<std::uint32_t>(((random() >> 32U) * bound) >> 32U);
}

/// Small random numbers, several from each of the thread's.
class random_draws {
 public:
  /// Uniform in [0, bound); for bounds up to 256 its bias is below 1 in 256.
  std::uint32_t below(std::uint32_t bound) noexcept {
    if (bound > 256) return random_below(bound);
    if (left_ == 0) {
      pool_ = random();
      left_ = 4;
    }
    --left_;
    const auto drawn = static_cast<std::uint32_t>(pool_ & 0xFFFFU);
    pool_ >>= 16U;
    return (drawn * bound) >> 16U;
  }

 private:
  std::uint64_t pool_ = 0;
  unsigned left_ = 0;
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
