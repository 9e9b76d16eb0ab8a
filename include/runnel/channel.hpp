// Channels: values go from those who send to those who receive, in order, until the channel is closed. Go's channels.
#pragma once

#include <runnel/detail/channel_recv.hpp>
#include <runnel/detail/channel_send.hpp>

namespace runnel::inline RUNNEL_ABI {

/// A channel of T: a handle that can send, receive and close. Copies name the same channel.
///
/// States: open -> closed (sends fail; receives go on) -> drained (closed and empty). It is closed by close(), or when the last
/// handle that can send, or the last that can receive, has gone; with the latter, what is in it is destroyed.
/// T: an object type, cv-unqualified, no array, that moves without throwing; or void, for signals. It may be incomplete where a
/// handle is declared. A handle is as large as a pointer; a moved-from one is nil: plain operations on it wait for ever, try_
/// forms answer would_block. Values come out in the order in which they went in; waiters are served first come, first served.
/// Use this to hand values over and to signal; pass on the two ends of make_channel, which say who does what, and close by
/// themselves; use guarded for state that several tasks change.
/// Thread safety: all members but assignment, from any number of threads. Example: examples/channel.cpp
/// Semantics: Go spec, "Channel types". Differs: a channel also closes with the lifetime of its handles; unbounded ones exist.
template <class T>
  requires detail::channel_value<T>
class channel : public detail::recv_operations<
                    T, detail::send_operations<T, detail::channel_handle<T, detail::one_sender + detail::one_receiver>>> {
  using base =
      detail::recv_operations<T, detail::send_operations<T, detail::channel_handle<T, detail::one_sender + detail::one_receiver>>>;
  using core = typename base::core_type;

 public:
  using value_type = T;

  /// A rendezvous channel: a send and a receive wait for each other. Throws: std::bad_alloc.
  channel() : channel(0) {}
  /// A channel in which at most `capacity` values wait, exactly; 0: rendezvous. All storage is allocated here.
  /// Throws: std::bad_alloc; std::length_error for a capacity without meaning, as from a negative number.
  explicit channel(std::size_t capacity) : base(typename base::adopt{}, new core(capacity)) {}
  /// A channel in which any number of values wait: a send never does. Memory: segments of 63 values, freed as they are received.
  /// Throws: std::bad_alloc, as its sends may.
  explicit channel(unbounded_t /*unbounded*/) : base(typename base::adopt{}, new core(typename core::unbounded_store{})) {}
  /// Go's nil channel, from `nullptr` itself only.
  template <std::same_as<std::nullptr_t> Null>
  channel(Null /*null*/) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil
};

/// The end that sends: it can send and close, not receive. Made from a channel<T>, or by make_channel; default-made it is nil.
template <class T>
class send_channel : public detail::send_operations<T, detail::channel_handle<T, detail::one_sender>> {
  using base = detail::send_operations<T, detail::channel_handle<T, detail::one_sender>>;

 public:
  using value_type = T;

  send_channel() noexcept = default;
  template <std::same_as<std::nullptr_t> Null>
  send_channel(Null /*null*/) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil
  /// The sending end of a channel. NOLINTNEXTLINE(google-explicit-constructor): as Go's conversion
  send_channel(const channel<T>& whole) noexcept : base(detail::channel_access::core(whole)) {}

 private:
  friend struct detail::channel_access;
  explicit send_channel(typename base::core_type* core) noexcept : base(core) {}
};

/// The end that receives: it can receive, not send or close. Made from a channel<T>, or by make_channel; default-made it is nil.
template <class T>
class recv_channel : public detail::recv_operations<T, detail::channel_handle<T, detail::one_receiver>> {
  using base = detail::recv_operations<T, detail::channel_handle<T, detail::one_receiver>>;

 public:
  using value_type = T;

  recv_channel() noexcept = default;
  template <std::same_as<std::nullptr_t> Null>
  recv_channel(Null /*null*/) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil
  /// The receiving end of a channel. NOLINTNEXTLINE(google-explicit-constructor): as Go's conversion
  recv_channel(const channel<T>& whole) noexcept : base(detail::channel_access::core(whole)) {}

 private:
  friend struct detail::channel_access;
  explicit recv_channel(typename base::core_type* core) noexcept : base(core) {}
};

/// The two ends of one channel.
template <class T>
struct channel_ends {
  send_channel<T> send;
  recv_channel<T> recv;
};

/// Makes a channel and answers its two ends, and no third handle: it closes when either end's last handle has gone.
/// Throws: as channel's constructors.
template <class T>
[[nodiscard]] channel_ends<T> make_channel(std::size_t capacity = 0) {
  const channel<T> whole(capacity);
  return {whole, whole};
}
template <class T>
[[nodiscard]] channel_ends<T> make_channel(unbounded_t size) {
  const channel<T> whole(size);
  return {whole, whole};
}

/// Closes a channel at the end of its scope, unless somebody has by then. Go's `defer close(ch)`. Keeps a handle; never throws.
class close_on_exit {
 public:
  /// Throws: std::logic_error if the channel is nil.
  template <class T, class Base>
  explicit close_on_exit(const detail::send_operations<T, Base>& sender)
      : core_(detail::channel_access::core(sender)), close_(&close<detail::payload<T>>) {
    if (core_ == nullptr) throw std::logic_error("runnel::close_on_exit: the channel is nil");
    detail::channel_access::core(sender)->acquire_handles(detail::one_sender);
  }
  close_on_exit(const close_on_exit&) = delete;
  close_on_exit& operator=(const close_on_exit&) = delete;
  ~close_on_exit() { close_(core_); }

 private:
  template <class Payload>
  static void close(void* core) noexcept {
    auto& channel = *static_cast<detail::channel_core<Payload>*>(core);
    channel.close_if_open();
    channel.release_handles(detail::one_sender);
  }

  void* core_;
  void (*close_)(void*) noexcept;
};

}  // namespace runnel::inline RUNNEL_ABI
