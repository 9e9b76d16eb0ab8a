// Contexts: what ends work from outside, and the values that go with it. Go's package context.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/detail/after_func_state.hpp>
#include <runnel/detail/context_core.hpp>
#include <runnel/detail/signal_watch.hpp>
#include <runnel/detail/stop_bridge.hpp>
#include <runnel/detail/time.hpp>
#include <runnel/detail/wait.hpp>

#include <concepts>
#include <initializer_list>

namespace runnel::inline RUNNEL_ABI {

/// A context that ends at the end of its scope, or before by cancel(). Move-only; moved from, it is the background.
///
/// Every handle that is copied from it names the same context, and so does one that is moved from it: it ends with its scope all the same.
/// A temporary one cannot be kept, as it would be canceled at the semicolon (where the compiler cannot refuse it, as in
/// `contexts.push_back(rn::with_cancel(ctx))`, it is); an operation that waits takes it: `ch.recv(rn::with_timeout(ctx, 1s))`.
class scoped_context : public context {
 public:
  scoped_context(scoped_context&& other) noexcept
      : context(static_cast<context&&>(other)), scope_(std::exchange(other.scope_, nullptr)) {}
  scoped_context& operator=(scoped_context&& other) noexcept {
    scoped_context old(std::move(*this));
    context::operator=(static_cast<context&&>(other));
    scope_ = std::exchange(other.scope_, nullptr);
    return *this;
  }
  ~scoped_context() {
    if (scope_ == nullptr) return;
    cancel();
    // Both references at once, unless what the handle names was moved away.
    const bool both = detail::context_access::node(*this) == scope_;
    if (both) detail::context_access::forget(*this);
    detail::context_node::drop_refs(scope_, both ? 2 : 1);
  }

  /// Ends the context and all below it: err() is status::canceled, cause() what is given, else a context_error.
  ///
  /// Effects: none if it is done already: the first call counts, and a deadline or a parent that ended it. The functions of
  /// after_func start; stop callbacks run here, once all who wait have been resumed.
  /// Blocks: until the whole subtree is done, also where another call has begun that.
  /// Cost: one lock for each context below and one for the parent, no allocation.
  /// Synchronizes: what came before happens before done() is true.
  void cancel() noexcept { cancel(nullptr); }
  void cancel(std::exception_ptr cause) noexcept {
    if (scope_ != nullptr) scope_->end(status::canceled, std::move(cause));
  }

 private:
  friend struct detail::scope_access;
  /// Adopts a new scope, and enters it into its parents.
  explicit scoped_context(detail::cancel_scope* scope) noexcept : context(detail::node_ref(scope)), scope_(scope) {
    scope->add_first_ref();
    scope->link_to_parents();
  }

  detail::cancel_scope* scope_;  // a reference of its own; null: moved from
};

inline context::context(const scoped_context& scoped) noexcept : context(static_cast<const context&>(scoped)) {}
inline context& context::operator=(const scoped_context& scoped) noexcept { return *this = static_cast<const context&>(scoped); }

namespace detail {

struct scope_access {
  static scoped_context make(cancel_scope* scope) noexcept { return scoped_context(scope); }
};

/// A context whose deadline is at this time, unless that of the parent is as early. No time: `never`. `passed`: it has passed.
inline scoped_context make_deadline_scope(const context& parent, time_point at, bool passed, std::exception_ptr cause) {
  context_node* const above = context_access::node(parent);
  if (at >= done_event(parent).deadline()) return scope_access::make(new cancel_scope(above));
  auto* const scope = new deadline_scope(above, at, std::move(cause));
  scoped_context made = scope_access::make(scope);
  if (passed) scope->expire();
  return made;
}

template <class V>
class value_node final : public context_node {
 public:
  template <class U>
  value_node(const context& parent, const void* key, U&& value)
      : context_node(context_access::node(parent), nullptr, context_access::scope(parent)),
        key_(key),
        value_(std::forward<U>(value)) {}
  [[nodiscard]] const void* find(const void* key) const noexcept override { return key == key_ ? std::addressof(value_) : nullptr; }

 private:
  const void* key_;
  V value_;
};

/// A parent's values and nothing else of it.
class values_node final : public context_node {
 public:
  explicit values_node(context_node* parent) noexcept : context_node(parent, nullptr, nullptr) {}
};

/// The channel that closes when its scope has ended.
class done_attachment final : public scope_attachment {
 public:
  static constexpr char kind{};

  explicit done_attachment(channel_ends<void> ends)
      : scope_attachment(&kind, &on_end, false), send_(std::move(ends.send)), recv_(std::move(ends.recv)) {}
  [[nodiscard]] const recv_channel<void>& channel() const noexcept { return recv_; }

 private:
  static void on_end(waiter& w) noexcept {
    const send_channel<void> last = std::move(static_cast<done_attachment&>(w).send_);  // closes when it is dropped
  }

  send_channel<void> send_;
  recv_channel<void> recv_;
};

}  // namespace detail

inline std::stop_token context::stop_token() const {
  if (scope() == nullptr) return {};
  auto& a = scope()->attach(&detail::stop_attachment::kind, [] { return std::make_unique<detail::stop_attachment>(); });
  return static_cast<detail::stop_attachment&>(a).token();
}

inline recv_channel<void> context::done_channel() const {
  if (scope() == nullptr) return {};
  auto& a = scope()->attach(&detail::done_attachment::kind,
                            [] { return std::make_unique<detail::done_attachment>(make_channel<void>()); });
  return static_cast<detail::done_attachment&>(a).channel();
}

/// A context below the parent, to be canceled by hand or at the end of the scope.
/// Cost: one allocation. Throws: std::bad_alloc. Semantics: Go's WithCancel and WithCancelCause.
[[nodiscard]] inline scoped_context with_cancel(const context& parent) {
  return detail::scope_access::make(new detail::cancel_scope(detail::context_access::node(parent)));
}
template <class... Args>
scoped_context with_cancel(const scoped_context&& parent, Args&&...) = delete;

/// A context below the parent that ends at this time: err() is status::timed_out, cause() what is given, else a context_error.
///
/// Effects: done at once if the time has passed; the parent's deadline counts if it is as early. A time of another clock is
/// converted once, now; time_point::max() is no deadline. Nothing waits for the deadline until somebody looks at the context.
/// Cost: one allocation. Throws: std::bad_alloc. Semantics: Go's WithDeadline and WithDeadlineCause.
template <class Clock, class Duration>
[[nodiscard]] scoped_context with_deadline(const context& parent, std::chrono::time_point<Clock, Duration> at,
                                           std::exception_ptr cause = nullptr) {
  const time_point when = detail::deadline_at(at);
  return detail::make_deadline_scope(parent, when, when <= detail::now(), std::move(cause));
}
template <class... Args>
scoped_context with_deadline(const scoped_context&& parent, Args&&...) = delete;

/// The same, this long from now. duration::max() is no deadline; zero and below have passed.
template <class Rep, class Period>
[[nodiscard]] scoped_context with_timeout(const context& parent, std::chrono::duration<Rep, Period> d,
                                          std::exception_ptr cause = nullptr) {
  const duration length = detail::saturate(d);
  return detail::make_deadline_scope(parent, detail::saturating_add(detail::now(), length), length <= duration::zero(),
                                     std::move(cause));
}
template <class... Args>
scoped_context with_timeout(const scoped_context&& parent, Args&&...) = delete;

/// A context below the parent that one of these signals ends; its cause is a signal_error.
///
/// Effects: one signal ends every live context that names it. Before they are done, the disposition found by the first of them
/// is back, so that a second Ctrl-C ends a program that is stuck; otherwise it is back when the last of them ends. The work is
/// done by a thread of the library, not in the handler. A handler that is set meanwhile by somebody else stays.
/// Throws: std::invalid_argument for a number that is no signal or cannot be handled (SIGKILL); std::bad_alloc,
/// std::system_error if there is no pipe or thread. Semantics: Go's signal.NotifyContext.
[[nodiscard]] inline scoped_context with_signals(const context& parent, std::initializer_list<int> numbers) {
  for (const int number : numbers)
    if (number <= 0 || number >= detail::signal_watch::signal_count)
      throw std::invalid_argument("runnel::with_signals: " + std::to_string(number) + " is not the number of a signal");
  auto* const scope = new detail::signal_scope(detail::context_access::node(parent));
  for (const int number : numbers) scope->name(number);
  scoped_context made = detail::scope_access::make(scope);
  detail::signal_watch::instance().add(*scope);
  if (scope->reason() != status::ok) detail::signal_watch::instance().remove(*scope);  // it may have ended before it was added
  return made;
}
scoped_context with_signals(const scoped_context&& parent, std::initializer_list<int> numbers) = delete;

/// A context that is done when either parent is, as that one is; with the earlier deadline, and the values of a, then of b.
/// Cost: one allocation. Throws: std::bad_alloc.
[[nodiscard]] inline scoped_context merge(const context& a, const context& b) {
  detail::context_node* const second = a == b ? nullptr : detail::context_access::node(b);
  return detail::scope_access::make(new detail::cancel_scope(detail::context_access::node(a), second));
}
scoped_context merge(const scoped_context&& a, const context& b) = delete;
scoped_context merge(const context& a, const scoped_context&& b) = delete;
scoped_context merge(const scoped_context&& a, const scoped_context&& b) = delete;

/// The parent and one value more, which hides that of the same key above. Done when the parent is.
/// Cost: one allocation. Throws: std::bad_alloc, what moving the value throws. Semantics: Go's WithValue. Differs: keys have types.
template <class V>
[[nodiscard]] context with_value(const context& parent, const context_key<V>& key, std::type_identity_t<V> value) {
  return detail::context_access::make(detail::node_ref(new detail::value_node<V>(parent, &key, std::move(value))));
}
template <class... Args>
context with_value(const scoped_context&& parent, Args&&...) = delete;
template <class V>
context with_value(const context& parent, const context_key<V>&& key, std::type_identity_t<V> value) = delete;

/// The values of the parent, without its end: never done, no deadline. For work that must outlive what began it.
/// Cost: one allocation. Throws: std::bad_alloc. Semantics: Go's WithoutCancel.
[[nodiscard]] inline context without_cancel(const context& parent) {
  detail::context_node* const above = detail::context_access::node(parent);
  return above == nullptr ? context() : detail::context_access::make(detail::node_ref(new detail::values_node(above)));
}
context without_cancel(const scoped_context&& parent) = delete;

/// A context that is canceled when the token stops. Canceling it does not touch the token's source.
/// Effects: registers one stop callback, which is gone when the context ends. Cost: one allocation. Throws: std::bad_alloc.
[[nodiscard]] inline scoped_context from_stop_token(std::stop_token token) {
  auto* const scope = new detail::stop_scope;
  scoped_context made = detail::scope_access::make(scope);
  if (token.stop_possible()) scope->watch(std::move(token));
  return made;
}

/// What after_func has registered. Move-only; dropping it changes nothing.
class after_func_handle {
 public:
  after_func_handle(after_func_handle&&) noexcept = default;
  after_func_handle& operator=(after_func_handle&&) noexcept = default;

  /// Takes the function back. Returns: true if it never will run, by this call; it is destroyed here. False if it has been started
  /// or was stopped before. Blocks: never, and does not wait for a function that runs: that is scoped_after_func.
  bool stop() noexcept { return state_ != nullptr && state_->stop(); }

 private:
  template <class F>
    requires detail::plain_function<std::decay_t<F>>
  friend after_func_handle after_func(const context& ctx, F&& f);
  explicit after_func_handle(detail::after_func_ptr state) noexcept : state_(std::move(state)) {}

  detail::after_func_ptr state_;
};

/// Runs f() once, elsewhere, when the context is done; at once if it is done already.
///
/// Effects: f has a thread of its own, so it may block; cancel() does not wait for it. An exception that escapes it ends the
/// process. It is destroyed when it has run. If there is no thread to be had it runs in the thread that ends the context.
/// Use this to pass an end on to something that knows no contexts; use done_channel or select where a thread waits anyway.
/// Cost: one allocation, one more when it runs. Throws: std::bad_alloc; what copying f throws; std::system_error if there is a
/// deadline and no thread for its timer. Synchronizes: the call, and the context's end, happen before f runs.
/// Semantics: Go's context.AfterFunc.
template <class F>
  requires detail::plain_function<std::decay_t<F>>
after_func_handle after_func(const context& ctx, F&& f) {
  return after_func_handle(detail::start_after_func(ctx, std::forward<F>(f)));
}
template <class F>
after_func_handle after_func(const scoped_context&& ctx, F&& f) = delete;

/// An after_func for a scope: its destructor stops it, and waits for an f that runs, unless it is f that destroys it.
/// Use this where f refers to what lives in the scope.
class scoped_after_func {
 public:
  template <class F>
    requires detail::plain_function<std::decay_t<F>>
  scoped_after_func(const context& ctx, F&& f) : state_(detail::start_after_func(ctx, std::forward<F>(f))) {}
  template <class F>
  scoped_after_func(const scoped_context&& ctx, F&& f) = delete;
  scoped_after_func(const scoped_after_func&) = delete;
  scoped_after_func& operator=(const scoped_after_func&) = delete;
  ~scoped_after_func() {
    if (!state_->stop()) state_->wait();
  }

 private:
  detail::after_func_ptr state_;
};

namespace detail {

inline void sleep_until_deadline(time_point deadline) noexcept {
  if (deadline == time_point::min()) return;
  const blocking_scope blocking;
  const atomic<std::uint32_t> nobody{0};
  while (deadline == never || now() < deadline) park(nobody, 0, deadline);
}

/// Ok when the deadline has passed, or how the context ended if that was before.
inline status sleep_until_deadline(const context& ctx, time_point deadline) {
  // A sleep that is over wins over a context that is done.
  if (deadline == time_point::min() || (deadline != never && now() >= deadline)) return status::ok;
  done_event stop(ctx);
  if (const status s = stop.reason(); s != status::ok) return s;
  const time_point limit = std::min(deadline, stop.deadline());
  wait_until(stop, limit);
  return deadline != never && now() >= deadline ? status::ok : stop.reason();
}

/// Waits until a time.
class sleep_awaiter : public plan_awaiter {
 public:
  explicit sleep_awaiter(time_point until) noexcept {
    plan().needs_hope = false;
    plan().add_timeout(0, until);
  }
  ~sleep_awaiter() { destroy_waiting(); }
  void await_resume() { finish(); }
};
/// The same until a context is done. A sleep that is over wins.
class limited_sleep_awaiter final : public plan_awaiter {
 public:
  limited_sleep_awaiter(const context& ctx, time_point until) : stop_(ctx) {
    plan().needs_hope = false;
    plan().add_timeout(0, until);
    plan().stop = &stop_;
  }
  ~limited_sleep_awaiter() { destroy_waiting(); }
  [[nodiscard]] result<void> await_resume() { return sent(finish().why); }

 private:
  done_event stop_;
};

}  // namespace detail

/// Sleeps for this long or until this time, never less. Zero and below do not sleep; duration::max() is for ever.
/// Blocks: until then. With a context: at most until it is done.
template <class Rep, class Period>
void sleep_for(std::chrono::duration<Rep, Period> d) {
  detail::sleep_until_deadline(detail::deadline_after(d));
}
template <class Clock, class Duration>
void sleep_until(std::chrono::time_point<Clock, Duration> at) {
  detail::sleep_until_deadline(detail::deadline_at(at));
}
/// Returns: ok if it slept to the end; canceled or timed_out, as ctx.err(), if the context was done first.
template <class Rep, class Period>
[[nodiscard]] send_result sleep_for(const context& ctx, std::chrono::duration<Rep, Period> d) {
  return detail::sent(detail::sleep_until_deadline(ctx, detail::deadline_after(d)));
}
template <class Clock, class Duration>
[[nodiscard]] send_result sleep_until(const context& ctx, std::chrono::time_point<Clock, Duration> at) {
  return detail::sent(detail::sleep_until_deadline(ctx, detail::deadline_at(at)));
}

/// For coroutines: `co_await async_sleep_for(d)`. As the forms without async_; the coroutine sleeps without its thread.
template <class Rep, class Period>
[[nodiscard]] auto async_sleep_for(std::chrono::duration<Rep, Period> d) {
  return detail::sleep_awaiter(detail::deadline_after(d));
}
template <class Clock, class Duration>
[[nodiscard]] auto async_sleep_until(std::chrono::time_point<Clock, Duration> at) {
  return detail::sleep_awaiter(detail::deadline_at(at));
}
template <class Rep, class Period>
[[nodiscard]] auto async_sleep_for(const context& ctx, std::chrono::duration<Rep, Period> d) {
  return detail::limited_sleep_awaiter(ctx, detail::deadline_after(d));
}
template <class Clock, class Duration>
[[nodiscard]] auto async_sleep_until(const context& ctx, std::chrono::time_point<Clock, Duration> at) {
  return detail::limited_sleep_awaiter(ctx, detail::deadline_at(at));
}

}  // namespace runnel::inline RUNNEL_ABI
