// runtime: where tasks run. Functions and coroutines, on as many threads as it has workers, and they may all wait for one another.
#pragma once

#include <runnel/go.hpp>

namespace runnel::inline RUNNEL_ABI {

class runtime;

/// What becomes of the work of a runtime that is shut down: it is waited for to the end.
struct drain_t {
  explicit drain_t() = default;
};
inline constexpr drain_t drain{};
/// What has not begun is dropped, coroutines that wait are destroyed, functions that run are left to end by themselves.
struct abandon_t {
  explicit abandon_t() = default;
};
inline constexpr abandon_t abandon{};
/// Waited for up to a limit, and then abandoned.
struct drain_for_t {
  time_point deadline;
};
template <class Rep, class Period>
[[nodiscard]] drain_for_t drain_for(std::chrono::duration<Rep, Period> d) noexcept {
  return {detail::deadline_after(d)};
}

namespace detail {

struct runtime_access {
  static scheduler& scheduler_of(const runtime& r);
};

}  // namespace detail

/// Runs tasks on a fixed number of workers.
///
/// A task that waits takes no worker: a coroutine costs its frame, a function that waits in an operation of this library, or in a
/// blocking_region, lets another thread take its place. So at most as many tasks run at once as there are workers, and any number of them
/// may wait for one another. Workers take tasks from one another; what a task resumes runs next where it does. Tasks that resume one
/// another in short steps stay on one worker: another is woken for what would wait longer than some 20 us, and whatever waits behind a
/// long step is taken over within milliseconds. A coroutine whose operations never have to wait lets what waits at its worker go first
/// after some 200 us, in one of them; a function that never waits keeps its worker, as a computation does.
/// Most programs need none of their own: go, async, errgroup and wait_group use the global one, or that of the task that calls them.
/// Use this for work that is to be kept apart, or ended as a whole.
/// Thread safety: all members but the destructor. Lifetime: its destructor drains it; it may not be destroyed by one of its tasks.
/// The global runtime is never shut down: the end of main abandons what runs on it. Example: examples/runtime.cpp
class runtime {
 public:
  /// Throws: std::bad_alloc; std::invalid_argument for no workers. Starts no thread: the first task does.
  explicit runtime(unsigned workers = detail::cpu_count()) : scheduler_(&make(workers)) {}
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;
  ~runtime() {
    if (is_global_) return;
    scheduler_->drain(detail::never);
    scheduler_->release_scheduler();
  }

  /// The runtime of the program, with as many workers as cores.
  static runtime& global();

  [[nodiscard]] unsigned workers() const noexcept { return scheduler_->places(); }

  /// Runs f(args...), or a task, here: see runnel::go. Throws: also std::logic_error after shutdown().
  template <class F, class... Args>
    requires detail::task_function<std::decay_t<F>, std::decay_t<Args>...>
  void go(F&& f, Args&&... args) {
    detail::start_go(*scheduler_, std::forward<F>(f), std::forward<Args>(args)...);
  }
  void go(task<> work) { detail::start_root(*scheduler_, work); }
  /// Runs f(args...), or a task, here, and answers a future for its answer: see runnel::async. Throws: as go.
  template <class F, class... Args>
    requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
  [[nodiscard]] auto async(F&& f, Args&&... args) {
    return detail::start_async(*scheduler_, std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class T>
  [[nodiscard]] future<T> async(task<T> work) {
    detail::task_access::refuse_empty(work, "async");
    return detail::start_async(*scheduler_, [](task<T>&& t) { return std::move(t); }, std::move(work));
  }
  /// Runs a task here and waits for its end. Blocks: the thread. Returns: what it answers. Throws: what it threw; as go.
  template <class T>
  T run(task<T> work) {
    return async(std::move(work)).get();
  }

  /// Ends it: nothing can be started any more when this returns. What is started meanwhile by what still runs belongs to it.
  /// Blocks: drain, until all work has ended; abandon, until the steps of coroutines that run right now have, and for no function.
  /// Futures and groups of work that will never run, or never end, get a context_error; so do functions that are in sync_wait, or in a
  /// pipeline's run(). Frames are destroyed by the calling thread, or, while that has to wait in one, as in an errgroup's destructor for a
  /// task, by another: abandon waits for them. A coroutine that waits with its thread (`ch.recv()` instead of `co_await ch.async_recv()`)
  /// cannot be destroyed: then none is, and nobody is told. An awaitable that is none of this library's must bear that who awaits it is
  /// destroyed.
  /// Throws: std::logic_error for the global runtime, and in a task of this one, which would wait for itself.
  void shutdown(drain_t /*how*/) {
    check_shutdown();
    scheduler_->drain(detail::never);
  }
  void shutdown(abandon_t /*how*/) {
    check_shutdown();
    scheduler_->abandon();
  }
  void shutdown(drain_for_t limit) {
    check_shutdown();
    if (!scheduler_->drain(limit.deadline)) scheduler_->abandon();
  }

 private:
  friend struct detail::runtime_access;
  struct global_runtime;
  explicit runtime(detail::scheduler& global) noexcept : scheduler_(&global), is_global_(true) {}

  static detail::scheduler& make(unsigned workers) {
    if (workers == 0) throw std::invalid_argument("runnel::runtime: it needs a worker");
    return detail::scheduler::acquire_scheduler(workers);
  }
  void check_shutdown() const {
    if (is_global_) throw std::logic_error("runnel::runtime::shutdown: the global runtime ends with the program");
    if (detail::scheduler::here_or_null() == scheduler_)
      throw std::logic_error("runnel::runtime::shutdown: called by a task of the runtime, which would wait for itself");
  }

  detail::scheduler* scheduler_;
  bool is_global_ = false;
};

struct runtime::global_runtime {
  runtime instance{detail::scheduler::global()};
};
inline runtime& runtime::global() { return detail::immortal<global_runtime>().instance; }

inline detail::scheduler& detail::runtime_access::scheduler_of(const runtime& r) { return *r.scheduler_; }

/// Says for its scope that the thread waits for something that this library does not know: a file, a C library, another process. Another
/// thread takes its place in the runtime meanwhile. Nothing on a thread that runs no tasks. Not across a co_await.
class [[nodiscard]] blocking_region {
 public:
  blocking_region() noexcept = default;
  blocking_region(const blocking_region&) = delete;
  blocking_region& operator=(const blocking_region&) = delete;

 private:
  detail::blocking_scope scope_;
};

}  // namespace runnel::inline RUNNEL_ABI
