// The forms of send: what a handle that can send adds to the handle.
#pragma once

#include <runnel/detail/channel_await.hpp>
#include <runnel/detail/channel_handle.hpp>
#include <runnel/detail/event_wait.hpp>

#include <concepts>
#include <iterator>
#include <memory>
#include <span>  // with begin, end and the concepts of <ranges>, which costs its user a tenth of a second for views

namespace runnel::inline RUNNEL_ABI::detail {

// How long an operation of a channel waits. Out of line, so that the code at the call is that of the try alone.

/// Before a wait at a large buffer: pauses, in which the other side makes room, or fills it, for many values. Who queues at once is served
/// a value, and queues again for the next: each one costs a lock and a wake, and the two go on in step. None where they would not help.
template <class T>
bool lingers(const channel_core<T>* core) noexcept {
  if (core == nullptr || core->capacity() < lingering_capacity) return false;
  for (int left = this_thread().pauses / 2; left > 0; --left) spin_hint();
  return true;
}

struct no_wait {
  template <class Event, class T>
  status wait(channel_core<T>* /*core*/, T* /*value*/) const noexcept {
    return status::would_block;
  }
};
struct wait_until_time {
  time_point deadline;
  template <class Event, class T>
  RUNNEL_NOINLINE status wait(channel_core<T>* core, T* value) const {
    Event event(core, value);
    if (deadline != time_point::min() && detail::lingers(core) && event.try_now() == attempt::done) return event.outcome();
    return wait_event_after_try(event, deadline);
  }
};
struct wait_for_context {
  const context& ctx;
  template <class Event, class T>
  RUNNEL_NOINLINE status wait(channel_core<T>* core, T* value) const {
    Event event(core, value);
    detail::lingers(core);
    const status s = detail::wait_event(ctx, event);  // tries first
    return s == status::ok ? event.outcome() : s;
  }
};
inline constexpr wait_until_time no_limit{never};

/// Whether the elements of a range may be moved away: it is an rvalue that owns them (a view, also one that is no borrowed
/// range, such as a filter, may stand on somebody's lvalue), or it gives them as rvalues itself.
template <class R, class T>
concept gives_away = std::same_as<std::ranges::range_reference_t<R>, T&&> ||
                     (std::same_as<std::ranges::range_reference_t<R>, T&> && !std::is_lvalue_reference_v<R> &&
                      !std::ranges::view<std::remove_cvref_t<R>> && !std::ranges::borrowed_range<R>);

template <class R, class T>
concept range_of_values =
    std::ranges::input_range<R> && (gives_away<R, T> || std::constructible_from<T, std::ranges::range_reference_t<R>>);

/// Its elements can be sent in batches: they stand one after another, and to make a T of one does not throw.
template <class R, class T>
concept batch_of_values =
    std::ranges::contiguous_range<R> && std::sized_sentinel_for<std::ranges::sentinel_t<R>, std::ranges::iterator_t<R>> &&
    (gives_away<R, T> || std::is_nothrow_constructible_v<T, std::ranges::range_reference_t<R>>);

/// Sends what there is room for of the elements from `at` on, without waiting. Returns: how many; 0 also where a send of one may say more.
template <class R, class T, class Iterator, class Sentinel>
  requires batch_of_values<R, T>
std::ptrdiff_t send_batch(channel_core<T>* core, Iterator at, Sentinel end) noexcept {
  if (core == nullptr) return 0;
  auto* from = std::to_address(at);
  return static_cast<std::ptrdiff_t>(core->try_send_batch(static_cast<std::size_t>(end - at), [&from](T* to) {
    if constexpr (gives_away<R, T>)
      std::construct_at(to, std::move(*from));
    else
      ::new (static_cast<void*>(to)) T(*from);
    ++from;
  }));
}

template <class T, class Base>
class send_operations : public Base {
  using value_t = payload<T>;
  static constexpr bool has_values = !std::is_void_v<T>;

 public:
  /// Sends a value: to the receiver that has waited longest, else into the channel.
  ///
  /// Effects: moved from exactly if it was sent; an lvalue is copied before anything else happens. (The form for lvalues is a
  /// template so that T may be incomplete here: clang 14 checks the constraint of one that is none when it sees the class.)
  /// Blocks: while nobody takes it and there is no room; for ever on a nil channel.
  /// Throws: channel_closed if the channel is closed, or closes meanwhile; what the copy throws; std::bad_alloc (unbounded).
  /// Cost: without contention one atomic read-modify-write; waiting allocates nothing.
  /// Synchronizes: the call happens before the return of the receive that gets the value; the k-th receive from a channel of
  /// capacity C before the return of the send k + C. Semantics: Go spec, "Send statements". Differs: throws where Go panics.
  void send(value_t&& value) const
    requires has_values
  {
    send_one(value);
  }
  template <class V = value_t>
    requires has_values && std::copy_constructible<V>
  void send(const value_t& value) const {
    value_t copy(value);
    send_one(copy);
  }
  /// The same, until the context is done: canceled or timed_out, as ctx.err(). Returns: ok, closed, or how the context ended.
  [[nodiscard]] send_result send(const context& ctx, value_t&& value) const
    requires has_values
  {
    return sent(put(value, wait_for_context{ctx}));
  }
  template <class V = value_t>
    requires has_values && std::copy_constructible<V>
  [[nodiscard]] send_result send(const context& ctx, const value_t& value) const {
    value_t copy(value);
    return sent(put(copy, wait_for_context{ctx}));
  }
  /// The same, without waiting. Returns: ok, would_block or closed. Blocks: never.
  [[nodiscard]] send_result try_send(value_t&& value) const
    requires has_values
  {
    return sent(put(value, no_wait{}));
  }
  template <class V = value_t>
    requires has_values && std::copy_constructible<V>
  [[nodiscard]] send_result try_send(const value_t& value) const {
    value_t copy(value);
    return sent(put(copy, no_wait{}));
  }
  /// The same, up to a time of any clock. Returns: ok, closed or timed_out.
  template <class Rep, class Period>
  [[nodiscard]] send_result try_send_for(std::chrono::duration<Rep, Period> d, value_t&& value) const
    requires has_values
  {
    return sent(put(value, wait_until_time{deadline_after(d)}));
  }
  template <class Rep, class Period, class V = value_t>
    requires has_values && std::copy_constructible<V>
  [[nodiscard]] send_result try_send_for(std::chrono::duration<Rep, Period> d, const value_t& value) const {
    return try_send_for(d, value_t(value));
  }
  template <class Clock, class Duration>
  [[nodiscard]] send_result try_send_until(std::chrono::time_point<Clock, Duration> at, value_t&& value) const
    requires has_values
  {
    return sent(put(value, wait_until_time{deadline_at(at)}));
  }
  template <class Clock, class Duration, class V = value_t>
    requires has_values && std::copy_constructible<V>
  [[nodiscard]] send_result try_send_until(std::chrono::time_point<Clock, Duration> at, const value_t& value) const {
    return try_send_until(at, value_t(value));
  }

  // A channel<void> sends that something happened, and nothing else.

  void send() const
    requires(!has_values)
  {
    value_t signal;
    send_one(signal);
  }
  [[nodiscard]] send_result send(const context& ctx) const
    requires(!has_values)
  {
    value_t signal;
    return sent(put(signal, wait_for_context{ctx}));
  }
  [[nodiscard]] send_result try_send() const
    requires(!has_values)
  {
    value_t signal;
    return sent(put(signal, no_wait{}));
  }
  template <class Rep, class Period>
  [[nodiscard]] send_result try_send_for(std::chrono::duration<Rep, Period> d) const
    requires(!has_values)
  {
    value_t signal;
    return sent(put(signal, wait_until_time{deadline_after(d)}));
  }
  template <class Clock, class Duration>
  [[nodiscard]] send_result try_send_until(std::chrono::time_point<Clock, Duration> at) const
    requires(!has_values)
  {
    value_t signal;
    return sent(put(signal, wait_until_time{deadline_at(at)}));
  }

  /// Sends the elements of a range in their order, as send() does each; others may send between them.
  ///
  /// Effects: the elements of an owning rvalue (`std::move(vector)`) are moved, others copied; one that was not sent is as it was.
  /// Returns: how many were sent; fewer than all only if the channel is closed, or the limit was reached.
  /// Cost: of a contiguous range, moved or copied noexcept, one atomic read-modify-write for as many as there is room for.
  /// Throws: what copying an element throws, and std::bad_alloc (unbounded): those before it have been sent. Of a range that can be
  /// gone through only once (another channel), the element that was not sent is lost with it.
  template <class R>
    requires has_values && range_of_values<R, value_t>
  std::size_t send_many(R&& range) const {
    return put_many(std::forward<R>(range), no_limit);
  }
  /// The same, until the context is done.
  template <class R>
    requires has_values && range_of_values<R, value_t>
  [[nodiscard]] std::size_t send_many(const context& ctx, R&& range) const {
    return put_many(std::forward<R>(range), wait_for_context{ctx});
  }
  /// The same, as many as can be sent without waiting.
  template <class R>
    requires has_values && range_of_values<R, value_t>
  [[nodiscard]] std::size_t try_send_many(R&& range) const {
    return put_many(std::forward<R>(range), no_wait{});
  }
  /// The same, up to a time for all of them together.
  template <class Rep, class Period, class R>
    requires has_values && range_of_values<R, value_t>
  [[nodiscard]] std::size_t try_send_many_for(std::chrono::duration<Rep, Period> d, R&& range) const {
    return put_many(std::forward<R>(range), wait_until_time{deadline_after(d)});
  }
  template <class Clock, class Duration, class R>
    requires has_values && range_of_values<R, value_t>
  [[nodiscard]] std::size_t try_send_many_until(std::chrono::time_point<Clock, Duration> at, R&& range) const {
    return put_many(std::forward<R>(range), wait_until_time{deadline_at(at)});
  }

  // For coroutines, which wait without their thread: `co_await ch.async_send(value)`. As the forms without async_. What they are given must
  // live until then: a temporary does where it is awaited at once.

  [[nodiscard]] auto async_send(value_t&& value) const
    requires has_values
  {
    return send_awaiter<value_t>(channel_access::core(*this), std::addressof(value));
  }
  template <class V = value_t>
    requires has_values && std::copy_constructible<V>
  [[nodiscard]] auto async_send(const value_t& value) const {
    return copy_sender<value_t, send_awaiter<value_t>>(value, channel_access::core(*this));
  }
  [[nodiscard]] auto async_send(const context& ctx, value_t&& value) const
    requires has_values
  {
    return limited_send_awaiter<value_t>(ctx, channel_access::core(*this), std::addressof(value));
  }
  template <class V = value_t>
    requires has_values && std::copy_constructible<V>
  [[nodiscard]] auto async_send(const context& ctx, const value_t& value) const {
    return copy_sender<value_t, limited_send_awaiter<value_t>>(value, ctx, channel_access::core(*this));
  }
  [[nodiscard]] auto async_send() const
    requires(!has_values)
  {
    return copy_sender<value_t, send_awaiter<value_t>>(value_t(), channel_access::core(*this));
  }
  [[nodiscard]] auto async_send(const context& ctx) const
    requires(!has_values)
  {
    return copy_sender<value_t, limited_send_awaiter<value_t>>(value_t(), ctx, channel_access::core(*this));
  }
  /// Cost: one allocation.
  template <class R>
    requires has_values && range_of_values<R, value_t>
  [[nodiscard]] task<std::size_t> async_send_many(R&& range) const {
    return put_many_from(send_end(), context(), std::forward<R>(range));
  }
  template <class R>
    requires has_values && range_of_values<R, value_t>
  [[nodiscard]] task<std::size_t> async_send_many(const context& ctx, R&& range) const {
    return put_many_from(send_end(), ctx, std::forward<R>(range));
  }

  /// Closes the channel: receivers get what is still in it and then `closed`, waiting and later sends fail.
  /// Blocks: never. Throws: channel_closed if close() was called before; std::logic_error on a nil channel.
  /// Synchronizes: the call happens before whatever learns that the channel is closed.
  /// Semantics: Go spec, "Close". Differs: a channel also closes when the last handle that can send, or receive, has gone.
  void close() const {
    auto* const core = channel_access::core(*this);
    if (core == nullptr) throw std::logic_error("runnel: close of a nil channel");
    if (!core->close()) throw channel_closed("runnel: close of a closed " + core->describe());
  }

 protected:
  using Base::Base;
  send_operations() noexcept = default;

 private:
  [[nodiscard]] bool put_at_once(value_t& value) const noexcept {
    auto* const core = channel_access::core(*this);
    return core != nullptr && core->send_at_once(value);
  }
  template <class Limit>
  RUNNEL_ALWAYS_INLINE status put(value_t& value, const Limit& limit) const {
    return put_at_once(value) ? status::ok : put_again(value, limit);
  }
  template <class Limit>
  RUNNEL_NOINLINE status put_again(value_t& value, const Limit& limit) const {
    auto* const core = channel_access::core(*this);
    if (core != nullptr) [[likely]] {
      const trial t = core->try_send_again(value);
      if (t != trial::would_block) return as_status(t);
    }
    return limit.template wait<send_event<value_t>>(core, std::addressof(value));
  }
  /// What is rare is called last: the rest saves no registers.
  void send_one(value_t& value) const {
    if (!put_at_once(value)) [[unlikely]]
      send_again(value);
  }
  RUNNEL_NOINLINE void send_again(value_t& value) const {
    if (put_again(value, no_limit) != status::ok) throw_closed();
  }
  RUNNEL_NOINLINE void throw_closed() const {
    throw channel_closed("runnel: send on a closed " + channel_access::core(*this)->describe());
  }
  [[nodiscard]] send_channel<T> send_end() const { return channel_access::send_end<T>(channel_access::core(*this)); }
  template <class R>
  static task<std::size_t> put_many_from(send_channel<T> to, context ctx, R&& range) {
    using reference = std::ranges::range_reference_t<R>;
    std::size_t count = 0;
    auto at = std::ranges::begin(range);
    for (const auto end = std::ranges::end(range); at != end;) {
      if constexpr (batch_of_values<R, value_t>) {
        const std::ptrdiff_t batch = send_batch<R>(channel_access::core(to), at, end);
        count += static_cast<std::size_t>(batch);
        at += batch;
        if (batch != 0) continue;
      }
      auto&& element = *at;
      if constexpr (gives_away<R, value_t>) {
        const send_result one = co_await to.async_send(ctx, static_cast<value_t&&>(element));
        if (!one) break;
      } else {
        value_t value(std::forward<reference>(element));
        const send_result one = co_await to.async_send(ctx, std::move(value));
        if (!one) break;
      }
      ++count;
      ++at;
    }
    co_return count;
  }
  template <class R, class Limit>
  std::size_t put_many(R&& range, const Limit& limit) const {
    using reference = std::ranges::range_reference_t<R>;
    std::size_t count = 0;
    auto at = std::ranges::begin(range);
    for (const auto end = std::ranges::end(range); at != end;) {
      if constexpr (batch_of_values<R, value_t>) {
        const std::ptrdiff_t batch = send_batch<R>(channel_access::core(*this), at, end);
        count += static_cast<std::size_t>(batch);
        at += batch;
        if (batch != 0) continue;
      }
      auto&& element = *at;
      if constexpr (gives_away<R, value_t>) {
        if (put(element, limit) != status::ok) break;
      } else {
        value_t value(std::forward<reference>(element));
        if (put(value, limit) != status::ok) break;
      }
      ++count;
      ++at;
    }
    return count;
  }
};

}  // namespace runnel::inline RUNNEL_ABI::detail
