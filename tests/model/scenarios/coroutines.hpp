// Coroutines in scenarios: a coroutine type of no library, and a place for one of them, which is a part of the scenario; an event that no
// runtime knows of.
#pragma once

#include <runnel/detail/resume.hpp>

#include <coroutine>
#include <exception>
#include <utility>

#include "../engine/scenario.hpp"

namespace model {

namespace rn = runnel;

/// Where one coroutine goes on: on the thread that calls run_one.
class thread_place final : public rn::resume_place {
 public:
  thread_place() noexcept = default;

  void post(rn::work_item& item) noexcept override {
    item_ = &item;
    // acq_rel: the thread sees the item, and this one that the thread is through with the last
    require(word_.exchange(1, rn::detail::acq_rel) == 0, "a coroutine is posted twice");
    rn::detail::unpark(&word_, 1);
  }
  bool retract(rn::work_item& item) noexcept override {
    if (word_.load(rn::detail::acquire) == 0 || item_ != &item) return false;
    word_.store(0, rn::detail::release);
    return true;
  }
  /// Waits for an item and runs it.
  void run_one() noexcept {
    while (word_.load(rn::detail::acquire) == 0) rn::detail::park(word_, 0);
    rn::work_item* const item = item_;
    word_.store(0, rn::detail::release);
    item->run();
  }

 private:
  rn::detail::atomic<std::uint32_t> word_{0};
  rn::work_item* item_ = nullptr;
};

/// Begins when it is told to, goes on at the place that it was given then, and is destroyed by its owner.
class placed {
 public:
  struct promise_type {
    rn::resume_place* place = nullptr;

    placed get_return_object() noexcept { return placed(std::coroutine_handle<promise_type>::from_promise(*this)); }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    [[nodiscard]] rn::resume_place* resume_place() const noexcept { return place; }
  };

  placed(placed&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  placed& operator=(placed&&) = delete;
  ~placed() { destroy(); }

  void start(rn::resume_place& at) {
    frame_.promise().place = &at;
    frame_.resume();
  }
  void destroy() {
    if (frame_ != nullptr) std::exchange(frame_, nullptr).destroy();
  }
  /// On the thread of its place.
  [[nodiscard]] bool done() const { return frame_.done(); }

 private:
  explicit placed(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

/// Runs a coroutine to its end on this thread.
inline void run_here(placed coroutine) {
  thread_place here;
  coroutine.start(here);
  while (!coroutine.done()) here.run_one();
}

/// What a step waits for without the runtime's knowledge, so that it keeps its place.
class unknown_event {
 public:
  void set() noexcept {
    word_.store(1, rn::detail::release);
    rn::detail::unpark(&word_, 1);
  }
  void wait() const noexcept {
    while (word_.load(rn::detail::acquire) == 0) rn::detail::park(word_, 0);
  }

 private:
  rn::detail::atomic<std::uint32_t> word_{0};
};

}  // namespace model
