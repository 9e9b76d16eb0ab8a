// What the model gateway calls: every step of the product that another thread could see, or that chance or a clock decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace model {

/// Where in the product's source a step stands; the trace prints that line.
using place = std::source_location;

/// In front of a step that other threads can see: another thread may run first. `what` is a literal, for the trace.
void point(const void* object, const char* what, const place& at) noexcept;
/// The thread gives way: it does not run again before another one has made a step.
void give_way(const char* what, const place& at) noexcept;
/// Whether the steps are traced, and one step's outcome, if they are.
[[nodiscard]] bool tracing() noexcept;
void trace(const char* order, const char* outcome, std::uint64_t value) noexcept;

/// While one lives, points are no choices: an assertion is evaluated.
class assertion_scope {
 public:
  assertion_scope() noexcept;
  assertion_scope(const assertion_scope&) = delete;
  assertion_scope& operator=(const assertion_scope&) = delete;
  ~assertion_scope();
};
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

/// How many threads can run at once, as the product sees it: the places of the global runtime.
inline unsigned cpus = 1;

/// Every object of the gateway carries a mark from its construction to its destruction.
inline constexpr std::uint32_t alive = 0x5AFE11FEU;
inline constexpr std::uint32_t dead = 0xDEADDEADU;
/// Fails the execution: the object is not there (any more).
[[noreturn]] void touched_dead(const void* object) noexcept;

/// Blocks the thread on a word until wake_parked, until the time has come, or, if spurious wakes are explored, for no reason.
/// Whoever calls has seen, since its last point, that the word says so.
void park_here(const void* word, std::int64_t deadline) noexcept;
void wake_parked(const void* word, int count) noexcept;
inline constexpr std::int64_t no_deadline = INT64_MAX;

/// What has been done to an object in this execution, and by whom, as a hash: see states.hpp.
struct past {
  std::uint64_t written = 0;
  std::uint64_t read = 0;
  std::uint64_t execution = 0;
};
/// The thread has read the object, or has changed it. Every step that another thread can learn of, or whose outcome hangs on
/// another thread's, says one of them.
void has_read(past& of) noexcept;
void has_written(past& of) noexcept;
/// The thread has allocated memory: at which address hangs on who has before, and the product compares addresses.
void has_allocated() noexcept;
/// An operation that a scenario's history has is called, or has returned: what returned before a call comes before it.
void has_called() noexcept;
void has_returned() noexcept;

/// A lock as the engine knows it. All zero is free; one left locked by an execution that was cut short counts as free.
struct lock_state {
  std::uint64_t execution = 0;
  std::uint32_t owner = 0;  // 1 + the thread's number
  past done;
};
void acquire_lock(lock_state& lock, const place& at) noexcept;
[[nodiscard]] bool try_acquire_lock(lock_state& lock, const place& at) noexcept;
void release_lock(lock_state& lock, const place& at) noexcept;

/// Starts a thread that nobody joins, which runs body(argument).
void start_daemon(void (*body)(void*), void* argument, const place& at) noexcept;

/// Virtual time, in nanoseconds; it moves when nobody can run, and when a choice says that a wait's deadline has come.
[[nodiscard]] std::int64_t read_clock() noexcept;
/// Any number below n: a choice.
[[nodiscard]] std::uint32_t choose_below(std::uint32_t n, const place& at) noexcept;

/// Storage that the running thread has to itself; all zero at its start.
inline constexpr std::size_t thread_storage_size = 128;
[[nodiscard]] void* thread_storage() noexcept;

/// Memory that lasts until the end of the execution, and is no leak; and the one object of a key in it, made at the first call.
[[nodiscard]] void* storage_of_execution(std::size_t size, std::size_t alignment);
[[nodiscard]] void* object_of_execution(const void* key, std::size_t size, std::size_t alignment, void (*make)(void* memory));

/// Tells ThreadSanitizer that what was done before order_before(object) happens before what follows order_after(object).
void order_before(void* object) noexcept;
void order_after(void* object) noexcept;

}  // namespace model
