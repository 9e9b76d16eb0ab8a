// Where a channel keeps its values: a class of its own, for what is the same whether or not somebody waits.
//
// Three stores: none (rendezvous: values go from call to call), a ring (exactly n), segments (unbounded).
#pragma once

#include <runnel/detail/segments.hpp>
#include <runnel/detail/storage.hpp>
#include <runnel/detail/type_name.hpp>

#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace runnel::inline RUNNEL_ABI::detail {

/// What a channel<void> carries.
struct nothing {};

template <class T>
using payload = std::conditional_t<std::is_void_v<T>, nothing, T>;

enum class store_kind : std::uint8_t { rendezvous, bounded, unbounded };

template <class T>
class channel_store {
  static_assert(
      std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
      "runnel: a channel's values must be nothrow-movable: a throwing move could lose a value (send a std::unique_ptr instead)");

 public:
  struct unbounded_store {};
  channel_store(const channel_store&) = delete;
  channel_store& operator=(const channel_store&) = delete;

  /// The store of a bounded channel, else null: to look at it.
  [[nodiscard]] const ring<T>* bounded() const noexcept { return kind_ == store_kind::bounded ? &ring_ : nullptr; }

  /// For the one sender of a bounded channel: whether it would have to wait. If it joins without a value, it waits until it would not.
  [[nodiscard]] bool is_full() const noexcept { return ring_.is_full(); }
  /// The same: takes the oldest value, to the raw storage at `to`, if the channel is full.
  bool pop_if_full(T* to) noexcept { return ring_.pop_if_full(to); }

  [[nodiscard]] std::size_t size() const noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.size();
      case store_kind::unbounded: return segments_->size();
      case store_kind::rendezvous: break;
    }
    return 0;
  }
  [[nodiscard]] std::size_t capacity() const noexcept {
    return kind_ == store_kind::unbounded ? std::numeric_limits<std::size_t>::max() : ring_.capacity();
  }

  /// For messages: "channel<int> (capacity 4)".
  [[nodiscard]] std::string describe() const {
    const std::string size = kind_ == store_kind::unbounded ? "unbounded" : "capacity " + std::to_string(capacity());
    return "channel<" + std::string(std::is_same_v<T, nothing> ? "void" : type_name<T>()) + "> (" + size + ")";
  }

 protected:
  explicit channel_store(std::size_t capacity, std::uint64_t first_lap = 0) {
    if (capacity == 0) return;
    if (capacity > ring<T>::max_capacity())
      throw std::length_error("runnel: channel<" + std::string(type_name<T>()) + ">: a capacity of " + std::to_string(capacity) +
                              " (negative before it was converted?)");
    ring_.allocate(capacity, first_lap);
    kind_ = store_kind::bounded;
  }
  explicit channel_store(unbounded_store) : segments_(new segments<T>), kind_(store_kind::unbounded) {}
  ~channel_store() { delete segments_; }

  trial store_push(T& value) noexcept {
    // Nobody queues to send where there is always room.
    return kind_ == store_kind::bounded ? ring_.try_push(value) : trial::would_block;
  }
  trial store_pop(T* to) noexcept {
    switch (kind_) {
      case store_kind::bounded: return ring_.try_pop(to);
      case store_kind::unbounded: return segments_->try_pop(to);
      case store_kind::rendezvous: break;
    }
    return trial::would_block;
  }
  /// Destroys what is buffered. The channel is closed and nobody can receive.
  void discard() noexcept {
    for (storage<T> room; store_pop(room.get()) == trial::done;) std::destroy_at(room.get());
  }

  [[no_unique_address]] ring<T> ring_;  // its last cache line is read-mostly, as is what follows
  segments<T>* segments_ = nullptr;
  alignas(cache_line) store_kind kind_ = store_kind::rendezvous;  // in the line that those who wait use, too
};

}  // namespace runnel::inline RUNNEL_ABI::detail
