// The cases of a select. A case is what on_recv and the like answer: a description, which refers to its arguments. An
// active_case is a case in use: its event, room for its value, and what is called when it has happened.
//
// An active case has begin(), which enters it into a plan (and copies an lvalue that is to be sent), and run(), which is called
// once after it has happened. run() takes everything out of the case before it calls the user's function.
#pragma once

#include <runnel/detail/channel_recv.hpp>
#include <runnel/detail/future_core.hpp>
#include <runnel/detail/select_engine.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI::detail {

struct case_base {};
/// What select and selector::add take.
template <class C>
concept select_case = std::derived_from<std::remove_cvref_t<C>, case_base>;

struct no_handler {
  void operator()() const noexcept {}
};

template <class F>
struct is_slot : std::false_type {};
template <class T>
struct is_slot<std::optional<T>&> : std::true_type {};

/// What a selector keeps in place of a handler that the case refers to: a slot stays the user's.
template <class F>
using kept_handler = std::conditional_t<is_slot<F>::value, F, std::decay_t<F>>;

template <class Case>
class active_case;

// Receiving.

template <class T, class F>
struct recv_case : case_base {
  recv_case(channel_core<payload<T>>* c, F&& f) : core(c), handler(std::forward<F>(f)) {}
  using kept = recv_case<T, kept_handler<F>>;
  /// A handle, for a case that is kept.
  [[nodiscard]] recv_channel<T> hold() const noexcept { return channel_access::recv_end<T>(core); }

  channel_core<payload<T>>* core;
  F handler;
};

/// What a case hands to its handler; the first that it can take. A form is not asked for once an earlier one fits: that may compile
/// the body of a generic lambda.
enum class handler_form : std::uint8_t { slot, value, outcome, nothing, unfit };

template <class T, class F>
consteval bool takes_value() {
  if constexpr (std::is_void_v<T>)
    return false;
  else
    return std::invocable<F&, T>;
}
template <class T, class F>
consteval handler_form recv_handler_form() {
  if constexpr (is_slot<F>::value)
    return handler_form::slot;
  else if constexpr (takes_value<T, F>())
    return handler_form::value;
  else if constexpr (std::invocable<F&, recv_result<T>>)
    return handler_form::outcome;
  else
    return std::invocable<F&> ? handler_form::nothing : handler_form::unfit;
}
template <class F>
consteval handler_form send_handler_form() {
  if constexpr (std::invocable<F&>)
    return handler_form::nothing;
  else
    return std::invocable<F&, send_result> ? handler_form::outcome : handler_form::unfit;
}

template <class T, class F>
class active_case<recv_case<T, F>> {
  static constexpr handler_form form = recv_handler_form<T, F>();
  static_assert(form != handler_form::unfit,
                "on_recv: f takes a T, a recv_result<T> or nothing; or give it a std::optional<T>& as a slot");

 public:
  template <class Case>
  explicit active_case(Case&& c) : event_(c.core, place(), form == handler_form::value), handler_(std::forward<Case>(c).handler) {}

  void begin(select_plan& plan, std::size_t index) { plan.entries[index].event = &event_; }
  void run() {
    result_access::set(value_, event_.outcome());
    recv_result<T> got = std::exchange(value_, result_access::failed<T>(status::would_block));
    if constexpr (form == handler_form::slot) {
      handler_.reset();
      if (got) handler_.emplace(*std::move(got));
    } else if constexpr (form == handler_form::value) {
      std::invoke(handler_, *std::move(got));
    } else if constexpr (form == handler_form::outcome) {
      std::invoke(handler_, std::move(got));
    } else {
      std::invoke(handler_);
    }
  }
  /// Drops what was received: nobody runs the case, which has happened.
  void discard() noexcept {
    result_access::set(value_, event_.outcome());
    value_ = result_access::failed<T>(status::would_block);
  }

 private:
  payload<T>* place() noexcept {
    if constexpr (std::is_void_v<T>)
      return signal_.get();
    else
      return result_access::place(value_);
  }

  recv_result<T> value_ = result_access::failed<T>(status::would_block);
  [[no_unique_address]] std::conditional_t<std::is_void_v<T>, storage<nothing>, nothing> signal_;
  recv_event<payload<T>> event_;
  F handler_;
};

// Sending. `Source` says where the value is: an lvalue of the user's, an rvalue of the user's, or here.

template <class T>
struct from_lvalue {
  const T* value;
};
template <class T>
struct from_rvalue {
  T* value;
};
template <class T>
struct from_here {
  explicit from_here(from_rvalue<T>&& source) noexcept : value(std::move(*source.value)) {}
  T value;
};

template <class T, class Source, class F>
struct send_case : case_base {
  template <class S>
  send_case(channel_core<payload<T>>* c, S&& from, F&& f) : core(c), source(std::forward<S>(from)), handler(std::forward<F>(f)) {}
  using value_t = payload<T>;
  using kept_source = std::conditional_t<std::same_as<Source, from_rvalue<value_t>>, from_here<value_t>, Source>;
  using kept = send_case<T, kept_source, kept_handler<F>>;
  [[nodiscard]] send_channel<T> hold() const noexcept { return channel_access::send_end<T>(core); }

  channel_core<payload<T>>* core;
  Source source;
  F handler;
};

template <class T, class Source, class F>
class active_case<send_case<T, Source, F>> {
  using value_t = payload<T>;
  static constexpr bool copies = std::same_as<Source, from_lvalue<value_t>>;
  static constexpr handler_form form = send_handler_form<F>();
  static_assert(form != handler_form::unfit, "on_send: f takes nothing, or a send_result");

 public:
  template <class Case>
  explicit active_case(Case&& c)
      : core_(c.core), source_(std::move(c.source)), event_(c.core, nullptr), handler_(std::forward<Case>(c).handler) {}

  void begin(select_plan& plan, std::size_t index) {
    event_.send_from(from());
    plan.entries[index].event = &event_;
  }
  void run() {
    const status s = event_.outcome();
    if constexpr (copies) copy_.reset();
    if constexpr (form == handler_form::outcome) {
      std::invoke(handler_, sent(s));
    } else {
      if (s != status::ok) throw channel_closed("runnel: send on a closed " + core_->describe() + ", in a select");
      std::invoke(handler_);
    }
  }

 private:
  value_t* from() {
    if constexpr (copies)
      return std::addressof(copy_.emplace(*source_.value));
    else if constexpr (std::same_as<Source, from_here<value_t>>)
      return std::addressof(source_.value);
    else
      return source_.value;
  }

  channel_core<value_t>* core_;
  Source source_;
  [[no_unique_address]] std::conditional_t<copies, std::optional<value_t>, nothing> copy_;
  send_event<value_t> event_;
  F handler_;
};

// Other events: a context's end, a future's, one of the user's.

/// What an active case without a value calls.
template <class F>
class plain_handler {
  static_assert(std::invocable<F&>, "a select's f takes nothing here");

 public:
  template <class Case>
  explicit plain_handler(Case&& c) : f_(std::forward<Case>(c).handler) {}
  void operator()() { std::invoke(f_); }

 private:
  F f_;
};

template <class F>
struct done_case : case_base {
  done_case(const context& c, F&& f) : ctx(&c), handler(std::forward<F>(f)) {}
  using kept = done_case<kept_handler<F>>;
  [[nodiscard]] context hold() const { return *ctx; }

  const context* ctx;
  F handler;
};
template <class F>
class active_case<done_case<F>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : event_(*c.ctx), handler_(std::forward<Case>(c)) {}
  void begin(select_plan& plan, std::size_t index) { plan.entries[index].event = &event_; }
  void run() { handler_(); }

 private:
  done_event event_;
  plain_handler<F> handler_;
};

template <class F>
struct ready_case : case_base {
  ready_case(future_core* c, F&& f) : core(c), handler(std::forward<F>(f)) {}
  using kept = ready_case<kept_handler<F>>;
  [[nodiscard]] std::unique_ptr<future_core, drop_future_core> hold() const noexcept {
    if (core != nullptr) core->share();
    return std::unique_ptr<future_core, drop_future_core>(core);
  }

  future_core* core;
  F handler;
};
template <class F>
class active_case<ready_case<F>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : core_(c.core), handler_(std::forward<Case>(c)) {
    if (core_ != nullptr) event_.emplace(*core_);
  }
  void begin(select_plan& plan, std::size_t index) {
    if (!event_) throw std::logic_error("runnel::on_ready: the future is empty, or its answer was taken");
    plan.entries[index].event = &*event_;
  }
  void run() { handler_(); }

 private:
  future_core* core_;
  std::optional<future_event> event_;
  plain_handler<F> handler_;
};

template <class F>
struct custom_case : case_base {
  custom_case(selectable& e, F&& f) : event(&e), handler(std::forward<F>(f)) {}
  using kept = custom_case<kept_handler<F>>;
  [[nodiscard]] nothing hold() const noexcept { return {}; }

  selectable* event;
  F handler;
};
template <class F>
class active_case<custom_case<F>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : event_(c.event), handler_(std::forward<Case>(c)) {}
  void begin(select_plan& plan, std::size_t index) { plan.entries[index].event = event_; }
  void run() { handler_(); }

 private:
  selectable* event_;
  plain_handler<F> handler_;
};

// Without an event: times, and what to do when nothing else is ready.

template <class F>
struct timeout_case : case_base {
  timeout_case(duration length, F&& f) : after(length), handler(std::forward<F>(f)) {}
  using kept = timeout_case<kept_handler<F>>;
  [[nodiscard]] nothing hold() const noexcept { return {}; }

  duration after;
  F handler;
};
template <class F>
class active_case<timeout_case<F>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : after_(c.after), handler_(std::forward<Case>(c)) {}
  void begin(select_plan& plan, std::size_t index) { plan.add_timeout(index, deadline_after(after_)); }
  void run() { handler_(); }

 private:
  duration after_;
  plain_handler<F> handler_;
};

template <class F>
struct deadline_case : case_base {
  deadline_case(time_point time, F&& f) : at(time), handler(std::forward<F>(f)) {}
  using kept = deadline_case<kept_handler<F>>;
  [[nodiscard]] nothing hold() const noexcept { return {}; }

  time_point at;
  F handler;
};
template <class F>
class active_case<deadline_case<F>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : at_(c.at), handler_(std::forward<Case>(c)) {}
  void begin(select_plan& plan, std::size_t index) { plan.add_timeout(index, at_ <= now() ? time_point::min() : at_); }
  void run() { handler_(); }

 private:
  time_point at_;
  plain_handler<F> handler_;
};

template <class F>
struct otherwise_case : case_base {
  explicit otherwise_case(F&& f) : handler(std::forward<F>(f)) {}
  using kept = otherwise_case<kept_handler<F>>;
  [[nodiscard]] nothing hold() const noexcept { return {}; }

  F handler;
};
template <class F>
class active_case<otherwise_case<F>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : handler_(std::forward<Case>(c)) {}
  void begin(select_plan& plan, std::size_t index) {
    if (plan.otherwise_index == select_none) plan.otherwise_index = index;
  }
  void run() { handler_(); }

 private:
  plain_handler<F> handler_;
};

template <class Case>
struct when_case : case_base {
  when_case(bool is_on, Case&& c) : on(is_on), inner(std::forward<Case>(c)) {}
  using kept = when_case<typename Case::kept>;
  [[nodiscard]] auto hold() const { return inner.hold(); }

  bool on;
  Case inner;
};
template <class Case>
class active_case<when_case<Case>> {
 public:
  template <class C>
  explicit active_case(C&& c) : on_(c.on), inner_(std::forward<C>(c).inner) {}
  void begin(select_plan& plan, std::size_t index) {
    if (on_) inner_.begin(plan, index);
  }
  void run() { inner_.run(); }

 private:
  bool on_;
  active_case<Case> inner_;
};

/// Whether a case can happen once only.
template <class Case>
inline constexpr bool happens_once = false;
template <class T, class F>
inline constexpr bool happens_once<send_case<T, from_here<payload<T>>, F>> = true;
template <class Case>
inline constexpr bool happens_once<when_case<Case>> = happens_once<Case>;

}  // namespace runnel::inline RUNNEL_ABI::detail
