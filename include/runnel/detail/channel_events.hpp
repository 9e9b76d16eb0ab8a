// A receive and a send as events that a call can wait for, alone or among others.
#pragma once

#include <runnel/detail/channel_core.hpp>

#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

/// How a try ended has the value of the status that it is answered by.
constexpr status as_status(trial t) noexcept { return static_cast<status>(t); }
static_assert(as_status(trial::done) == status::ok && as_status(trial::would_block) == status::would_block &&
              as_status(trial::closed) == status::closed);

/// Looks at what a receive from `core`, which is null for a nil channel, and a send to it may hope for.
template <class T>
RUNNEL_ALWAYS_INLINE outlook look_recv(const channel_core<T>* core) noexcept {
  if (core == nullptr) [[unlikely]]
    return {0, false};
  if (const ring<T>* const store = core->bounded(); store != nullptr) [[likely]]
    return store->look_pop();
  return {core->recv_stamp(), true};
}
template <class T>
RUNNEL_ALWAYS_INLINE outlook look_send(const channel_core<T>* core) noexcept {
  if (core == nullptr) [[unlikely]]
    return {0, false};
  if (const ring<T>* const store = core->bounded(); store != nullptr) [[likely]]
    return store->look_push();
  return {core->send_stamp(), true};
}

/// Makes room for one more before it is taken, as it would be lost else. Throws: std::bad_alloc.
template <class T>
void make_room(std::vector<T>& out) {
  if (out.size() == out.capacity()) out.reserve(2 * out.size() + 8);
}
/// Appends what is there, at most `most`. Returns: how many. Throws: std::bad_alloc; what was taken until then has been appended.
template <class T>
std::size_t append_received(channel_core<T>& core, std::vector<T>& out, std::size_t most) {
  std::size_t count = 0;
  while (count < most) {
    detail::make_room(out);
    const std::size_t free = out.capacity() - out.size();
    const std::size_t taken = core.try_recv_batch(out, free < most - count ? free : most - count);
    count += taken;
    if (taken != 0) continue;
    storage<T> room;
    if (core.try_recv(room.get()) != trial::done) break;
    out.push_back(std::move(*room.get()));
    std::destroy_at(room.get());
    ++count;
  }
  return count;
}

/// A receive from `core`, which is null for a nil channel, into the raw storage at `to`.
template <class T>
class recv_event final : public selectable {
 public:
  /// With `needs_value` a drained channel does not complete it: it can never happen any more.
  recv_event(channel_core<T>* core, T* to, bool needs_value = false) noexcept : core_(core), to_(to), needs_value_(needs_value) {}

  /// How it ended, once try_now() or finish() has said that it did: ok or closed.
  [[nodiscard]] status outcome() const noexcept { return outcome_; }

  attempt try_now() override {
    if (core_ == nullptr) return attempt::never;
    const trial t = core_->try_recv_again(to_);  // mostly there is nothing yet
    if (t == trial::would_block) return attempt::not_yet;
    if (t == trial::closed && needs_value_) return attempt::never;
    outcome_ = as_status(t);
    return attempt::done;
  }
  void join(wait_node& node) override {
    node.value = to_;
    if (core_ != nullptr) core_->join_receivers(node);
  }
  bool leave(wait_node& node) noexcept override { return core_ == nullptr || core_->leave_receivers(node); }
  bool finish(wait_node& node) noexcept override {
    outcome_ = node.outcome;
    return outcome_ == status::ok || !needs_value_;
  }
  [[nodiscard]] std::uint64_t stamp() const noexcept override { return detail::look_recv(core_).stamp; }

 private:
  channel_core<T>* core_;
  T* to_;
  bool needs_value_;
  status outcome_ = status::ok;
};

/// A send to `core`, which is null for a nil channel. The value is moved from exactly if the outcome is ok.
template <class T>
class send_event final : public selectable {
 public:
  send_event(channel_core<T>* core, T* from) noexcept : core_(core), from_(from) {}

  /// As recv_event's.
  [[nodiscard]] status outcome() const noexcept { return outcome_; }
  /// Sends another value; before it is tried.
  void send_from(T* from) noexcept { from_ = from; }

  attempt try_now() override {
    if (core_ == nullptr) return attempt::never;
    const trial t = core_->try_send_again(*from_);  // as a receive
    if (t == trial::would_block) return attempt::not_yet;
    outcome_ = as_status(t);
    return attempt::done;
  }
  void join(wait_node& node) override {
    node.value = from_;
    if (core_ != nullptr) core_->join_senders(node);
  }
  bool leave(wait_node& node) noexcept override { return core_ == nullptr || core_->leave_senders(node); }
  bool finish(wait_node& node) noexcept override {
    outcome_ = node.outcome;
    return true;
  }
  [[nodiscard]] std::uint64_t stamp() const noexcept override { return detail::look_send(core_).stamp; }

 private:
  channel_core<T>* core_;
  T* from_;
  status outcome_ = status::ok;
};

/// That a bounded channel has room, or is closed. Only for whoever alone sends to it: then the room stays.
template <class T>
class room_event final : public selectable {
 public:
  explicit room_event(channel_core<T>& core) noexcept : core_(&core) {}
  attempt try_now() override { return core_->is_full() ? attempt::not_yet : attempt::done; }
  void join(wait_node& node) override {
    node.value = nullptr;
    core_->join_senders(node);
  }
  bool leave(wait_node& node) noexcept override { return core_->leave_senders(node); }
  bool finish(wait_node&) noexcept override { return true; }

 private:
  channel_core<T>* core_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
