// What the three kinds of handles of a channel have in common: a counted reference to the core, and the questions to it.
#pragma once

#include <runnel/detail/channel_core.hpp>

#include <concepts>
#include <cstddef>

namespace runnel::inline RUNNEL_ABI {

/// Given as a capacity: as much as there is memory for.
struct unbounded_t {
  explicit unbounded_t() = default;
};
inline constexpr unbounded_t unbounded{};

template <class T>
class send_channel;
template <class T>
class recv_channel;

namespace detail {

/// The types that a channel can carry.
template <class T>
concept channel_value =
    std::is_same_v<T, std::remove_cv_t<T>> && (std::is_void_v<T> || (std::is_object_v<T> && !std::is_array_v<T>));

struct channel_access;

/// A handle that counts as `Handles` of its channel's senders and receivers. Nil if it names none.
template <class T, std::uint64_t Handles>
class channel_handle {
 public:
  /// Whether close() was called, or one side's last handle has gone. A nil channel is not closed. Blocks: never.
  [[nodiscard]] bool closed() const noexcept { return core_ != nullptr && core_->closed(); }
  /// Whether it is closed and empty: once true, always true. A nil channel is not drained. Blocks: never.
  [[nodiscard]] bool drained() const noexcept { return core_ != nullptr && core_->drained(); }
  /// How many values wait in it; out of date as soon as others use it. 0 for a rendezvous channel and a nil one.
  [[nodiscard]] std::size_t size() const noexcept { return core_ == nullptr ? 0 : core_->size(); }
  /// How many values may wait in it: exactly what it was made with; SIZE_MAX if unbounded; 0 for a nil channel.
  [[nodiscard]] std::size_t capacity() const noexcept { return core_ == nullptr ? 0 : core_->capacity(); }

 protected:
  using core_type = channel_core<payload<T>>;

  channel_handle() noexcept = default;
  struct adopt {};
  channel_handle(adopt, core_type* core) noexcept : core_(core) {}
  explicit channel_handle(core_type* core) noexcept : core_(core) {
    if (core_ != nullptr) core_->acquire_handles(Handles);
  }
  channel_handle(const channel_handle& other) noexcept : channel_handle(other.core_) {}
  channel_handle(channel_handle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  channel_handle& operator=(const channel_handle& other) noexcept {
    channel_handle(other).swap(*this);
    return *this;
  }
  channel_handle& operator=(channel_handle&& other) noexcept {
    channel_handle(std::move(other)).swap(*this);
    return *this;
  }
  ~channel_handle() {
    if (core_ != nullptr) core_->release_handles(Handles);
  }

  void swap(channel_handle& other) noexcept { std::swap(core_, other.core_); }

 private:
  friend struct channel_access;

  core_type* core_ = nullptr;
};

struct channel_access {
  /// What a handle names; null if it is nil.
  template <class T, std::uint64_t Handles>
  static channel_core<payload<T>>* core(const channel_handle<T, Handles>& handle) noexcept {
    return handle.core_;
  }
  /// New ends of what is named here.
  template <class T>
  static send_channel<T> send_end(channel_core<payload<T>>* core) noexcept {
    return send_channel<T>(core);
  }
  template <class T>
  static recv_channel<T> recv_end(channel_core<payload<T>>* core) noexcept {
    return recv_channel<T>(core);
  }
};

/// Handles of any two kinds are equal if they name the same channel.
template <class T, std::uint64_t A, std::uint64_t B>
[[nodiscard]] bool operator==(const channel_handle<T, A>& a, const channel_handle<T, B>& b) noexcept {
  return channel_access::core(a) == channel_access::core(b);
}
/// Whether a handle is nil.
template <class T, std::uint64_t A, std::same_as<std::nullptr_t> Null>
[[nodiscard]] bool operator==(const channel_handle<T, A>& a, Null /*null*/) noexcept {
  return channel_access::core(a) == nullptr;
}

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
