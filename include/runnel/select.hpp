// select: waits for the first of several channel operations, contexts, futures or times. Go's select statement.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/detail/select_at_once.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <vector>

namespace runnel::inline RUNNEL_ABI {

/// Given first to select: of several ready cases it takes the first in the order written, not one by chance.
struct biased_t {
  explicit biased_t() = default;
};
inline constexpr biased_t biased{};

// Cases. They refer to their arguments: use them in the expression that makes them. A handler is called after its case has
// happened, in the caller, with nothing locked; what it throws comes out of select. It may assign the handles and slots that the
// cases name.

/// A receive. `f` gets a T, as an rvalue, if it can take one; else a recv_result<T>; else nothing. Without f the value is dropped.
/// A drained channel makes it ready with `closed`, unless f needs a T: then the case cannot happen any more. A nil one never does.
/// An f(std::optional<T>) can take a T, and does not hear of the close; an optional of yours given as a slot does.
template <class T, class Base, class F = detail::no_handler>
[[nodiscard]] detail::recv_case<T, F> on_recv(const detail::recv_operations<T, Base>& from, F&& f = {}) {
  return {detail::channel_access::core(from), std::forward<F>(f)};
}

/// A send. An lvalue is copied when the select starts, an rvalue is moved from only if this case is chosen (copied, if it
/// is const). `f` gets nothing if it can, else a send_result. A closed channel makes it ready: chosen, it throws channel_closed, or f
/// gets `closed`.
template <class T, class Base, class F = detail::no_handler>
  requires(!std::is_void_v<T>)
[[nodiscard]] auto on_send(const detail::send_operations<T, Base>& to, std::type_identity_t<detail::payload<T>>&& value,
                           F&& f = {}) {
  using source = detail::from_rvalue<T>;
  return detail::send_case<T, source, F>(detail::channel_access::core(to), source{std::addressof(value)}, std::forward<F>(f));
}
template <class T, class Base, class F = detail::no_handler>
  requires(!std::is_void_v<T> && std::copy_constructible<T>)
[[nodiscard]] auto on_send(const detail::send_operations<T, Base>& to, const std::type_identity_t<detail::payload<T>>& value,
                           F&& f = {}) {
  using source = detail::from_lvalue<T>;
  return detail::send_case<T, source, F>(detail::channel_access::core(to), source{std::addressof(value)}, std::forward<F>(f));
}
template <class T, class Base, class F = detail::no_handler>
  requires(!std::is_void_v<T> && std::copy_constructible<T>)
[[nodiscard]] auto on_send(const detail::send_operations<T, Base>& to, const std::type_identity_t<detail::payload<T>>&& value,
                           F&& f = {}) {
  using source = detail::from_const_rvalue<T>;
  return detail::send_case<T, source, F>(detail::channel_access::core(to), source{{std::addressof(value)}}, std::forward<F>(f));
}
/// An lvalue of another type: converted here, and by a selector at each wait.
template <class T, class Base, class V, class F = detail::no_handler>
  requires(!std::is_void_v<T>) && detail::other_lvalue<V, detail::payload<T>>
[[nodiscard]] auto on_send(const detail::send_operations<T, Base>& to, V&& value, F&& f = {}) {
  using source = detail::converted<T, std::remove_reference_t<V>>;
  return detail::send_case<T, source, F>(detail::channel_access::core(to), std::addressof(value), std::forward<F>(f));
}
template <class Base, class F = detail::no_handler>
[[nodiscard]] auto on_send(const detail::send_operations<void, Base>& to, F&& f = {}) {
  using source = detail::from_lvalue<detail::nothing>;
  static constexpr detail::nothing signal;
  return detail::send_case<void, source, F>(detail::channel_access::core(to), source{&signal}, std::forward<F>(f));
}

/// The end of a context: ready once it is done. A case like any other: `biased` and first, if stopping is to win.
template <class F = detail::no_handler>
[[nodiscard]] detail::done_case<F> on_done(const context& ctx, F&& f = {}) {
  return {ctx, std::forward<F>(f)};
}
template <class Scope, class F = detail::no_handler>
  requires std::same_as<Scope, scoped_context>
[[nodiscard]] detail::done_case<F, false> on_done(const Scope&& ctx, F&& f = {}) {
  return {ctx, std::forward<F>(f)};
}

/// A future: ready once get() would not block. Its answer stays in it. An empty future is an error when the select starts.
template <class R, class F = detail::no_handler>
[[nodiscard]] detail::ready_case<F> on_ready(const future<R>& answer, F&& f = {}) {
  return {detail::future_access::core(answer), std::forward<F>(f)};
}

/// An event of your own: see selectable.
template <class F = detail::no_handler>
[[nodiscard]] detail::custom_case<F> on_event(selectable& event, F&& f = {}) {
  return {event, std::forward<F>(f)};
}

/// Taken if no other case is ready for this long, counted from the start of the select; of several the earliest. Zero and below: at
/// once. duration::max() is no timeout.
template <class Rep, class Period, class F = detail::no_handler>
[[nodiscard]] detail::timeout_case<F> on_timeout(std::chrono::duration<Rep, Period> d, F&& f = {}) {
  return {detail::saturate(d), std::forward<F>(f)};
}
/// Taken if no other case is ready by this time, of any clock.
template <class Clock, class Duration, class F = detail::no_handler>
[[nodiscard]] detail::deadline_case<F> on_deadline(std::chrono::time_point<Clock, Duration> at, F&& f = {}) {
  return {detail::deadline_at(at), std::forward<F>(f)};
}

/// Taken if no other case is ready: the select does not wait. Go's `default`. It may stand anywhere.
template <class F = detail::no_handler>
[[nodiscard]] detail::otherwise_case<F> otherwise(F&& f = {}) {
  return detail::otherwise_case<F>(std::forward<F>(f));
}

/// The case, or one that is never ready: its value is not copied then. A case that has a name is copied.
template <detail::select_case Case>
  requires std::constructible_from<std::remove_cvref_t<Case>, Case>
[[nodiscard]] detail::when_case<std::remove_cvref_t<Case>> when(bool on, Case&& c) {
  return {on, std::forward<Case>(c)};
}

namespace detail {

/// By value: what it is called with need not be in memory where it is not called.
template <std::size_t... Index, class... Cases>
RUNNEL_NOINLINE std::size_t select_by_engine(std::index_sequence<Index...> /*indices*/, bool is_biased, bool waits,
                                             Cases... cases) {
  std::array<select_entry, sizeof...(Cases)> entries;
  select_plan plan{.entries = entries, .biased = is_biased, .waits = waits};
  [[maybe_unused]] std::tuple<active_case<Cases>...> active(std::move(cases)...);
  (std::get<Index>(active).begin(plan, Index), ...);
  const std::size_t chosen = select_engine(plan).run().index;
  static_cast<void>(((chosen == Index && (std::get<Index>(active).run(), true)) || ...));
  return chosen;
}
template <std::size_t... Index, class... Cases>
std::size_t select_among(std::index_sequence<Index...> indices, bool is_biased, bool waits, Cases&&... cases) {
  if constexpr (may_select_at_once<Cases...>)
    if (const std::size_t chosen = detail::select_at_once(indices, is_biased, waits, cases...); chosen != select_undecided)
      return chosen;
  return detail::select_by_engine(indices, is_biased, waits, std::forward<Cases>(cases)...);
}

}  // namespace detail

/// Waits until one of the cases is ready, makes exactly that one happen, and runs its handler.
///
/// Effects: among several ready cases the choice is uniformly random; with `biased` it is the first. A timeout is taken only if no
/// other case is ready, `otherwise` only if nothing is. The same channel may stand in several cases; a select never pairs with itself.
/// Returns: the index of the case among the cases; select_none if none can ever become ready (none given, all off, nil or drained,
/// no timeout), also when that becomes true while it waits.
/// Blocks: until then. Throws: what handlers and copies of lvalues throw (then, for a copy, nothing has happened); channel_closed if
/// the case chosen sends on a closed channel; std::logic_error for an empty future.
/// Cost: a look at each case, and a try of one that may be ready; where it waits, one lock of each channel to queue and to leave; no
/// allocation.
/// Synchronizes: as the operation that happened. Example: examples/select.cpp
/// Semantics: Go spec, "Select statements". Differs: answers instead of waiting for ever where nothing can happen; a select that
/// waits becomes visible to its channels one after the other.
template <detail::select_case... Cases>
std::size_t select(Cases&&... cases) {
  return detail::select_among(std::index_sequence_for<Cases...>{}, false, true, std::forward<Cases>(cases)...);
}
template <detail::select_case... Cases>
std::size_t select(biased_t /*biased*/, Cases&&... cases) {
  return detail::select_among(std::index_sequence_for<Cases...>{}, true, true, std::forward<Cases>(cases)...);
}

/// The same without waiting. Returns: select_none if no case is ready: then none was, at one instant. Blocks: never.
template <detail::select_case... Cases>
std::size_t try_select(Cases&&... cases) {
  return detail::select_among(std::index_sequence_for<Cases...>{}, false, false, std::forward<Cases>(cases)...);
}
template <detail::select_case... Cases>
std::size_t try_select(biased_t /*biased*/, Cases&&... cases) {
  return detail::select_among(std::index_sequence_for<Cases...>{}, true, false, std::forward<Cases>(cases)...);
}

namespace detail {

/// Awaits the first of several cases.
template <class... Cases>
class select_awaiter final : public plan_awaiter {
  static constexpr auto indices = std::index_sequence_for<Cases...>();

 public:
  explicit select_awaiter(bool is_biased, Cases&&... cases) : cases_(std::forward<Cases>(cases)...) { plan().biased = is_biased; }
  ~select_awaiter() {
    const std::size_t chosen = destroy_waiting();
    if (active_) discard(chosen, indices);
  }
  bool await_ready() { return is_ready(indices) && goes_on(); }
  std::size_t await_resume() {
    const std::size_t chosen = finish().index;
    if (!active_) return chosen_;
    run(chosen, indices);
    return chosen;
  }

 private:
  template <std::size_t... Index>
  bool is_ready(std::index_sequence<Index...> /*indices*/) {
    if constexpr (may_select_at_once<std::remove_cvref_t<Cases>...>) {
      chosen_ = detail::select_at_once(indices, plan().biased, true, std::get<Index>(cases_)...);
      if (chosen_ != select_undecided) return true;
    }
    active_.emplace(std::get<Index>(std::move(cases_))...);
    plan().entries = entries_;
    (std::get<Index>(*active_).begin(plan(), Index), ...);
    return plan_awaiter::is_ready();
  }
  template <std::size_t... Index>
  void run(std::size_t chosen, std::index_sequence<Index...> /*indices*/) {
    static_cast<void>(((chosen == Index && (std::get<Index>(*active_).run(), true)) || ...));
  }

  template <std::size_t... Index>
  void discard(std::size_t chosen, std::index_sequence<Index...> /*indices*/) noexcept {
    static_cast<void>(((chosen == Index && (detail::discard_case(std::get<Index>(*active_)), true)) || ...));
  }

  std::tuple<std::remove_cvref_t<Cases>...> cases_;
  std::size_t chosen_ = select_undecided;
  std::array<select_entry, sizeof...(Cases)> entries_;
  std::optional<std::tuple<active_case<std::remove_cvref_t<Cases>>...>> active_;  // if it is not decided at once
};

}  // namespace detail

/// For coroutines: `co_await async_select(cases...)`. As select, and the coroutine waits without its thread. Handlers run where it goes on.
template <detail::select_case... Cases>
[[nodiscard]] auto async_select(Cases&&... cases) {
  return detail::select_awaiter<Cases...>(false, std::forward<Cases>(cases)...);
}
template <detail::select_case... Cases>
[[nodiscard]] auto async_select(biased_t /*biased*/, Cases&&... cases) {
  return detail::select_awaiter<Cases...>(true, std::forward<Cases>(cases)...);
}

namespace detail {

/// A case that a selector owns.
class selector_case {
 public:
  selector_case() noexcept = default;
  selector_case(const selector_case&) = delete;
  selector_case& operator=(const selector_case&) = delete;
  virtual ~selector_case() = default;
  virtual void begin(select_plan& plan, std::size_t index) = 0;
  virtual void run() = 0;
  virtual void discard() noexcept = 0;
  [[nodiscard]] virtual bool once() const noexcept = 0;
};

template <class Case>
class owned_case final : public selector_case {
 public:
  explicit owned_case(Case&& c) : hold_(c.hold()), active_(std::move(c)) {}
  void begin(select_plan& plan, std::size_t index) override { active_.begin(plan, index); }
  void run() override { active_.run(); }
  void discard() noexcept override { detail::discard_case(active_); }
  [[nodiscard]] bool once() const noexcept override { return happens_once<typename Case::kept>; }

 private:
  decltype(std::declval<const Case&>().hold()) hold_;
  active_case<typename Case::kept> active_;
};

}  // namespace detail

/// A select whose cases are known at run time. It owns its cases: handles, contexts and futures are kept, handlers are copied.
///
/// A value to send that is an lvalue, of the channel's type or of another, is read, and copied, at the start of each wait (the copy
/// is kept until the next); an rvalue is moved in, sent once, and then its case is gone. on_timeout counts from each wait. A slot and
/// an event of your own stay yours, and must live as long as the case.
/// Use this for a set of channels that changes; select where the cases can be written down.
/// Thread safety: one thread at a time; a second wait, or a change of the cases while one waits, is a std::logic_error. Handlers may
/// add, remove and wait. Example: examples/selector.cpp; Semantics: Go's reflect.Select. Differs: it keeps the cases.
class selector {
 public:
  selector() noexcept = default;
  explicit selector(biased_t /*biased*/) noexcept : biased_(true) {}
  selector(const selector&) = delete;
  selector& operator=(const selector&) = delete;
  ~selector() { RUNNEL_ASSERT(waiting_.load(detail::relaxed) == 0); }

  /// Adds a case. Returns: its id, which no other case of this selector has or will have. Throws: what copying f throws; std::bad_alloc;
  /// then nothing is moved from.
  template <detail::select_case Case>
    requires(!std::is_lvalue_reference_v<Case> && Case::can_be_kept)  // not a temporary scoped_context, which ends at the semicolon
  std::size_t add(Case&& c) {
    const busy_scope busy(*this, "add");
    detail::make_room(cases_);  // first: it may fail, and the case takes over what it sends
    cases_.push_back({next_id_, std::make_shared<detail::owned_case<Case>>(std::forward<Case>(c))});
    return next_id_++;
  }
  /// Removes a case, from its own handler too. Returns: false if there is none with this id.
  bool remove(std::size_t id) {
    std::shared_ptr<detail::selector_case> gone;  // its handles may run the user's destructors
    const busy_scope busy(*this, "remove");
    const auto place = find(id);
    if (place == cases_.end()) return false;
    gone = std::move(place->what);
    cases_.erase(place);
    return true;
  }
  /// How many cases it has.
  [[nodiscard]] std::size_t size() const noexcept { return cases_.size(); }

  /// Waits until one of the cases is ready, makes exactly that one happen, and runs its handler. Returns: its id, or select_none.
  /// As select, case for case.
  std::size_t wait() {
    detail::select_plan plan;
    return run(plan).value();
  }
  /// The same, until the context is done, without waiting, or up to a time. Returns: ok with the id or select_none, or why not.
  [[nodiscard]] result<std::size_t> wait(const context& ctx) {
    detail::done_event stop(ctx);
    detail::select_plan plan{.entries = {}, .stop = &stop};
    return run(plan);
  }
  [[nodiscard]] result<std::size_t> try_wait() {
    detail::select_plan plan{.entries = {}, .waits = false};
    return run(plan);
  }
  template <class Rep, class Period>
  [[nodiscard]] result<std::size_t> try_wait_for(std::chrono::duration<Rep, Period> d) {
    detail::select_plan plan{.entries = {}, .limit = detail::deadline_after(d)};
    return run(plan);
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<std::size_t> try_wait_until(std::chrono::time_point<Clock, Duration> at) {
    const time_point limit = detail::deadline_at(at);
    detail::select_plan plan{.entries = {}, .limit = limit <= detail::now() ? time_point::min() : limit};
    return run(plan);
  }

  /// For coroutines: `co_await s.async_wait()`. As the forms without async_.
  [[nodiscard]] auto async_wait() { return waiter_of<false>(*this); }
  [[nodiscard]] auto async_wait(const context& ctx) { return waiter_of<true>(*this, ctx); }

 private:
  struct member {
    std::size_t id;
    std::shared_ptr<detail::selector_case> what;
  };

  /// Says that a thread waits here or changes the cases.
  class busy_scope {
   public:
    busy_scope(selector& s, const char* operation) : selector_(s) {
      // [selector.waiting] acquire: sees what the last thread did with the cases.
      if (selector_.waiting_.exchange(1, detail::acquire) != 0)
        throw std::logic_error(std::string("runnel::selector::") + operation + ": another thread waits here, or changes the cases");
    }
    busy_scope(const busy_scope&) = delete;
    busy_scope& operator=(const busy_scope&) = delete;
    ~busy_scope() { selector_.waiting_.store(0, detail::release); }  // [selector.waiting] release: as above

   private:
    selector& selector_;
  };

  std::vector<member>::iterator find(std::size_t id) {
    const auto place = std::ranges::lower_bound(cases_, id, {}, &member::id);
    return place != cases_.end() && place->id == id ? place : cases_.end();
  }
  /// The first pass of a wait, while the cases are this thread's.
  void begin(detail::select_plan& plan) {
    plan.biased = biased_;
    entries_.clear();
    entries_.resize(cases_.size());
    plan.entries = entries_;
    for (std::size_t i = 0; i < cases_.size(); ++i) cases_[i].what->begin(plan, i);
  }
  /// The case that has happened, and its id.
  std::shared_ptr<detail::selector_case> take(std::size_t index, std::size_t& id) {
    if (index == select_none) return nullptr;
    const auto place = cases_.begin() + static_cast<std::ptrdiff_t>(index);
    id = place->id;
    auto chosen = place->what;
    if (chosen->once()) cases_.erase(place);
    return chosen;
  }
  result<std::size_t> run(detail::select_plan& plan) {
    std::shared_ptr<detail::selector_case> chosen;
    std::size_t id = select_none;
    {
      const busy_scope busy(*this, "wait");
      begin(plan);
      const detail::select_outcome outcome = detail::select_engine(plan).run();
      if (outcome.why != status::ok) return detail::result_access::failed<std::size_t>(outcome.why);
      chosen = take(outcome.index, id);
    }
    if (chosen != nullptr) chosen->run();
    return detail::result_access::ok<std::size_t>(id);
  }

  template <bool Limited>
  class waiter_of final : public detail::plan_awaiter {
   public:
    explicit waiter_of(selector& s) : selector_(&s) {}
    waiter_of(selector& s, const context& ctx) : selector_(&s), stop_(ctx) { plan().stop = &stop_; }
    bool await_ready() {
      busy_.emplace(*selector_, "async_wait");
      selector_->begin(plan());
      return plan_awaiter::await_ready();
    }
    ~waiter_of() {
      std::size_t id = select_none;
      if (const auto chosen = selector_->take(destroy_waiting(), id)) chosen->discard();
    }
    std::conditional_t<Limited, result<std::size_t>, std::size_t> await_resume() {
      const detail::select_outcome outcome = finish();
      std::size_t id = select_none;
      const auto chosen = outcome.why == status::ok ? selector_->take(outcome.index, id) : nullptr;
      busy_.reset();
      if (chosen != nullptr) chosen->run();
      if constexpr (Limited)
        return outcome.why == status::ok ? detail::result_access::ok<std::size_t>(id)
                                         : detail::result_access::failed<std::size_t>(outcome.why);
      else
        return id;
    }

   private:
    selector* selector_;
    std::optional<busy_scope> busy_;
    std::conditional_t<Limited, detail::done_event, detail::nothing> stop_;
  };

  std::vector<member> cases_;  // in the order of their ids
  std::vector<detail::select_entry> entries_;
  std::size_t next_id_ = 0;
  bool biased_ = false;
  detail::atomic<std::uint32_t> waiting_{0};
};

}  // namespace runnel::inline RUNNEL_ABI
