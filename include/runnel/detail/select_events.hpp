// The cases of a select that are not channels': a context's end, a future's, an event of the user's; times; otherwise; when.
#pragma once

#include <runnel/detail/future_core.hpp>
#include <runnel/detail/select_cases.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

// Events.

template <class F, bool Lasts = true>
struct done_case : case_base {
  done_case(const context& c, F&& f) : ctx(&c), handler(std::forward<F>(f)) {}
  using kept = done_case<kept_handler<F>>;
  static constexpr bool can_be_kept = Lasts;
  [[nodiscard]] context hold() const { return *ctx; }
  static constexpr bool looks = true;
  [[nodiscard]] outlook look() const { return {0, done_event(*ctx).try_now() == attempt::done}; }
  bool happen() { return detail::call_plain(handler); }

  const context* ctx;
  F handler;
};
template <class F, bool Lasts>
class active_case<done_case<F, Lasts>> {
 public:
  template <class Case>
  explicit active_case(Case&& c) : event_(*c.ctx), handler_(std::forward<Case>(c)) {}
  void begin(select_plan& plan, std::size_t index) { plan.entries[index].event = &event_; }
  void run() { handler_(); }

 private:
  done_event event_;
  plain_handler<F> handler_;
};

[[noreturn]] RUNNEL_NOINLINE inline void throw_empty_future() {
  throw std::logic_error("runnel::on_ready: the future is empty, or its answer was taken");
}

template <class F>
struct ready_case : case_base {
  ready_case(future_core* c, F&& f) : core(c), handler(std::forward<F>(f)) {}
  using kept = ready_case<kept_handler<F>>;
  [[nodiscard]] std::unique_ptr<future_core, drop_future_core> hold() const noexcept {
    if (core != nullptr) core->share();
    return std::unique_ptr<future_core, drop_future_core>(core);
  }
  static constexpr bool looks = true;
  [[nodiscard]] outlook look() const {
    if (core == nullptr) throw_empty_future();
    return {0, core->ready()};
  }
  bool happen() { return detail::call_plain(handler); }

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
    if (!event_) throw_empty_future();
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
  static constexpr bool looks = true;
  [[nodiscard]] outlook look() const noexcept { return {event->stamp(), true}; }
  bool happen() { return event->try_now() == attempt::done && detail::call_plain(handler); }

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

struct time_case : case_base {
  static constexpr bool looks = true;
  [[nodiscard]] outlook look() const noexcept {
    return {selectable::no_stamp, false};
  }  // not known: it would take a look at the clock
  bool happen() noexcept { return false; }
};

template <class F>
struct timeout_case : time_case {
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
struct deadline_case : time_case {
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
  static constexpr bool looks = true;
  [[nodiscard]] outlook look() const noexcept { return {0, false}; }  // once all others are hopeless
  bool happen() { return detail::call_plain(handler); }
  [[nodiscard]] bool is_otherwise() const noexcept { return true; }

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
  template <class C>
  when_case(bool is_on, C&& c) : on(is_on), inner(std::forward<C>(c)) {}
  using kept = when_case<typename Case::kept>;
  static constexpr bool can_be_kept = Case::can_be_kept;
  [[nodiscard]] auto hold() const { return inner.hold(); }
  static constexpr bool looks = Case::looks;
  [[nodiscard]] outlook look() const { return on ? inner.look() : outlook{0, false}; }
  bool happen() { return inner.happen(); }
  [[nodiscard]] bool is_otherwise() const noexcept { return on && inner.is_otherwise(); }

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
  void discard() noexcept { detail::discard_case(inner_); }

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
