// The forms of recv: what a handle that can receive adds to the handle.
#pragma once

#include <runnel/detail/channel_send.hpp>

#include <iterator>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

template <class T, class Base>
class recv_operations : public Base {
  using value_t = payload<T>;
  static constexpr bool has_values = !std::is_void_v<T>;

 public:
  /// Receives the value that has been in the channel longest.
  ///
  /// Returns: the value, or `closed`, once the channel is closed and drained. Blocks: until then; for ever on a nil channel.
  /// Cost: without contention one atomic read-modify-write; waiting allocates nothing.
  /// Synchronizes: the send of the value, or the close, happens before the return; on a rendezvous channel the call also
  /// happens before the return of the send. Semantics: Go spec, "Receive operator".
  recv_result<T> recv() const { return get(no_limit); }
  /// The same, until the context is done. Returns: the value, closed, or how the context ended: canceled or timed_out.
  recv_result<T> recv(const context& ctx) const { return get(wait_for_context{ctx}); }
  /// The same, without waiting. Returns: the value, closed or would_block. Blocks: never.
  recv_result<T> try_recv() const { return get(no_wait{}); }
  /// The same, up to a time of any clock. Returns: the value, closed or timed_out.
  template <class Rep, class Period>
  recv_result<T> try_recv_for(std::chrono::duration<Rep, Period> d) const {
    return get(wait_until_time{deadline_after(d)});
  }
  template <class Clock, class Duration>
  recv_result<T> try_recv_until(std::chrono::time_point<Clock, Duration> at) const {
    return get(wait_until_time{deadline_at(at)});
  }

  /// Receives several: waits for one, and appends it and what else is there, up to `max`, to `out`.
  ///
  /// Returns: how many; 0 if the channel is closed and drained, the limit was reached, or max is 0.
  /// Throws: std::bad_alloc; what was received until then has been appended.
  std::size_t recv_many(std::vector<T>& out, std::size_t max) const
    requires has_values
  {
    return get_many(out, max, no_limit);
  }
  /// The same, until the context is done; without waiting; up to a time.
  std::size_t recv_many(const context& ctx, std::vector<T>& out, std::size_t max) const
    requires has_values
  {
    return get_many(out, max, wait_for_context{ctx});
  }
  std::size_t try_recv_many(std::vector<T>& out, std::size_t max) const
    requires has_values
  {
    return get_many(out, max, no_wait{});
  }
  template <class Rep, class Period>
  std::size_t try_recv_many_for(std::chrono::duration<Rep, Period> d, std::vector<T>& out, std::size_t max) const
    requires has_values
  {
    return get_many(out, max, wait_until_time{deadline_after(d)});
  }
  template <class Clock, class Duration>
  std::size_t try_recv_many_until(std::chrono::time_point<Clock, Duration> at, std::vector<T>& out, std::size_t max) const
    requires has_values
  {
    return get_many(out, max, wait_until_time{deadline_at(at)});
  }

  // For coroutines, which wait without their thread: `auto value = co_await ch.async_recv()`. As the forms without async_.

  [[nodiscard]] recv_awaiter<T> async_recv() const { return recv_awaiter<T>(channel_access::core(*this)); }
  [[nodiscard]] limited_recv_awaiter<T> async_recv(const context& ctx) const {
    return limited_recv_awaiter<T>(ctx, channel_access::core(*this));
  }
  [[nodiscard]] auto async_recv_many(std::vector<T>& out, std::size_t max) const
    requires has_values
  {
    return recv_many_awaiter<T, recv_awaiter<T>>(out, max, channel_access::core(*this));
  }
  [[nodiscard]] auto async_recv_many(const context& ctx, std::vector<T>& out, std::size_t max) const
    requires has_values
  {
    return recv_many_awaiter<T, limited_recv_awaiter<T>>(out, max, channel_access::core(*this), ctx);
  }

  /// An input iterator over what is received; it has received the value that it stands on, and counts as a receiver.
  class iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit iterator(const recv_operations& channel)
        : channel_(channel_access::recv_end<T>(channel_access::core(channel))), current_(channel_.recv()) {}

    [[nodiscard]] value_t& operator*() const noexcept { return *current_; }
    [[nodiscard]] value_t* operator->() const noexcept { return current_.operator->(); }
    iterator& operator++() {
      current_ = channel_.recv();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& it, std::default_sentinel_t /*end*/) noexcept { return !it.current_; }

   private:
    recv_channel<T> channel_;
    mutable recv_result<T> current_;
  };
  /// `for (T& value : channel)`: receives until the channel is closed and drained. Semantics: Go's `for v := range ch`.
  [[nodiscard]] iterator begin() const
    requires has_values
  {
    return iterator(*this);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept
    requires has_values
  {
    return {};
  }

 protected:
  using Base::Base;
  recv_operations() noexcept = default;

 private:
  template <class Limit>
  RUNNEL_ALWAYS_INLINE status take(value_t* to, const Limit& limit) const {
    auto* const core = channel_access::core(*this);
    return core != nullptr && core->recv_at_once(to) ? status::ok : take_again(to, limit);
  }
  template <class Limit>
  RUNNEL_NOINLINE status take_again(value_t* to, const Limit& limit) const {
    auto* const core = channel_access::core(*this);
    if (core != nullptr) [[likely]] {
      const trial t = core->try_recv_again(to);
      if (t != trial::would_block) return as_status(t);
    }
    return limit.template wait<recv_event<value_t>>(core, to);
  }
  template <class Limit>
  RUNNEL_ALWAYS_INLINE recv_result<T> get(const Limit& limit) const {
    auto answer = result_access::failed<T>(status::would_block);
    if constexpr (has_values) {
      result_access::set(answer, take(result_access::place(answer), limit));
    } else {
      storage<value_t> signal;
      result_access::set(answer, take(signal.get(), limit));
    }
    return answer;
  }
  template <class Limit>
  std::size_t get_many(std::vector<value_t>& out, std::size_t max, const Limit& limit) const {
    if (max == 0) return 0;
    auto* const core = channel_access::core(*this);
    if (core != nullptr) {
      const std::size_t count = append_received(*core, out, max);
      if (count != 0) return count;
    }
    detail::make_room(out);
    storage<value_t> room;
    if (limit.template wait<recv_event<value_t>>(core, room.get()) != status::ok) return 0;
    out.push_back(std::move(*room.get()));
    std::destroy_at(room.get());
    return 1 + append_received(*core, out, max - 1);
  }
};

}  // namespace runnel::inline RUNNEL_ABI::detail
