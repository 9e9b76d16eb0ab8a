// The threads of one execution, who runs, and what is wrong with it. Everything happens on one thread of the system.
#pragma once

#include "fiber.hpp"
#include "hooks.hpp"
#include "strategy.hpp"

#include <array>
#include <string>

namespace model {

inline constexpr unsigned max_threads = 12;

/// What a scenario lets the engine do beyond the ordinary.
struct limits {
  std::uint32_t steps = 4000;         // an execution with more is a livelock
  bool points_in_assertions = false;  // what the product's assertions load is a step like any other
  bool far_timers = true;             // those more than a second away, too, may fire while others could run
  bool spurious_wakes = false;        // a parked thread may wake for no reason: a choice that costs as much as a preemption
};

/// One thread of the product.
struct thread {
  enum class state : std::uint8_t { none, ready, locked_out, parked, joining, finished };

  fiber stack;
  state now = state::none;
  bool daemon = false;
  bool timed_out = false;
  bool entered = false;  // its fiber has left its entry loop's wait
  std::uint32_t locks_held = 0;
  std::uint32_t yields = 0;
  std::uint32_t owed = 0;  // gave way: a mask of threads; see engine.cpp
  std::uint64_t past = 0;  // see states.hpp
  const void* waits_for = nullptr;
  std::int64_t deadline = no_deadline;
  std::uint64_t parked_at = 0;  // its place among the parked, first come first
  const char* name = "";
  void (*body)(void*) = nullptr;
  void* argument = nullptr;

  const char* step = "";  // the last point that it came to
  const void* object = nullptr;
  place at;

  alignas(16) std::array<unsigned char, thread_storage_size> storage{};
};

/// Ends the execution: what is wrong, with the state of all threads. Does not return to the caller's stack.
[[noreturn]] void fail(const std::string& what);
/// The same, unless it holds.
inline void require(bool holds, const char* what) {
  if (!holds) [[unlikely]]
    fail(what);
}

struct outcome {
  bool failed = false;
  bool abandoned = false;  // where it came to a state that was known
  std::string message;     // what is wrong and where everybody stands
  std::uint32_t steps = 0;
  std::uint32_t most_locks_held = 0;
  std::uint64_t end = 0;  // the state at its end, with what the scenario saw
};

/// Runs body(argument) as the main thread of one execution whose choices the strategy makes. Checks for leaks at the end.
const outcome& execute(void (*body)(void*), void* argument, strategy& choices, const limits& limit);

/// From the main thread: runs these bodies side by side and returns when all have ended.
struct part {
  const char* name;
  void (*body)(void*);
  void* argument;
};
void run_parts(const part* parts, unsigned count) noexcept;
/// The same; but returns true, too, once nobody can run any more: the parts that are stuck are those that is_stuck() names.
bool run_parts_or_stick(const part* parts, unsigned count) noexcept;
[[nodiscard]] bool is_stuck(unsigned part_index) noexcept;
/// Waits for the end of the parts that were stuck, which the caller has helped on.
void run_stuck_parts() noexcept;

/// What a scenario begins with, and others explore: while one lives, threads run until they wait, in one order, and no timer goes off.
class undisturbed {
 public:
  undisturbed() noexcept;
  undisturbed(const undisturbed&) = delete;
  undisturbed& operator=(const undisturbed&) = delete;
  ~undisturbed();
  /// From the main thread, while there are no parts: returns when nobody else can run.
  void settle() noexcept;
};

/// The most locks that one thread has held at once so far.
[[nodiscard]] std::uint32_t most_locks_held() noexcept;
/// How many steps have been made: a clock for histories.
[[nodiscard]] std::uint32_t steps_made() noexcept;
/// What the scenario saw, at its end, as a hash.
void note_seen(std::uint64_t what) noexcept;
/// From now on the execution's end does not look for leaks.
void leaks_are_expected() noexcept;

/// For the trace: a name for a range of addresses, until the end of the execution.
void name_object(const void* object, std::size_t size, const char* name) noexcept;
void set_tracing(bool on) noexcept;

}  // namespace model
