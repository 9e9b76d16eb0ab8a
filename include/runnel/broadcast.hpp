// broadcast: each value goes to all who have subscribed.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/semaphore.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace runnel::inline RUNNEL_ABI {

/// What becomes of a value that a subscriber has no room for.
enum class lag : std::uint8_t {
  wait,         ///< whoever sends waits for room: the slowest subscriber sets the pace
  drop_oldest,  ///< the oldest value that waits for that subscriber is dropped: it misses some
  close         ///< the subscriber gets what waits for it, and then `closed`
};

template <class T>
class broadcast;

/// A subscriber's end of a broadcast: it can do whatever a recv_channel can, converts to one, and counts what it has missed.
///
/// It gets the values that are sent from subscribe() on, in the order that all others see, until the broadcast is closed. Copies, and
/// the recv_channels that it was converted to, are the same subscriber, which unsubscribes when the last of them has gone: that holds up
/// nobody. A default-made or moved-from one is nil. Thread safety: as recv_channel.
template <class T>
class subscription : public detail::recv_operations<T, detail::channel_handle<T, detail::one_receiver>> {
  using base = detail::recv_operations<T, detail::channel_handle<T, detail::one_receiver>>;

 public:
  using value_type = T;

  subscription() noexcept = default;

  // NOLINTNEXTLINE(google-explicit-constructor): where an end is taken, a subscription is
  operator recv_channel<T>() const noexcept { return detail::channel_access::recv_end<T>(detail::channel_access::core(*this)); }

  /// How many values it has missed: with drop_oldest those that were dropped; with lag::close 1, when it was closed for that. What is
  /// received after a gap comes after the count of the gap.
  [[nodiscard]] std::uint64_t lagged() const noexcept {
    return missed_ == nullptr ? 0 : missed_->load(detail::relaxed);  // relaxed: a number alone; the channel orders it
  }

 private:
  friend class broadcast<T>;
  using counter = detail::atomic<std::uint64_t>;
  subscription(const recv_channel<T>& source, std::shared_ptr<counter> missed) noexcept
      : base(detail::channel_access::core(source)), missed_(std::move(missed)) {}

  std::shared_ptr<counter> missed_;
};

/// Sends each value to all subscribers, who come and go. Without any, values are dropped.
///
/// All subscribers see one order. `capacity` values may wait for each of them; what happens beyond that is the same for all: lag::wait,
/// drop_oldest or close. Closing, or destroying, a broadcast lets subscribers get what waits for them, and then `closed`.
/// Use this where receivers come and go, or may miss values; tee if their number is fixed and they belong to one group; a channel where
/// each value is for one of them.
/// Thread safety: all members. It must outlive the calls of its members, not its subscriptions.
/// Cost of a send: a copy of the value, which must be copyable, for each subscriber but one, made before anything else happens and under
/// no lock; one allocation if there are several. Example: examples/broadcast.cpp
/// Synchronizes: a send happens before the return of each receive that gets the value.
/// Semantics: Tokio's sync::broadcast (drop_oldest). Differs: slow subscribers may be waited for, or closed, instead.
template <class T>
class broadcast {
  static_assert(std::copy_constructible<T>, "runnel::broadcast: each subscriber gets a copy of each value");
  using core = detail::channel_core<T>;

 public:
  using value_type = T;

  /// With lag::wait, a capacity of 0 makes each send wait until all subscribers have taken the value: a rendezvous, but for a send that
  /// may not wait, or no longer, which is ok once the value is on its way to all.
  /// Throws: std::invalid_argument for a capacity of 0 with the others.
  explicit broadcast(std::size_t capacity, lag policy = lag::wait) : capacity_(capacity), policy_(policy) {
    if (capacity == 0 && policy != lag::wait)
      throw std::invalid_argument("runnel::broadcast: with a capacity of 0 every value would be dropped");
  }
  broadcast(const broadcast&) = delete;
  broadcast& operator=(const broadcast&) = delete;
  ~broadcast() { close_all(); }

  /// Adds a subscriber. Of a closed broadcast it is drained. Blocks: never. Throws: std::bad_alloc; std::length_error as channel.
  [[nodiscard]] subscription<T> subscribe() {
    auto ends = make_channel<T>(std::max<std::size_t>(capacity_, 1));
    auto missed = std::make_shared<counter>(0);
    subscription<T> made(ends.recv, missed);
    subscriber added{std::move(ends.send), std::move(missed)};
    std::vector<subscriber> storage;
    detail::scoped_lock lock(mutex_);
    while (subscribers_.size() == std::max(subscribers_.capacity(), storage.capacity()) && !closed_) {
      const std::size_t n = subscribers_.size();
      lock.unlock();
      storage.reserve(2 * n + 2);
      lock.lock(mutex_);
    }
    if (closed_) return made;
    if (storage.capacity() > subscribers_.capacity()) {
      std::ranges::move(subscribers_, std::back_inserter(storage));
      subscribers_.swap(storage);
    }
    subscribers_.push_back(std::move(added));
    return made;
  }

  /// Sends a value to all who are subscribed.
  ///
  /// Effects: all of them get it, or, if this fails, none. Calls that wait are served first come, first served.
  /// Blocks: with lag::wait, while a subscriber has no room; else never. Throws: channel_closed if the broadcast is closed, or closes
  /// meanwhile; what a copy throws: then nobody gets the value.
  void send(T&& value) { must_be_sent(put(value, forever)); }
  void send(const T& value) { send(T(value)); }
  /// The same, until the context is done. Returns: ok, closed, or how the context ended; what can be sent is, even then.
  [[nodiscard]] send_result send(const context& ctx, T&& value) {
    return detail::sent(put(value, [&](selectable& event) { return detail::wait_event(ctx, event); }));
  }
  [[nodiscard]] send_result send(const context& ctx, const T& value) { return send(ctx, T(value)); }
  /// The same, without waiting. Returns: ok, closed, or would_block: a subscriber has no room, or others wait to send.
  [[nodiscard]] send_result try_send(T&& value) {
    return detail::sent(put(value, [](selectable& event) { return detail::try_event(event); }));
  }
  [[nodiscard]] send_result try_send(const T& value) { return try_send(T(value)); }
  /// The same, up to a time of any clock. Returns: ok, closed or timed_out.
  template <class Rep, class Period>
  [[nodiscard]] send_result try_send_for(std::chrono::duration<Rep, Period> d, T&& value) {
    return put_until(detail::deadline_after(d), value);
  }
  template <class Rep, class Period>
  [[nodiscard]] send_result try_send_for(std::chrono::duration<Rep, Period> d, const T& value) {
    return try_send_for(d, T(value));
  }
  template <class Clock, class Duration>
  [[nodiscard]] send_result try_send_until(std::chrono::time_point<Clock, Duration> at, T&& value) {
    return put_until(detail::deadline_at(at), value);
  }
  template <class Clock, class Duration>
  [[nodiscard]] send_result try_send_until(std::chrono::time_point<Clock, Duration> at, const T& value) {
    return try_send_until(at, T(value));
  }
  /// For coroutines: `co_await hub.async_send(value)`. As the forms without async_; an rvalue must live until it has ended.
  /// Cost: one allocation more.
  [[nodiscard]] task<> async_send(T&& value) { return send_as_coroutine(*this, std::addressof(value)); }
  [[nodiscard]] task<> async_send(const T& value) { return send_copy(*this, value); }
  [[nodiscard]] task<send_result> async_send(const context& ctx, T&& value) {
    return send_as_coroutine(*this, ctx, std::addressof(value));
  }
  [[nodiscard]] task<send_result> async_send(const context& ctx, const T& value) { return send_copy(*this, ctx, value); }

  /// Closes the broadcast: subscribers get what waits for them and then `closed`, waiting and later sends fail.
  /// Blocks: never. Throws: channel_closed if close() was called before.
  void close() {
    if (!close_all()) throw channel_closed("runnel: close of a closed broadcast");
  }
  [[nodiscard]] bool closed() const noexcept {
    const detail::scoped_lock lock(mutex_);
    return closed_;
  }

 private:
  using counter = detail::atomic<std::uint64_t>;
  struct subscriber {
    send_channel<T> to;
    std::shared_ptr<counter> missed;
  };
  static core& core_of(const send_channel<T>& to) noexcept { return *detail::channel_access::core(to); }

  /// One send: the value, and what it needs besides. User's objects are made and destroyed with it, under no lock.
  struct sending {
    explicit sending(T* v) noexcept : value(v) {}
    T* value;
    std::vector<T> copies;
    std::vector<T> dropped;
    send_channel<T> full;  // whom it waits for
  };
  enum class step : std::uint8_t { sent, closed, lacks_copies, lacks_room };

  /// Who sends with lag::wait, one after the other.
  class turn {
   public:
    explicit turn(semaphore& of) noexcept : of_(&of) {}
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() { of_->release(); }

   private:
    semaphore* of_;
  };

  static constexpr auto forever = [](selectable& event) { return detail::wait_event(event, detail::never); };

  /// As many copies as there are subscribers besides one.
  void make_copies(sending& s) const {
    std::size_t n = 0;
    {
      const detail::scoped_lock lock(mutex_);
      n = subscribers_.size();
    }
    if (policy_ == lag::drop_oldest) s.dropped.reserve(n);
    if (n < 2) return;
    s.copies.reserve(n - 1);
    while (s.copies.size() < n - 1) s.copies.push_back(std::as_const(*s.value));
  }
  /// Sends if all have room. Under the lock values are moved, and receivers posted to their places.
  step try_deliver(sending& s) {
    s.full = nullptr;
    const detail::scoped_lock lock(mutex_);
    if (closed_) return step::closed;
    std::erase_if(subscribers_, has_gone);
    if (policy_ == lag::wait && find_full(s)) return step::lacks_room;
    const std::size_t n = subscribers_.size();
    if (n > s.copies.size() + 1 || (policy_ == lag::drop_oldest && n > s.dropped.capacity())) return step::lacks_copies;
    for (std::size_t i = 0; i < n; ++i) deliver(subscribers_[i], i + 1 < n ? s.copies[i] : *s.value, s.dropped);
    return step::sent;
  }
  void deliver(subscriber& to, T& value, std::vector<T>& dropped) {
    core& channel = core_of(to.to);
    while (channel.try_send(value) == detail::trial::would_block) {
      if (policy_ == lag::close) {
        to.missed->fetch_add(1, detail::relaxed);  // relaxed: as in lagged; close() publishes it
        channel.close_if_open();
        return;
      }
      detail::storage<T> oldest;
      if (!channel.pop_if_full(oldest.get())) continue;
      to.missed->fetch_add(1, detail::relaxed);  // relaxed: as in lagged; the send publishes it
      dropped.push_back(std::move(*oldest.get()));
      std::destroy_at(oldest.get());
    }
  }
  /// Whether somebody has no room; then `s` keeps that channel. Under the lock.
  bool find_full(sending& s) const {
    const auto full = std::ranges::find_if(subscribers_, [](const subscriber& to) { return core_of(to.to).is_full(); });
    if (full == subscribers_.end()) return false;
    s.full = full->to;
    return true;
  }
  bool anyone_full(sending& s) const {
    s.full = nullptr;
    const detail::scoped_lock lock(mutex_);
    return find_full(s);
  }
  static bool has_gone(const subscriber& to) { return to.to.closed(); }

  /// Where nobody is waited for.
  status put_at_once(sending& s) {
    for (;;) {
      make_copies(s);
      const step done = try_deliver(s);
      if (done != step::lacks_copies) return done == step::sent ? status::ok : status::closed;
    }
  }
  /// `wait` waits for the event that it is given.
  template <class Wait>
  status put(T& value, const Wait& wait) {
    sending s(std::addressof(value));
    if (policy_ != lag::wait) return put_at_once(s);
    for (;;) {
      make_copies(s);
      detail::semaphore_event first(turns_, 1);
      if (const status end = wait(first); end != status::ok) return end;
      const turn mine(turns_);
      step done = try_deliver(s);
      for (; done == step::lacks_room; done = try_deliver(s)) {
        detail::room_event<T> room(core_of(s.full));
        if (const status end = wait(room); end != status::ok) return end;
      }
      if (done == step::closed) return status::closed;
      if (done == step::lacks_copies) continue;
      while (capacity_ == 0 && anyone_full(s)) {
        detail::room_event<T> taken(core_of(s.full));
        if (wait(taken) != status::ok) break;
      }
      return status::ok;
    }
  }
  send_result put_until(time_point deadline, T& value) {
    return detail::sent(put(value, [&](selectable& event) { return detail::wait_event(event, deadline); }));
  }
  /// The same for a coroutine. A null context is no limit.
  static task<status> put_as_coroutine(broadcast& hub, const context* ctx, T* value) {
    using waits = detail::happening_awaiter<detail::room_event<T>>;
    using waits_limited = detail::limited_happening_awaiter<detail::room_event<T>>;
    sending s(value);
    if (hub.policy_ != lag::wait) co_return hub.put_at_once(s);
    for (;;) {
      hub.make_copies(s);
      if (ctx == nullptr) {
        co_await hub.turns_.async_acquire();
      } else {
        const auto first = co_await hub.turns_.async_acquire(*ctx);
        if (!first) co_return first.status();
      }
      const turn mine(hub.turns_);
      step done = hub.try_deliver(s);
      for (; done == step::lacks_room; done = hub.try_deliver(s)) {
        if (ctx == nullptr) {
          co_await waits(core_of(s.full));
        } else {
          const auto room = co_await waits_limited(*ctx, core_of(s.full));
          if (!room) co_return room.status();
        }
      }
      if (done == step::closed) co_return status::closed;
      if (done == step::lacks_copies) continue;
      while (hub.capacity_ == 0 && hub.anyone_full(s)) {
        if (ctx == nullptr) {
          co_await waits(core_of(s.full));
        } else {
          const auto taken = co_await waits_limited(*ctx, core_of(s.full));
          if (!taken) break;
        }
      }
      co_return status::ok;
    }
  }
  static task<> send_as_coroutine(broadcast& hub, T* value) {
    const status s = co_await put_as_coroutine(hub, nullptr, value);
    must_be_sent(s);
  }
  static task<send_result> send_as_coroutine(broadcast& hub, const context& ctx, T* value) {
    const status s = co_await put_as_coroutine(hub, &ctx, value);
    co_return detail::sent(s);
  }
  static task<> send_copy(broadcast& hub, T value) {
    const status s = co_await put_as_coroutine(hub, nullptr, std::addressof(value));
    must_be_sent(s);
  }
  static task<send_result> send_copy(broadcast& hub, const context& ctx, T value) {
    const status s = co_await put_as_coroutine(hub, &ctx, std::addressof(value));
    co_return detail::sent(s);
  }
  static void must_be_sent(status s) {
    if (s != status::ok) throw channel_closed("runnel: send on a closed broadcast");
  }
  /// False: it is closed already.
  bool close_all() {
    std::vector<subscriber> ended;
    {
      const detail::scoped_lock lock(mutex_);
      if (std::exchange(closed_, true)) return false;
      ended.swap(subscribers_);
    }
    // Not by dropping the ends: a send that waits for room keeps one of them.
    for (const subscriber& to : ended) core_of(to.to).close_if_open();
    return true;
  }

  const std::size_t capacity_;
  const lag policy_;
  semaphore turns_{1};
  mutable detail::mutex mutex_;
  std::vector<subscriber> subscribers_;
  bool closed_ = false;
};

}  // namespace runnel::inline RUNNEL_ABI
