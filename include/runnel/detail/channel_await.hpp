// What a coroutine awaits of a channel: one send, one receive, and several of either.
#pragma once

#include <runnel/detail/await.hpp>
#include <runnel/detail/channel_events.hpp>
#include <runnel/detail/storage.hpp>
#include <runnel/task.hpp>

#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

// Receives

/// Room for what an awaited receive answers.
template <class T>
class recv_room {
 protected:
  using value_t = payload<T>;
  [[nodiscard]] value_t* place() noexcept {
    if constexpr (std::is_void_v<T>)
      return signal_.get();
    else
      return result_access::place(value_);
  }
  /// What was received is the room's from here on, and destroyed with it.
  void end(status s) noexcept { result_access::set(value_, s); }
  [[nodiscard]] recv_result<T> answer() noexcept { return std::exchange(value_, result_access::failed<T>(status::would_block)); }

 private:
  recv_result<T> value_ = result_access::failed<T>(status::would_block);
  [[no_unique_address]] std::conditional_t<std::is_void_v<T>, storage<nothing>, nothing> signal_;
};

/// A base before the room, whose last bytes others may use then.
template <class T>
struct recv_source {
  channel_core<payload<T>>* core_;
};
/// A receive that is alone in its wait, with its room: recv_event in the fewest bytes, for the many that wait. What is received for
/// nobody is destroyed with it.
template <class T>
class lone_recv : private recv_source<T>, private recv_room<T> {
 public:
  explicit lone_recv(channel_core<payload<T>>* core) noexcept : recv_source<T>{core} {}

  RUNNEL_ALWAYS_INLINE attempt try_now() {
    if (core_ == nullptr) return attempt::never;
    const trial t = core_->try_recv(this->place());
    this->end(as_status(t));
    return t == trial::would_block ? attempt::not_yet : attempt::done;
  }
  void join(wait_node& node) noexcept {
    node.value = this->place();
    if (core_ != nullptr) core_->join_receivers(node);
  }
  bool leave(wait_node& node) noexcept { return core_ == nullptr || core_->leave_receivers(node); }
  void finish(const wait_node& node) noexcept { this->end(node.outcome); }
  using recv_room<T>::answer;

 private:
  using recv_source<T>::core_;
};
template <class T>
class recv_awaiter : public event_awaiter<lone_recv<T>> {
 public:
  explicit recv_awaiter(channel_core<payload<T>>* core) : event_awaiter<lone_recv<T>>(core) {}
  recv_result<T> await_resume() { return this->finish().answer(); }
};
template <class T>
class limited_recv_awaiter : private recv_room<T>, public limited_awaiter<recv_event<payload<T>>> {
 public:
  limited_recv_awaiter(const context& ctx, channel_core<payload<T>>* core)
      : limited_awaiter<recv_event<payload<T>>>(ctx, core, this->place()) {}
  ~limited_recv_awaiter() {
    if (this->destroy_waiting()) this->end(this->event().outcome());  // received for nobody
  }
  recv_result<T> await_resume() {
    const status s = this->finish();
    this->end(s == status::ok ? this->event().outcome() : s);
    return this->answer();
  }
};

/// Waits for one value, and takes what else is there.
template <class T, class One>
class recv_many_awaiter final : private One {
 public:
  template <class... Args>
  recv_many_awaiter(std::vector<T>& out, std::size_t max, channel_core<T>* core, Args&&... args)
      : One(std::forward<Args>(args)..., core), core_(core), out_(&out), max_(max) {}
  bool await_ready() {
    if (core_ != nullptr) count_ = append_received(*core_, *out_, max_);
    if (count_ != 0 || max_ == 0) return this->goes_on();
    detail::make_room(*out_);
    return One::await_ready();
  }
  using One::await_suspend;
  std::size_t await_resume() {
    if (count_ != 0 || max_ == 0) {
      this->finish();
      return count_;
    }
    recv_result<T> first = One::await_resume();
    if (!first) return 0;
    out_->push_back(std::move(*first));
    return 1 + append_received(*core_, *out_, max_ - 1);
  }

 private:
  channel_core<T>* core_;
  std::vector<T>* out_;
  std::size_t max_;
  std::size_t count_ = 0;
};

// Sends

/// A send that is alone in its wait: send_event in the fewest bytes. The value is elsewhere, and outlives it.
template <class T>
class lone_send {
 public:
  lone_send(channel_core<T>* core, T* from) noexcept : core_(core), from_(from) {}

  RUNNEL_ALWAYS_INLINE attempt try_now() {
    if (core_ == nullptr) return attempt::never;
    const trial t = core_->try_send(*from_);
    outcome_ = as_status(t);
    return t == trial::would_block ? attempt::not_yet : attempt::done;
  }
  void join(wait_node& node) noexcept {
    node.value = from_;
    if (core_ != nullptr) core_->join_senders(node);
  }
  bool leave(wait_node& node) noexcept { return core_ == nullptr || core_->leave_senders(node); }
  void finish(const wait_node& node) noexcept { outcome_ = node.outcome; }
  /// Once it has ended. Throws: channel_closed.
  void must_be_sent() const {
    if (outcome_ != status::ok) [[unlikely]]
      throw_closed();
  }

 private:
  RUNNEL_NOINLINE void throw_closed() const { throw channel_closed("runnel: send on a closed " + core_->describe()); }

  channel_core<T>* core_;
  T* from_;
  status outcome_ = status::would_block;
};
template <class T>
class send_awaiter : public event_awaiter<lone_send<T>> {
 public:
  send_awaiter(channel_core<T>* core, T* value) : event_awaiter<lone_send<T>>(core, value) {}
  void await_resume() { this->finish().must_be_sent(); }
};
template <class T>
class limited_send_awaiter : public limited_awaiter<send_event<T>> {
 public:
  limited_send_awaiter(const context& ctx, channel_core<T>* core, T* value) : limited_awaiter<send_event<T>>(ctx, core, value) {}
  [[nodiscard]] send_result await_resume() {
    const status s = this->finish();
    return sent(s == status::ok ? this->event().outcome() : s);
  }
};
template <class T>
struct held_value {
  T held;
};
/// The same with a value of its own.
template <class T, class Awaiter>
class copy_sender final : private held_value<T>, public Awaiter {
 public:
  template <class... Args>
  explicit copy_sender(const T& value, Args&&... args)
      : held_value<T>{value}, Awaiter(std::forward<Args>(args)..., std::addressof(this->held)) {}
};

}  // namespace runnel::inline RUNNEL_ABI::detail
