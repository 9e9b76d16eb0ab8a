// A function of the user's that runs elsewhere when something happens, and whoever wants to see it ended.
#pragma once

#include <runnel/detail/thread_cache.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// Each launch is one run, on a cached thread. It lives while somebody refers to it or a run is under way.
class background_function {
 public:
  background_function(const background_function&) = delete;
  background_function& operator=(const background_function&) = delete;

  void add_ref() noexcept { refs_.fetch_add(1, relaxed); }  // relaxed: whoever adds a reference has one
  void unref() noexcept {
    // [background_function.refs] acq_rel: whoever destroys it sees all that was done through other references.
    if (refs_.fetch_sub(1, acq_rel) == 1) delete this;
  }

  /// Runs the function once more, elsewhere; here, if there is no thread to be had. Under no lock.
  void launch() noexcept {
    add_ref();
    {
      const scoped_lock lock(mutex_);
      ++runs_;
    }
    try {
      start_task([this]() noexcept { run(); });
    } catch (...) {
      run();
    }
  }
  /// Waits until no run is under way but those that the caller is in.
  void wait() noexcept {
    scoped_lock lock(mutex_);
    while (runs_ > own_runs()) {
      ++waiting_;
      const std::uint32_t seen = ended_.load(relaxed);  // [background_function.ended] relaxed: all else is under the lock
      lock.unlock();
      park(ended_, seen);
      lock.lock(mutex_);
      --waiting_;
    }
  }

 protected:
  background_function() noexcept = default;
  virtual ~background_function() = default;
  virtual void call() = 0;

 private:
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
    {
      scoped_lock lock(mutex_);
      run_record** place = &inside_;
      while (*place != &record) place = &(*place)->next;
      *place = record.next;
      --runs_;
      if (waiting_ != 0) {
        ended_.fetch_add(1, relaxed);  // [background_function.ended] relaxed: as in wait
        lock.unlock();
        unpark(&ended_, std::numeric_limits<int>::max());
      }
    }
    unref();
  }
  /// Under the lock.
  [[nodiscard]] std::uint32_t own_runs() const noexcept {
    std::uint32_t own = 0;
    for (const run_record* r = inside_; r != nullptr; r = r->next) own += r->thread == this_thread_id() ? 1U : 0U;
    return own;
  }

  atomic<std::uint32_t> refs_{1};
  mutex mutex_;
  std::uint32_t runs_ = 0;  // launched and not ended
  std::uint32_t waiting_ = 0;
  run_record* inside_ = nullptr;
  atomic<std::uint32_t> ended_{0};
};

}  // namespace runnel::inline RUNNEL_ABI::detail
