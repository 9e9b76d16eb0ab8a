// A function that waits for the end of a context.
#pragma once

#include <runnel/detail/background_function.hpp>
#include <runnel/detail/context_core.hpp>

#include <functional>

namespace runnel::inline RUNNEL_ABI::detail {

/// Referred to by its handle, and by the run, which is announced when it is registered. Holds its context for stop().
class after_func_state : public background_function, private waiter {
 public:
  /// Registers it, or starts it if the context is done. Once. Throws: std::system_error if there is no thread for the deadline.
  void start() {
    if (scope() == nullptr) return;
    scope()->arm_deadline();
    announce();
    if (scope()->reason() != status::ok || !scope()->try_join(node_)) resume();
  }
  /// True: the function will never run, and is destroyed. False: it has been started, or is about to be, or was stopped before.
  bool stop() noexcept {
    if (scope() == nullptr) {
      if (!never_stopped_.exchange(false, relaxed)) return false;  // relaxed: one caller is the first, no more
      drop();
      return true;
    }
    if (!scope()->leave(node_)) return false;
    drop();
    withdraw();
    return true;
  }

 protected:
  explicit after_func_state(context ctx) noexcept : waiter(&on_end, false), ctx_(std::move(ctx)) { node_.owner = this; }
  /// Destroys the function.
  virtual void drop() noexcept = 0;

 private:
  [[nodiscard]] cancel_scope* scope() const noexcept { return context_access::scope(ctx_); }
  static void on_end(waiter& w) noexcept { static_cast<after_func_state&>(w).start_announced(); }

  context ctx_;
  wait_node node_;
  atomic<bool> never_stopped_{true};  // of use where the context can never be done
};

template <class F>
class after_func_of final : public after_func_state {
 public:
  template <class G>
  after_func_of(const context& ctx, G&& f) : after_func_state(ctx), f_(std::forward<G>(f)) {}

 private:
  void call() override {
    std::invoke(std::move(*f_));
    f_.reset();
  }
  void drop() noexcept override { f_.reset(); }

  std::optional<F> f_;
};

using after_func_ptr = std::unique_ptr<after_func_state, background_release>;

template <class F>
after_func_ptr start_after_func(const context& ctx, F&& f) {
  after_func_ptr state(new after_func_of<std::decay_t<F>>(ctx, std::forward<F>(f)));
  state->start();
  return state;
}

}  // namespace runnel::inline RUNNEL_ABI::detail
