// The model's gateway: the names of include/runnel/detail/sync.hpp, each step of which the tester's engine schedules.
//
// It stands in front of the product's in the include path. Every operation comes to a scheduling point, then does what the
// product would do to the memory, with the same order: so ThreadSanitizer sees the product's happens-before edges and no more.
// Every object carries a mark while it lives, so that a use of one that is gone, on the heap or on a stack, is a failure.
#pragma once

#include <runnel/detail/config.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

#include "../../../engine/hooks.hpp"
#include "../../../engine/weak.hpp"

// The product's assertions, evaluated in one step: what they load adds no schedules, unless a scenario asks for it.
#undef RUNNEL_ASSERT
#define RUNNEL_ASSERT(...)                                                             \
  ((::model::assertion_scope(), static_cast<bool>(__VA_ARGS__)) ? static_cast<void>(0) \
                                                                : ::model::assertion_failed(#__VA_ARGS__, __FILE__, __LINE__))

namespace runnel::inline RUNNEL_ABI {

using clock = std::chrono::steady_clock;
using duration = clock::duration;
using time_point = clock::time_point;

namespace detail {

inline constexpr std::memory_order relaxed = std::memory_order_relaxed;
inline constexpr std::memory_order acquire = std::memory_order_acquire;
inline constexpr std::memory_order release = std::memory_order_release;
inline constexpr std::memory_order acq_rel = std::memory_order_acq_rel;
inline constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

inline constexpr std::size_t cache_line = 64;
inline constexpr time_point never = time_point::max();
inline constexpr int pauses_before_park = 0;
inline constexpr unsigned yields_before_park = 0;
inline constexpr unsigned waits_before_parting = 1;
inline constexpr unsigned most_waits_before_parting = 1;
inline constexpr std::size_t lingering_capacity = 2;
inline constexpr std::uint64_t tasks_per_place = 4;
inline constexpr std::uint64_t tasks_kept_together = 1;
inline constexpr unsigned operations_per_look = 1U << 30;  // scenarios about it say what is left
inline constexpr duration longest_turn{0};
inline constexpr std::uint32_t blocks_in_batch = 0;  // the ledger has each block of a task

[[maybe_unused]] inline const char* order_name(std::memory_order order) noexcept {
  switch (order) {
    case std::memory_order_relaxed: return "relaxed";
    case std::memory_order_consume: return "consume";
    case std::memory_order_acquire: return "acquire";
    case std::memory_order_release: return "release";
    case std::memory_order_acq_rel: return "acq_rel";
    case std::memory_order_seq_cst: return "seq_cst";
  }
  return "";
}

/// Says whether the object that it is a part of lives.
class life_mark {
 public:
  constexpr life_mark() noexcept = default;
  constexpr ~life_mark() {
    if (!std::is_constant_evaluated()) *const_cast<volatile std::uint32_t*>(&mark_) = model::dead;
  }
  void check(const void* object) const noexcept {
    if (mark_ != model::alive) [[unlikely]]
      model::touched_dead(object);
  }

 private:
  std::uint32_t mark_ = model::alive;
};

#if defined(RUNNEL_MODEL_WEAK)
#include "../../weak_atomic.hpp"
#else

template <class T>
class atomic {
 public:
  using place = model::place;

  constexpr atomic() noexcept = default;
  explicit constexpr atomic(T value) noexcept : value_(value) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  [[nodiscard]] T load(std::memory_order order, place at = place::current()) const noexcept {
    come("load", at);
    model::has_read(past_);
    return traced(order, "", value_.load(order));
  }
  void store(T value, std::memory_order order, place at = place::current()) noexcept {
    come("store", at);
    model::has_written(past_);
    if (model::tracing()) traced(order, "", value);
    value_.store(value, order);
  }
  T exchange(T value, std::memory_order order, place at = place::current()) noexcept {
    come("exchange", at);
    model::has_written(past_);
    return traced(order, "was", value_.exchange(value, order));
  }
  bool compare_exchange(T& expected, T desired, std::memory_order success, std::memory_order failure,
                        place at = place::current()) noexcept {
    come("compare_exchange", at);
    const bool done = value_.compare_exchange_strong(expected, desired, success, failure);
    done ? model::has_written(past_) : model::has_read(past_);
    traced(done ? success : failure, done ? "done, was" : "fails at", expected);
    return done;
  }
  T fetch_add(T value, std::memory_order order, place at = place::current()) noexcept {
    come("fetch_add", at);
    model::has_written(past_);
    return traced(order, "was", value_.fetch_add(value, order));
  }
  T fetch_sub(T value, std::memory_order order, place at = place::current()) noexcept {
    come("fetch_sub", at);
    model::has_written(past_);
    return traced(order, "was", value_.fetch_sub(value, order));
  }
  T fetch_or(T value, std::memory_order order, place at = place::current()) noexcept {
    come("fetch_or", at);
    model::has_written(past_);
    return traced(order, "was", value_.fetch_or(value, order));
  }

  /// For park and locks: no step of its own.
  [[nodiscard]] T peek() const noexcept {
    life_.check(this);
    model::has_read(past_);
    return value_.load(relaxed);
  }
  /// For park: who sleeps here is woken in the order of arrival.
  void queued() const noexcept { model::has_written(past_); }

 private:
  void come(const char* what, const place& at) const noexcept {
    model::point(this, what, at);
    life_.check(this);
  }
  static T traced(std::memory_order order, const char* outcome, T value) noexcept {
    if (model::tracing()) [[unlikely]] {
      if constexpr (std::is_pointer_v<T>)
        model::trace(order_name(order), *outcome == 0 ? "is" : outcome, reinterpret_cast<std::uintptr_t>(value));
      else
        model::trace(order_name(order), *outcome == 0 ? "is" : outcome, static_cast<std::uint64_t>(value));
    }
    return value;
  }

  std::atomic<T> value_{};
  mutable model::past past_;
  life_mark life_;
};

#endif

inline time_point now(model::place at = model::place::current()) noexcept {
  model::point(nullptr, "now", at);
  return time_point(std::chrono::nanoseconds(model::read_clock()));
}

inline void spin_hint(model::place at = model::place::current()) noexcept { model::give_way("spin_hint", at); }
inline void yield(model::place at = model::place::current()) noexcept { model::give_way("yield", at); }

inline unsigned cpu_count() noexcept { return model::cpus; }
inline int this_core() noexcept { return -1; }

inline void park(const atomic<std::uint32_t>& word, std::uint32_t expected, time_point deadline = never,
                 model::place at = model::place::current()) noexcept {
  model::point(&word, "park", at);
  if (word.peek() != expected) return;
  word.queued();
  model::park_here(&word, deadline == never ? model::no_deadline : deadline.time_since_epoch().count());
}
inline void unpark(const atomic<std::uint32_t>* word, int count = 1, model::place at = model::place::current()) noexcept {
  model::point(word, "unpark", at);
  model::wake_parked(word, count);
}

class backoff {
 public:
  void pause(unsigned /*least*/ = 0, model::place at = model::place::current()) noexcept { model::give_way("backoff", at); }
};

class mutex {
 public:
  constexpr mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  void lock(model::place at = model::place::current()) noexcept {
    life_.check(this);
    model::acquire_lock(state_, at);
    life_.check(this);
    word_.exchange(1, acquire);
  }
  bool try_lock(model::place at = model::place::current()) noexcept {
    life_.check(this);
    if (!model::try_acquire_lock(state_, at)) return false;
    word_.exchange(1, acquire);
    return true;
  }
  void unlock(model::place at = model::place::current()) noexcept {
    life_.check(this);
    // Its word first: once the engine has it free, nothing of it is touched.
    word_.exchange(0, release);
    model::release_lock(state_, at);
  }

 private:
  model::lock_state state_;
  std::atomic<std::uint32_t> word_{0};  // for ThreadSanitizer: as the product's word orders it
  life_mark life_;
};

class flag_lock {
 public:
  static constexpr std::uint32_t first_flag = 2;

  [[nodiscard]] std::uint32_t flags(std::memory_order order, model::place at = model::place::current()) const noexcept {
    return flags_.load(order, at);
  }
  // Two steps, where the product has one.
  void lock(std::uint32_t shown = 0, model::place at = model::place::current()) noexcept {
    lock_.lock(at);
    show(flags_.peek() | shown, at);
  }
  bool try_lock(std::uint32_t shown = 0, model::place at = model::place::current()) noexcept {
    if (!lock_.try_lock(at)) return false;
    show(flags_.peek() | shown, at);
    return true;
  }
  void unlock(std::uint32_t shown, model::place at = model::place::current()) noexcept {
    show(shown, at);
    lock_.unlock(at);
  }

 private:
  void show(std::uint32_t shown, const model::place& at) noexcept {
    if (flags_.peek() != shown) flags_.store(shown, seq_cst, at);
  }

  mutex lock_;
  atomic<std::uint32_t> flags_{0};
};

class scoped_lock {
 public:
  explicit scoped_lock(mutex& m, model::place at = model::place::current()) noexcept : mutex_(&m) { m.lock(at); }
  scoped_lock(const scoped_lock&) = delete;
  scoped_lock& operator=(const scoped_lock&) = delete;
  ~scoped_lock() {
    if (mutex_ != nullptr) mutex_->unlock();
  }
  void unlock(model::place at = model::place::current()) noexcept { std::exchange(mutex_, nullptr)->unlock(at); }
  void lock(mutex& m, model::place at = model::place::current()) noexcept {
    m.lock(at);
    mutex_ = &m;
  }

 private:
  mutex* mutex_;
};

template <class F>
void start_thread(F&& f, model::place at = model::place::current()) {
  using body = std::decay_t<F>;
  void* const memory = model::storage_of_execution(sizeof(body), alignof(body));
  ::new (memory) body(std::forward<F>(f));
  model::start_daemon(
      [](void* self) {
        auto& call = *static_cast<body*>(self);
        call();
        call.~body();
      },
      memory, at);
}

class task_thread;
class task_cache;
class group_scope;
class read_scope;
struct thread_slot {
  std::uint64_t random_state = 0;
  int pauses = pauses_before_park;
  unsigned yields = yields_before_park;
  unsigned waits_on_one_core = 0;
  unsigned parts_after = waits_before_parting;
  unsigned transfers = 0;
  unsigned operations_left = operations_per_look;
  bool runs_timers = false;
  task_thread* tasks = nullptr;
  task_cache* memory = nullptr;
  const group_scope* groups = nullptr;
  const read_scope* reads = nullptr;
};
static_assert(sizeof(thread_slot) <= model::thread_storage_size);
inline thread_slot& this_thread() noexcept { return *static_cast<thread_slot*>(model::thread_storage()); }
template <class Done>
bool yield_until(Done) noexcept {
  return false;
}
inline const void* this_thread_id() noexcept { return model::thread_storage(); }

/// One T for each execution.
template <class T>
T& immortal() {
  static const char key = 0;
  return *static_cast<T*>(model::object_of_execution(&key, sizeof(T), alignof(T), [](void* memory) { ::new (memory) T; }));
}

inline void* immortal_storage(std::size_t size, std::size_t alignment) { return model::storage_of_execution(size, alignment); }

inline std::uint32_t random_below(std::uint32_t bound, model::place at = model::place::current()) noexcept {
  return model::choose_below(bound, at);
}
inline std::uint64_t random(model::place at = model::place::current()) noexcept { return model::choose_below(4, at); }

class random_draws {
 public:
  std::uint32_t below(std::uint32_t bound, model::place at = model::place::current()) noexcept { return random_below(bound, at); }
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
