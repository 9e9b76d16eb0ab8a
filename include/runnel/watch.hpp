// watch: the latest value of something that changes, and whoever waits for it to change.
#pragma once

#include <runnel/select.hpp>

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace runnel::inline RUNNEL_ABI {

template <class T>
class watch;

namespace detail {

/// What the handles of a watch share: the latest value, its number, and who waits for another.
class watch_core {
 public:
  struct seen_value {
    std::shared_ptr<const void> value;
    std::uint64_t version;
  };

  explicit watch_core(std::shared_ptr<const void> value) noexcept : value_(std::move(value)) {}
  watch_core(const watch_core&) = delete;
  watch_core& operator=(const watch_core&) = delete;
  ~watch_core() { RUNNEL_ASSERT(waiters_.empty()); }

  void set(std::shared_ptr<const void> value) noexcept {  // what it was is destroyed with the parameter, under no lock
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      value_.swap(value);
      // relaxed: changed under the lock. [watch.version] release: whoever sees the new one sees what came before
      version_.store(version_.load(relaxed) + 1, release);
      wakes.add_all(waiters_, status::ok);
    }
    wakes.resume_all();
  }
  [[nodiscard]] seen_value get() const noexcept {
    const scoped_lock lock(mutex_);
    return {value_, version_.load(relaxed)};  // relaxed: changed under the lock
  }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_.load(acquire); }  // [watch.version] acquire: with set

  void join(wait_node& node, std::uint64_t seen) noexcept {
    {
      const scoped_lock lock(mutex_);
      if (version_.load(relaxed) == seen) return waiters_.push(node);  // relaxed: changed under the lock
    }
    if (!claim(node)) return;
    node.outcome = status::ok;
    node.owner->resume();
  }
  bool leave(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (!node.queued) return false;
    waiters_.remove(node);
    return true;
  }

 private:
  mutable mutex mutex_;
  std::shared_ptr<const void> value_;
  atomic<std::uint64_t> version_{0};
  wait_queue waiters_;
};

/// The event that a watch has another value than the one that was seen.
class watch_event final : public selectable {
 public:
  watch_event(watch_core& core, std::uint64_t seen) noexcept : core_(&core), seen_(seen) {}
  /// For another wait with it.
  void renew(watch_core& core, std::uint64_t seen) noexcept {
    core_ = &core;
    seen_ = seen;
  }
  attempt try_now() override { return core_->version() != seen_ ? attempt::done : attempt::not_yet; }
  void join(wait_node& node) override { core_->join(node, seen_); }
  bool leave(wait_node& node) noexcept override { return core_->leave(node); }
  bool finish(wait_node&) noexcept override { return true; }
  [[nodiscard]] std::uint64_t stamp() const noexcept override { return core_->version(); }

 private:
  watch_core* core_;
  std::uint64_t seen_;
};

template <class T, class F>
struct changed_case;

}  // namespace detail

/// The latest value of something that changes: a handle, through which it is set, read, and waited for.
///
/// A copy is a reader of its own, which has seen what the original had: each one waits for the values that it has not seen. Values that
/// are set while nobody looks are seen as one, the last of them. What a handle itself sets counts as not seen by it. There is no end:
/// a reader that is to stop waits with a context, or the value says so. A move is a copy: no handle is ever empty.
/// Use this for settings, progress, states: where only the newest counts; channel or broadcast where each one does; guarded to wait
/// until a value that many change is as one needs it.
/// T: any object type; it is destroyed, and copied by get(), under no lock.
/// Thread safety: all members but assignment; what has been seen is of one handle, so give each reader its own.
/// Cost: set allocates; get and a wait take a lock, a wait that finds a change is a load.
/// Synchronizes: a set() happens before the return of every wait and read that sees its value, or a later one.
/// Semantics: Tokio's sync::watch. Differs: a wait does not mark the value as seen, reading it does. Example: examples/watch.cpp
template <class T>
class watch {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && std::is_same_v<T, std::remove_cv_t<T>>,
                "watch<T> holds an object, not const");

 public:
  using value_type = T;

  /// The first value counts as seen. Throws: std::bad_alloc; what moving the value throws.
  explicit watch(T value) : core_(std::make_shared<detail::watch_core>(std::make_shared<const T>(std::move(value)))) {}
  watch(const watch& other) noexcept : core_(other.core_), seen_(other.seen()) {}
  watch& operator=(const watch& other) noexcept {
    core_ = other.core_;
    mark(other.seen());
    return *this;
  }
  ~watch() = default;
  /// Whether both name the same value.
  friend bool operator==(const watch& a, const watch& b) noexcept { return a.core_ == b.core_; }

  /// Sets the value and wakes all who wait for another. Blocks: never. Throws: std::bad_alloc; what moving the value throws: then
  /// nothing has changed.
  void set(T value) const { core_->set(std::make_shared<const T>(std::move(value))); }

  /// The latest value, which counts as seen then. Blocks: never. Throws: what copying it throws; it has not been seen then.
  [[nodiscard]] T get() const
    requires std::copy_constructible<T>
  {
    const detail::watch_core::seen_value latest = core_->get();
    T value(*static_cast<const T*>(latest.value.get()));
    mark(latest.version);
    return value;
  }
  /// The same without a copy: it stays as it is, and alive, whatever is set.
  [[nodiscard]] std::shared_ptr<const T> snapshot() const {
    const detail::watch_core::seen_value latest = core_->get();
    mark(latest.version);
    return std::static_pointer_cast<const T>(latest.value);
  }

  /// Waits until there is a value that this handle has not seen. Seeing it is a step of its own: until then this returns at once.
  void changed() const {
    detail::watch_event event(*core_, seen());
    detail::wait_event(event, detail::never);
  }
  /// The same, up to a limit. Returns: ok, or why not.
  [[nodiscard]] result<void> changed(const context& ctx) const {
    detail::watch_event event(*core_, seen());
    return detail::sent(detail::wait_event(ctx, event));
  }
  [[nodiscard]] result<void> try_changed() const {
    detail::watch_event event(*core_, seen());
    return detail::sent(detail::try_event(event));
  }
  template <class Rep, class Period>
  [[nodiscard]] result<void> try_changed_for(std::chrono::duration<Rep, Period> d) const {
    detail::watch_event event(*core_, seen());
    return detail::sent(detail::wait_event(event, detail::deadline_after(d)));
  }
  template <class Clock, class Duration>
  [[nodiscard]] result<void> try_changed_until(std::chrono::time_point<Clock, Duration> at) const {
    detail::watch_event event(*core_, seen());
    return detail::sent(detail::wait_event(event, detail::deadline_at(at)));
  }
  /// For coroutines: `co_await w.async_changed()`. As the forms without async_.
  [[nodiscard]] auto async_changed() const { return detail::happening_awaiter<detail::watch_event>(*core_, seen()); }
  [[nodiscard]] auto async_changed(const context& ctx) const {
    return detail::limited_happening_awaiter<detail::watch_event>(ctx, *core_, seen());
  }

 private:
  template <class, class>
  friend struct detail::changed_case;

  // relaxed, both: which value was seen is known to the reader; the value itself comes through the core
  [[nodiscard]] std::uint64_t seen() const noexcept { return seen_.load(detail::relaxed); }
  void mark(std::uint64_t version) const noexcept { seen_.store(version, detail::relaxed); }

  std::shared_ptr<detail::watch_core> core_;
  mutable detail::atomic<std::uint64_t> seen_{0};
};

namespace detail {

template <class T, class F>
struct changed_case : case_base {
  changed_case(const watch<T>& w, F&& f) : source(&w), handler(std::forward<F>(f)) {}
  using kept = changed_case<T, kept_handler<F>>;
  [[nodiscard]] nothing hold() const noexcept { return {}; }
  [[nodiscard]] static watch_core& core(const watch<T>& w) noexcept { return *w.core_; }
  [[nodiscard]] static std::uint64_t seen(const watch<T>& w) noexcept { return w.seen(); }

  const watch<T>* source;
  F handler;
};
template <class T, class F>
class active_case<changed_case<T, F>> {
  using access = changed_case<T, F>;
  static constexpr bool takes_value = std::invocable<F&, const T&>;
  static_assert(takes_value || std::invocable<F&>, "on_changed: f takes a const T&, or nothing");

 public:
  template <class Case>
  explicit active_case(Case&& c)
      : from_(c.source), event_(access::core(*c.source), access::seen(*c.source)), handler_(std::forward<Case>(c).handler) {}
  /// A selector begins a wait with it each time: what was seen meanwhile is not waited for.
  void begin(select_plan& plan, std::size_t index) {
    event_.renew(access::core(*from_), access::seen(*from_));
    plan.entries[index].event = &event_;
  }
  void run() {
    if constexpr (takes_value) {
      const std::shared_ptr<const T> latest = from_->snapshot();
      std::invoke(handler_, *latest);
    } else {
      std::invoke(handler_);
    }
  }

 private:
  const watch<T>* from_;
  watch_event event_;
  F handler_;
};

}  // namespace detail

/// A case of select: a value that this handle has not seen. `f` gets it, which counts as seen then, if it takes a const T&, else
/// nothing. A selector refers to the handle.
template <class T, class F = detail::no_handler>
[[nodiscard]] detail::changed_case<T, F> on_changed(const watch<T>& source, F&& f = {}) {
  return {source, std::forward<F>(f)};
}

}  // namespace runnel::inline RUNNEL_ABI
