// Between contexts and std::stop_token, both ways.
#pragma once

#include <runnel/detail/context_core.hpp>
#include <runnel/detail/thread_cache.hpp>

#include <optional>
#include <stop_token>

namespace runnel::inline RUNNEL_ABI::detail {

/// Requests stop when its scope has ended.
class stop_attachment final : public scope_attachment {
 public:
  static constexpr char kind{};

  stop_attachment() : scope_attachment(&kind, &on_end, true) {}
  [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }

 private:
  static void on_end(waiter& w) noexcept {
    auto& self = static_cast<stop_attachment&>(w);
    if (self.outcome() == status::timed_out) {
      // Stop callbacks are the user's, and may block: not in the timer thread, nor in one that only looked at the deadline.
      try {
        return start_task([source = self.source_]() mutable noexcept { source.request_stop(); });
      } catch (...) {
        self.source_.request_stop();  // no thread to be had: better late timers than no stop
        return;
      }
    }
    self.source_.request_stop();
  }

  std::stop_source source_;
};

/// A scope that ends when a stop token stops.
class stop_scope final : public cancel_scope {
 public:
  stop_scope() noexcept : cancel_scope(nullptr) {}

  /// Registers with the token. Once, before anybody else knows the scope. Throws: std::bad_alloc.
  void watch(std::stop_token token) {
    callback_.emplace(std::move(token), ender{this});
    if ((stage_.fetch_or(registered, acq_rel) & over) != 0) callback_.reset();  // [stop_scope.stage] acq_rel: as in on_end
  }

 private:
  struct ender {
    stop_scope* scope;
    void operator()() const noexcept {
      if (!scope->try_ref()) return;  // it is being dropped
      const node_ref keep(scope);
      scope->end(status::canceled, nullptr);
    }
  };
  enum : std::uint32_t { registered = 1, over = 2 };

  // [stop_scope.stage] acq_rel: the second of registration and end takes the registration back, and sees all of it.
  void on_end() noexcept override {
    if (stage_.fetch_or(over, acq_rel) == registered) callback_.reset();
  }
  void detach() noexcept override {
    cancel_scope::detach();
    on_end();  // unless it has ended
  }

  atomic<std::uint32_t> stage_{0};
  std::optional<std::stop_callback<ender>> callback_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
