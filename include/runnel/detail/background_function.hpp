// A function of the user's that runs elsewhere when something happens, and whoever wants to see it ended.
#pragma once

#include <runnel/detail/blocking.hpp>
#include <runnel/detail/thread_cache.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// Whether f() can be called, and does something by that: it is no coroutine, which would be dropped before it has begun.
template <class F>
concept plain_function = std::invocable<F> && !requires { std::declval<std::invoke_result_t<F>>().operator co_await(); } &&
                         !requires { std::declval<std::invoke_result_t<F>>().await_ready(); };

/// Each start is one run, on a cached thread. It lives while somebody refers to it or a run is announced or under way.
class background_function {
 public:
  background_function(const background_function&) = delete;
  background_function& operator=(const background_function&) = delete;

  void unref() noexcept {
    if (is_last_ref()) destroy();
  }

  /// Runs the function once more, elsewhere. Throws: std::system_error or std::bad_alloc if there is no thread to be had.
  void start_run() {
    announce();
    try {
      start_task([this]() noexcept { run(); });
    } catch (...) {
      withdraw();
      throw;
    }
  }
  /// Says that a run will come, so that wait() waits for it too: what follows is start_announced() or withdraw().
  void announce() noexcept {
    add_ref();
    const scoped_lock lock(mutex_);
    ++runs_;
  }
  void withdraw() noexcept { end_run(nullptr); }
  /// The run that was announced: elsewhere, or here, if there is no thread to be had. Under no lock.
  void start_announced() noexcept {
    try {
      start_task([this]() noexcept { run(); });
    } catch (...) {
      run();
    }
  }
  /// Waits until no run is announced or under way but those that the caller is in.
  void wait() noexcept {
    scoped_lock lock(mutex_);
    while (runs_ > own_runs()) {
      ++waiting_;
      const std::uint32_t seen = ended_.load(relaxed);  // [background_function.ended] relaxed: all else is under the lock
      lock.unlock();
      {
        const blocking_scope blocking;
        park(ended_, seen);
      }
      lock.lock(mutex_);
      --waiting_;
    }
  }

 protected:
  background_function() noexcept = default;
  virtual ~background_function() = default;
  virtual void call() = 0;

 private:
  void add_ref() noexcept { refs_.fetch_add(1, relaxed); }  // [background_function.refs] relaxed: whoever adds one has one
  /// A run, as its thread knows it.
  struct run_record {
    const void* thread;
    run_record* next;
  };

  void run() noexcept {  // noexcept: what escapes from the function ends the process
    run_record record{this_thread_id(), nullptr};
    {
      const scoped_lock lock(mutex_);
      record.next = std::exchange(inside_, &record);
    }
    call();
    end_run(&record);
  }
  /// The record is null for a run that has not begun.
  void end_run(const run_record* record) noexcept {
    scoped_lock lock(mutex_);
    if (record != nullptr) {
      run_record** place = &inside_;
      while (*place != record) place = &(*place)->next;
      *place = record->next;
    }
    --runs_;
    // Under the lock: whoever waits for the run finds its reference gone, and destroys the function itself.
    const bool last = is_last_ref();
    const auto* const awaited = waiting_ != 0 ? &ended_ : nullptr;
    if (awaited != nullptr) ended_.fetch_add(1, relaxed);  // [background_function.ended] relaxed: as in wait
    // From here on whoever waits may have destroyed the function.
    lock.unlock();
    if (awaited != nullptr) unpark(awaited, std::numeric_limits<int>::max());
    if (last) delete this;
  }
  // [background_function.refs] acq_rel: whoever destroys it sees all that was done through other references.
  bool is_last_ref() noexcept { return refs_.fetch_sub(1, acq_rel) == 1; }
  void destroy() noexcept {
    mutex_.lock();  // a run that has dropped its reference lets go of it first
    mutex_.unlock();
    delete this;
  }
  /// Under the lock.
  [[nodiscard]] std::uint32_t own_runs() const noexcept {
    std::uint32_t own = 0;
    for (const run_record* r = inside_; r != nullptr; r = r->next) own += r->thread == this_thread_id() ? 1U : 0U;
    return own;
  }

  atomic<std::uint32_t> refs_{1};
  mutex mutex_;
  std::uint32_t runs_ = 0;  // announced and not ended
  std::uint32_t waiting_ = 0;
  run_record* inside_ = nullptr;
  atomic<std::uint32_t> ended_{0};
};

/// Drops a reference.
struct background_release {
  void operator()(background_function* f) const noexcept { f->unref(); }
};

}  // namespace runnel::inline RUNNEL_ABI::detail
