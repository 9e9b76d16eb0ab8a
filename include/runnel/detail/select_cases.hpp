// The cases of a select. A case is what on_recv and the like answer: a description, which refers to its arguments. An
// active_case is a case in use: its event, room for its value, and what is called when it has happened.
//
// An active case has begin(), which enters it into a plan (and copies an lvalue that is to be sent), and run(), which is called
// once after it has happened. run() takes everything out of the case before it calls the user's function.
//
// A select that need not wait makes no active cases: it asks the descriptions. See select_at_once.hpp.
#pragma once

#include <runnel/detail/channel_recv.hpp>
#include <runnel/detail/select_engine.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI::detail {

struct case_base {
  /// Whether it has these two, which do without an active case: look(), an outlook on whether it may happen now; and happen(), which
  /// makes it happen and runs its handler, or answers false. Not if an active case must be made as the user can see what that does.
  static constexpr bool looks = false;
  [[nodiscard]] bool is_otherwise() const noexcept { return false; }
  /// Whether a selector takes it.
  static constexpr bool can_be_kept = true;
};
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

/// For an active case that has happened and that nobody runs: drops what it has received.
template <class Case>
void discard_case(Case& c) noexcept {
  if constexpr (requires { c.discard(); }) c.discard();
}

/// Calls the handler of a case without a value.
template <class F>
bool call_plain(F& handler) {
  if constexpr (std::invocable<F&>) std::invoke(handler);
  return true;
}
/// What an active case without a value calls.
template <class F>
class plain_handler {
  static_assert(std::invocable<F&>, "a select's f takes nothing here");

 public:
  template <class Case>
  explicit plain_handler(Case&& c) : f_(std::forward<Case>(c).handler) {}
  void operator()() { detail::call_plain(f_); }

 private:
  F f_;
};

// Receiving.

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
/// Not inlined: g++ 12 takes the value of an optional that is empty for one that is used without being there.
template <class T>
RUNNEL_NOINLINE void fill_slot(std::optional<T>& slot, recv_result<T>&& got) {
  slot.reset();
  if (got) slot.emplace(*std::move(got));
}
template <class F, class T>
void hand_over(recv_result<T>&& got, F& handler) {
  constexpr handler_form form = recv_handler_form<T, F>();
  if constexpr (form == handler_form::slot) {
    detail::fill_slot(handler, std::move(got));
  } else if constexpr (form == handler_form::value) {
    std::invoke(handler, *std::move(got));
  } else if constexpr (form == handler_form::outcome) {
    std::invoke(handler, std::move(got));
  } else if constexpr (form == handler_form::nothing) {
    std::invoke(handler);
  }
}

template <class T, class F>
struct recv_case : case_base {
  recv_case(channel_core<payload<T>>* c, F&& f) : core(c), handler(std::forward<F>(f)) {}
  using kept = recv_case<T, kept_handler<F>>;
  /// A handle, for a case that is kept.
  [[nodiscard]] recv_channel<T> hold() const noexcept { return channel_access::recv_end<T>(core); }
  static constexpr bool looks = true;
  [[nodiscard]] RUNNEL_ALWAYS_INLINE outlook look() const noexcept { return detail::look_recv(core); }
  bool happen() {
    auto got = result_access::failed<T>(status::would_block);
    trial t = trial::would_block;
    if constexpr (std::is_void_v<T>) {
      storage<nothing> signal;
      t = core->try_recv(signal.get());
    } else {
      t = core->try_recv(result_access::place(got));
    }
    if (t == trial::would_block || (t == trial::closed && recv_handler_form<T, F>() == handler_form::value)) return false;
    result_access::set(got, as_status(t));
    detail::hand_over<F>(std::move(got), handler);
    return true;
  }

  channel_core<payload<T>>* core;
  F handler;
};

template <class T, class F>
class active_case<recv_case<T, F>> {
  static constexpr handler_form form = recv_handler_form<T, F>();
  static_assert(form != handler_form::unfit,
                "on_recv: f takes a T, a recv_result<T> or nothing; or give it a std::optional<T>& as a slot");

 public:
  template <class Case>
  explicit active_case(Case&& c)
      : event_(c.core, room_.get(), form == handler_form::value), handler_(std::forward<Case>(c).handler) {}

  void begin(select_plan& plan, std::size_t index) { plan.entries[index].event = &event_; }
  void run() {
    auto got = result_access::failed<T>(status::would_block);
    if constexpr (!std::is_void_v<T>)
      if (event_.outcome() == status::ok) std::construct_at(result_access::place(got), std::move(*room_.get()));
    discard();
    result_access::set(got, event_.outcome());
    detail::hand_over<F>(std::move(got), handler_);
  }
  /// Drops what was received: all of it, if nobody runs the case, which has happened.
  void discard() noexcept {
    if (event_.outcome() == status::ok) std::destroy_at(room_.get());
  }

 private:
  storage<payload<T>> room_;
  recv_event<payload<T>> event_;
  F handler_;
};

// Sending. `Source` says where the value is: an lvalue of the user's, an rvalue of the user's, or here. One that is `kept` by a
// selector has another source in place of one that would be gone.

template <class T>
struct from_here;
template <class T>
struct from_lvalue {
  using kept = from_lvalue;
  static constexpr bool copies = true;
  [[nodiscard]] const T& read() const noexcept { return *value; }
  const T* value;
};
template <class T>
struct from_const_rvalue : from_lvalue<T> {
  using kept = from_here<T>;
};
template <class T>
struct from_rvalue {
  using kept = from_here<T>;
  static constexpr bool copies = false;
  [[nodiscard]] T* get() const noexcept { return value; }
  T* value;
};
template <class T>
struct from_here {
  using kept = from_here;
  static constexpr bool copies = false;
  explicit from_here(from_rvalue<T>&& source) : value(std::move(*source.value)) {}
  explicit from_here(from_const_rvalue<T>&& source) : value(*source.value) {}
  [[nodiscard]] T* get() noexcept { return std::addressof(value); }
  T value;
};

/// An lvalue that is to be converted to a T: not a T itself, nor one that is derived from it.
template <class V, class T>
concept other_lvalue =
    std::is_lvalue_reference_v<V> && !std::is_convertible_v<std::remove_reference_t<V>*, const T*> && std::is_convertible_v<V, T>;
/// As a parameter is: no conversion that has to be asked for.
template <class T, class V>
T converted_to(V& from) {
  return from;
}
template <class T, class V>
struct from_other;
/// What it is now, here, and where to read it again.
template <class T, class V>
struct converted {
  using kept = from_other<T, V>;
  static constexpr bool copies = false;
  explicit converted(V* from) : origin(from), value(detail::converted_to<T>(*from)) {}
  [[nodiscard]] T* get() noexcept { return std::addressof(value); }
  V* origin;
  T value;
};
template <class T, class V>
struct from_other {
  using kept = from_other;
  static constexpr bool copies = true;
  explicit from_other(converted<T, V>&& source) noexcept : value(source.origin) {}
  [[nodiscard]] T read() const { return detail::converted_to<T>(*value); }
  V* value;
};

template <class F>
consteval handler_form send_handler_form() {
  if constexpr (std::invocable<F&>)
    return handler_form::nothing;
  else
    return std::invocable<F&, send_result> ? handler_form::outcome : handler_form::unfit;
}
template <class T, class F>
void report_sent(status s, channel_core<T>* core, F& handler) {
  constexpr handler_form form = send_handler_form<F>();
  if constexpr (form == handler_form::outcome) {
    std::invoke(handler, sent(s));
  } else if constexpr (form == handler_form::nothing) {
    if (s != status::ok) throw channel_closed("runnel: send on a closed " + core->describe() + ", in a select");
    std::invoke(handler);
  }
}

template <class T, class Source, class F>
struct send_case : case_base {
  template <class S>
  send_case(channel_core<payload<T>>* c, S&& from, F&& f) : core(c), source(std::forward<S>(from)), handler(std::forward<F>(f)) {}
  using value_t = payload<T>;
  using kept = send_case<T, typename Source::kept, kept_handler<F>>;
  [[nodiscard]] send_channel<T> hold() const noexcept { return channel_access::send_end<T>(core); }
  static constexpr bool copies = Source::copies;
  static constexpr bool looks = !copies || std::is_trivially_copyable_v<value_t>;  // others are copied when the select starts
  [[nodiscard]] RUNNEL_ALWAYS_INLINE outlook look() const noexcept { return detail::look_send(core); }
  bool happen() {
    trial t = trial::would_block;
    if constexpr (copies) {
      value_t copy(source.read());
      t = core->try_send(copy);
    } else {
      t = core->try_send(*source.get());
    }
    if (t == trial::would_block) return false;
    detail::report_sent(as_status(t), core, handler);
    return true;
  }

  channel_core<payload<T>>* core;
  Source source;
  F handler;
};

template <class T, class Source, class F>
class active_case<send_case<T, Source, F>> {
  using value_t = payload<T>;
  static constexpr bool copies = Source::copies;
  static_assert(send_handler_form<F>() != handler_form::unfit, "on_send: f takes nothing, or a send_result");

 public:
  template <class Case>
  explicit active_case(Case&& c)
      : core_(c.core), event_(c.core, nullptr), handler_(std::forward<Case>(c).handler), source_(std::move(c.source)) {}

  void begin(select_plan& plan, std::size_t index) {
    event_.send_from(from());
    plan.entries[index].event = &event_;
  }
  void run() {
    const status s = event_.outcome();
    if constexpr (copies) copy_.reset();
    detail::report_sent(s, core_, handler_);
  }

 private:
  value_t* from() {
    if constexpr (copies)
      return std::addressof(copy_.emplace(source_.read()));
    else
      return source_.get();
  }

  channel_core<value_t>* core_;
  [[no_unique_address]] std::conditional_t<copies, std::optional<value_t>, nothing> copy_;
  send_event<value_t> event_;
  F handler_;
  Source source_;  // last: it may take over the value, which stays where it is if copying f fails
};

}  // namespace runnel::inline RUNNEL_ABI::detail
