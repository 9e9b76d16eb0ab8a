// oneshot: one value, set once and taken once.
#pragma once

#include <runnel/select.hpp>

#include <concepts>
#include <memory>
#include <stdexcept>
#include <string>

namespace runnel::inline RUNNEL_ABI {

namespace detail {

/// What the handles of a oneshot share.
template <class T>
struct oneshot_state {
  enum : std::uint32_t { open, set, given_up };

  runnel::channel<T> channel{1};
  atomic<std::uint32_t> stands{open};
};

}  // namespace detail

/// A place for one value that somebody sets and somebody else waits for: a handle. Copies name the same place.
///
/// States: open -> set -> taken; or open -> given up, by close(), or when the last handle has gone without a value: then those who wait
/// at channel() receive `closed`. So a task that is to bring a value takes the handle with it (by move), and whoever waits keeps the
/// channel: a task that ends without a value, or never runs, is noticed. get() counts as waiting with a handle.
/// Use this for an answer that is not the end of a task; use future for what a task returns, watch for a value that changes, channel
/// for more than one. T: as in a channel; void is a signal for one receiver. A moved-from handle is empty: its members but valid()
/// throw std::logic_error.
/// Thread safety: all members but assignment, from any number of threads.
/// Synchronizes: set() happens before the return of the get() that takes its value. Example: examples/oneshot.cpp
template <class T>
class oneshot {
  using state = detail::oneshot_state<T>;

 public:
  using value_type = T;

  /// Throws: std::bad_alloc. All memory is allocated here.
  oneshot() : state_(std::make_shared<state>()) {}

  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }
  friend bool operator==(const oneshot& a, const oneshot& b) noexcept { return a.state_ == b.state_; }

  /// Sets the value. An lvalue is copied, before anything else happens. Blocks: never.
  /// Throws: std::logic_error if it was set before, channel_closed if it was given up; a T that is an rvalue is then not moved from.
  template <class V = T>
    requires(std::same_as<std::remove_cvref_t<V>, T> || std::convertible_to<V &&, T>) && (!std::is_void_v<T>)
  void set(V&& value) const {
    if constexpr (std::same_as<V, T>) {
      put(value);
    } else {
      T made(std::forward<V>(value));
      put(made);
    }
  }
  /// The same for a oneshot<void>.
  void set() const
    requires std::is_void_v<T>
  {
    begin_set();
    state_->channel.send();
    state_->channel.close();
  }
  /// Gives it up: no value will come. Nothing if there is one, or it was given up before. Blocks: never. Throws: nothing else.
  void close() const {
    std::uint32_t seen = state::open;
    // relaxed: the channel, which is closed then, orders what has to be
    if (use("close").stands.compare_exchange(seen, state::given_up, detail::relaxed, detail::relaxed)) state_->channel.close();
  }

  /// Waits for the value and takes it. Returns: the value; `closed` if it was given up, or somebody has taken it.
  /// Blocks: until then. Cost: as a channel's recv.
  recv_result<T> get() const { return use("get").channel.recv(); }
  /// The same, up to a limit. Returns: also canceled, timed_out or would_block; then nothing was taken.
  recv_result<T> get(const context& ctx) const { return use("get").channel.recv(ctx); }
  recv_result<T> try_get() const { return use("try_get").channel.try_recv(); }
  template <class Rep, class Period>
  recv_result<T> try_get_for(std::chrono::duration<Rep, Period> d) const {
    return use("try_get_for").channel.try_recv_for(d);
  }
  template <class Clock, class Duration>
  recv_result<T> try_get_until(std::chrono::time_point<Clock, Duration> at) const {
    return use("try_get_until").channel.try_recv_until(at);
  }
  /// For coroutines: `auto value = co_await o.async_get()`. As the forms without async_.
  [[nodiscard]] auto async_get() const { return use("async_get").channel.async_recv(); }
  [[nodiscard]] auto async_get(const context& ctx) const { return use("async_get").channel.async_recv(ctx); }

  /// The end that receives the value. It does not keep the place open.
  [[nodiscard]] recv_channel<T> channel() const { return use("channel").channel; }

 private:
  state& use(const char* operation) const {
    if (state_ == nullptr) throw std::logic_error(std::string("runnel::oneshot::") + operation + ": the handle was moved from");
    return *state_;
  }
  void begin_set() const {
    std::uint32_t seen = state::open;
    // relaxed: only one sets, and what it sets goes through the channel
    if (use("set").stands.compare_exchange(seen, state::set, detail::relaxed, detail::relaxed)) return;
    if (seen == state::given_up) throw channel_closed("runnel::oneshot::set: it was given up");
    throw std::logic_error("runnel::oneshot::set: it was set before");
  }
  template <class V>
  void put(V& value) const {
    begin_set();
    state_->channel.send(std::move(value));
    state_->channel.close();
  }

  std::shared_ptr<state> state_;
};

/// A case of select: the value of a oneshot, which is taken when the case is chosen. Handlers and slots are as those of on_recv.
template <class T, class F = detail::no_handler>
[[nodiscard]] detail::recv_case<T, F> on_ready(const oneshot<T>& source, F&& f = {}) {
  return on_recv(source.channel(), std::forward<F>(f));
}

}  // namespace runnel::inline RUNNEL_ABI
