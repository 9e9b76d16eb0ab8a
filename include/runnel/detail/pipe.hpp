// A bounded channel with one sender and one receiver, each a single task: what is between two chains of a pipeline.
//
// Values stand side by side and carry no stamps: to send is one atomic exchange, to receive is one for all that is there.
//
// 1. head <= tail <= head + count_. The sender alone moves the tail, the receiver alone the head.
// 2. A slot is written before the tail moves past it, and after the head has; read before the head moves past it, and after the tail has.
// 3. No wake-up is lost: the sender moves the tail, then reads the flags; the receiver locks W, which shows that it waits, then reads the
//    tail; all four are seq_cst, so one of them sees the other. The other direction mirrors it.
// 4. At rest a queued receiver means that it is empty and the sender has not ended, a queued sender that it is full and the receiver
//    has not ended.
// 5. Once the sender has ended the tail stays as it is. What is in it when the receiver ends goes with it.
#pragma once

#include <runnel/detail/await.hpp>
#include <runnel/detail/ring.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

template <class T>
class pipe_core {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "runnel: a pipeline's values must be nothrow-movable: a throwing move could lose a value (pass a std::unique_ptr "
                "on instead)");

 public:
  /// Made with one end of both kinds. Throws: std::bad_alloc.
  explicit pipe_core(std::size_t count) : slots_(std::allocator<T>().allocate(count)), count_(count), room_until_(count) {}
  pipe_core(const pipe_core&) = delete;
  pipe_core& operator=(const pipe_core&) = delete;

  // The sender's.

  /// Puts a value into a pipe that is not full. Returns: done; would_block, if it is full now; closed, if nobody receives, and the value is
  /// as it was.
  trial put(T& value) noexcept {
    if ((w_.flags(relaxed) & receiver_ended) != 0) return trial::closed;  // relaxed: a hint, so that it stops soon
    const std::uint64_t tail = tail_.load(relaxed);                       // relaxed: this side wrote it
    RUNNEL_ASSERT(tail != room_until_);
    std::construct_at(slots_ + put_, std::move(value));
    if (++put_ == count_) put_ = 0;
    tail_.store(tail + 1, seq_cst);  // [pipe.tail] seq_cst: invariant 3
    // [pipe.w] seq_cst: invariant 3
    if ((w_.flags(seq_cst) & receiver_waits) != 0) [[unlikely]]
      serve();
    return tail + 1 != room_until_ || has_room() ? trial::done : trial::would_block;
  }
  [[nodiscard]] bool has_room() noexcept {
    room_until_ = head_.load(seq_cst) + count_;  // [pipe.head] seq_cst: invariant 3; acquires the slots that are free
    return tail_.load(relaxed) != room_until_;   // relaxed: this side wrote it
  }
  [[nodiscard]] bool nobody_receives() const noexcept {
    return (w_.flags(acquire) & receiver_ended) != 0;  // [pipe.w] acquire: its end happens before
  }
  void join_sender(wait_node& node) noexcept { join(node, sender_, sender_waits); }
  bool leave_sender(wait_node& node) noexcept { return leave(node, sender_); }
  void end_sender() noexcept { end(sender_ended); }

  // The receiver's.

  /// Appends what is there, at most `most`, and makes room for it. Throws: std::bad_alloc, and nothing is taken.
  std::size_t take(std::vector<T>& out, std::size_t most) {
    const std::uint64_t head = head_.load(relaxed);  // relaxed: this side wrote it
    const std::size_t count =
        std::min<std::size_t>(tail_.load(seq_cst) - head, most);  // [pipe.tail] seq_cst: invariant 3; acquires the values
    if (count == 0) return 0;
    out.reserve(out.size() + count);
    for (std::size_t left = count; left != 0;) {  // twice where they go around the end
      T* const first = slots_ + taken_;
      const std::size_t run = std::min(left, count_ - taken_);
      if constexpr (std::is_move_assignable_v<T>)
        out.insert(out.end(), std::move_iterator(first), std::move_iterator(first + run));  // at once, but asks for an assignment
      else
        for (std::size_t i = 0; i < run; ++i) out.emplace_back(std::move(first[i]));
      std::destroy_n(first, run);
      left -= run;
      taken_ = taken_ + run == count_ ? 0 : taken_ + run;
    }
    head_.store(head + count, seq_cst);  // [pipe.head] seq_cst: invariant 3
    // [pipe.w] seq_cst: invariant 3
    if ((w_.flags(seq_cst) & sender_waits) != 0) [[unlikely]]
      serve();
    return count;
  }
  [[nodiscard]] bool has_values() const noexcept {
    return tail_.load(seq_cst) != head_.load(relaxed);  // [pipe.tail] seq_cst: invariant 3; relaxed: this side wrote it
  }
  [[nodiscard]] bool nobody_sends() const noexcept {
    return (w_.flags(acquire) & sender_ended) != 0;  // [pipe.w] acquire: the tail that is read after this is the last (5)
  }
  void join_receiver(wait_node& node) noexcept { join(node, receiver_, receiver_waits); }
  bool leave_receiver(wait_node& node) noexcept { return leave(node, receiver_); }
  void end_receiver() noexcept { end(receiver_ended); }

 private:
  static constexpr std::uint32_t receiver_waits = flag_lock::first_flag;
  static constexpr std::uint32_t sender_waits = 2 * flag_lock::first_flag;
  static constexpr std::uint32_t receiver_ended = 4 * flag_lock::first_flag;
  static constexpr std::uint32_t sender_ended = 8 * flag_lock::first_flag;

  ~pipe_core() {
    for (std::uint64_t left = tail_.load(relaxed) - head_.load(relaxed); left != 0; --left) {  // relaxed: both sides have ended
      std::destroy_at(slots_ + taken_);
      if (++taken_ == count_) taken_ = 0;
    }
    std::allocator<T>().deallocate(slots_, count_);
  }

  void unlock() noexcept {
    w_.unlock((receiver_ != nullptr ? receiver_waits : 0U) | (sender_ != nullptr ? sender_waits : 0U) | ended_);
  }
  /// Whether what is waited for has come. Under W, as its side may go on outside of it.
  [[nodiscard]] bool receiver_can_go_on() const noexcept { return size() != 0 || (ended_ & sender_ended) != 0; }
  [[nodiscard]] bool sender_can_go_on() const noexcept { return size() != count_ || (ended_ & receiver_ended) != 0; }
  /// Of use only to a side that waits, or is about to: the other one's position alone can change.
  [[nodiscard]] std::uint64_t size() const noexcept {
    return tail_.load(seq_cst) - head_.load(seq_cst);  // [pipe.head] [pipe.tail] seq_cst: invariant 3
  }
  void join(wait_node& node, wait_node*& at, std::uint32_t shown) noexcept {
    w_.lock(shown);
    at = &node;
    serve_locked();
  }
  bool leave(const wait_node& node, wait_node*& at) noexcept {
    w_.lock();
    const bool was_there = at == &node;
    if (was_there) at = nullptr;
    unlock();
    return was_there;
  }
  RUNNEL_NOINLINE void serve() noexcept {
    w_.lock();
    serve_locked();
  }
  /// Restores invariant 4, and drops W. Whoever moved a position, or ended, may have seen a flag of a wait that is over: it looks again.
  void serve_locked() noexcept {
    wait_node* served = nullptr;
    if (receiver_ != nullptr && receiver_can_go_on()) served = std::exchange(receiver_, nullptr);
    if (sender_ != nullptr && sender_can_go_on()) {
      RUNNEL_ASSERT(served == nullptr);  // nobody waits for room where a value is waited for
      served = std::exchange(sender_, nullptr);
    }
    if (served != nullptr && !claim(*served)) served = nullptr;
    if (served != nullptr) served->outcome = status::ok;
    unlock();
    if (served != nullptr) served->owner->resume();
  }
  /// Ends one side, and tells the other. The second one to end destroys it.
  void end(std::uint32_t side) noexcept {
    w_.lock(side);
    const bool is_last = ended_ != 0;
    ended_ |= side;
    serve_locked();  // unless it is the last, it may be gone now
    if (is_last) delete this;
  }

  T* const slots_;
  const std::size_t count_;

  alignas(cache_line) atomic<std::uint64_t> tail_{0};
  std::size_t put_ = 0;       // the slot at the tail; these two are the sender's
  std::uint64_t room_until_;  // how far the tail can go, as far as is known

  alignas(cache_line) atomic<std::uint64_t> head_{0};
  std::size_t taken_ = 0;  // the slot at the head; the receiver's

  alignas(cache_line) flag_lock w_;
  std::uint32_t ended_ = 0;  // these three under W
  wait_node* receiver_ = nullptr;
  wait_node* sender_ = nullptr;
};

/// That a pipe has room, or nobody receives.
template <class T>
class pipe_room_event final : public selectable {
 public:
  explicit pipe_room_event(pipe_core<T>& core) noexcept : core_(core) {}
  attempt try_now() override { return core_.has_room() || core_.nobody_receives() ? attempt::done : attempt::not_yet; }
  void join(wait_node& node) override { core_.join_sender(node); }
  bool leave(wait_node& node) noexcept override { return core_.leave_sender(node); }
  bool finish(wait_node& /*node*/) noexcept override { return true; }

 private:
  pipe_core<T>& core_;
};
/// That a pipe has values, or nobody sends.
template <class T>
class pipe_values_event final : public selectable {
 public:
  explicit pipe_values_event(pipe_core<T>& core) noexcept : core_(core) {}
  attempt try_now() override { return core_.has_values() || core_.nobody_sends() ? attempt::done : attempt::not_yet; }
  void join(wait_node& node) override { core_.join_receiver(node); }
  bool leave(wait_node& node) noexcept override { return core_.leave_receiver(node); }
  bool finish(wait_node& /*node*/) noexcept override { return true; }

 private:
  pipe_core<T>& core_;
};

/// Waits for room. Answers closed if nobody receives.
template <class T>
class pipe_room_awaiter final : public event_awaiter<pipe_room_event<T>> {
 public:
  explicit pipe_room_awaiter(pipe_core<T>& core) noexcept : event_awaiter<pipe_room_event<T>>(core), core_(core) {}
  status await_resume() noexcept {
    this->finish();
    return core_.has_room() ? status::ok : status::closed;
  }

 private:
  pipe_core<T>& core_;
};

/// One end of a pipe, which it ends.
template <class T, void (pipe_core<T>::*End)() noexcept>
class pipe_end {
 public:
  explicit pipe_end(pipe_core<T>* core) noexcept : core_(core) {}

  [[nodiscard]] pipe_core<T>* operator->() const noexcept { return core_.get(); }
  [[nodiscard]] pipe_core<T>& operator*() const noexcept { return *core_; }

 private:
  struct ending {
    void operator()(pipe_core<T>* core) const noexcept { (core->*End)(); }
  };
  std::unique_ptr<pipe_core<T>, ending> core_;
};
template <class T>
using pipe_sender = pipe_end<T, &pipe_core<T>::end_sender>;
template <class T>
using pipe_receiver = pipe_end<T, &pipe_core<T>::end_receiver>;
template <class T>
struct pipe_ends {
  explicit pipe_ends(std::size_t count) : send(new pipe_core<T>(count)), recv(&*send) {}
  pipe_sender<T> send;
  pipe_receiver<T> recv;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
