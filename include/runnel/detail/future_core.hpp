// What a future and the task that fills it share.
//
// 1. The value or the exception is written before `ready_` is set, once, by the one promise; nobody reads it before.
// 2. Waiters are queued only while it is not ready; whoever makes it ready claims them all.
// 3. Two owners, the future and the promise, and a selector that waits for it; the last one destroys it, and what has not been taken.
// 4. The promise gives an exception away and keeps no copy: the future takes it out by move.
#pragma once

#include <runnel/detail/wait.hpp>
#include <runnel/status.hpp>

#include <exception>
#include <optional>

namespace runnel::inline RUNNEL_ABI {

template <class R>
class future;

namespace detail {

class future_core {
 public:
  future_core(const future_core&) = delete;
  future_core& operator=(const future_core&) = delete;

  // [future.ready] acquire: the value or the exception is there.
  [[nodiscard]] bool ready() const noexcept { return ready_.load(acquire) != 0; }

  /// Makes it ready, with an exception or with the value that was written before.
  void finish(std::exception_ptr&& error) noexcept {
    error_ = std::move(error);
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      RUNNEL_ASSERT(ready_.load(relaxed) == 0);
      ready_.store(1, release);  // [future.ready] release: publishes the value or the exception
      wakes.add_all(waiters_, status::ok);
    }
    wakes.resume_all();
  }
  [[nodiscard]] std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

  void join(wait_node& node) noexcept {
    if (!ready()) prepare_wait(*node.owner);
    {
      const scoped_lock lock(mutex_);
      if (ready_.load(relaxed) == 0) return waiters_.push(node);  // relaxed: it is written under this lock
    }
    if (!claim(node)) return;
    node.outcome = status::ok;
    node.owner->resume();
  }
  bool leave(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (!node.queued) return false;
    waiters_.remove(node);
    return true;
  }

  /// Adds an owner; whoever does so is one, or knows of one.
  void share() noexcept { owners_.fetch_add(1, relaxed); }  // [future.owners] relaxed: whoever adds one has one, or knows of one
  /// Whether anybody else owns it: if not, nobody will. Only for an owner.
  [[nodiscard]] bool shared() const noexcept { return owners_.load(acquire) > 1; }  // [future.owners] acquire: as in drop
  /// By the only owner.
  void drop_unshared() noexcept { delete this; }
  /// Drops one of the owners.
  void drop() noexcept {
    // [future.owners] acq_rel: the last owner sees all that the other did before it destroys what is left.
    if (owners_.fetch_sub(1, acq_rel) == 1) delete this;
  }

  /// A thread waits without a limit: what it waits for may run in it.
  virtual void run_in_waiter() noexcept {}

 protected:
  future_core() noexcept = default;
  virtual ~future_core() = default;
  /// Somebody waits, and is about to be queued: what would not begin because of that begins now.
  virtual void prepare_wait(const waiter& /*who*/) noexcept {}

 private:
  atomic<std::uint32_t> ready_{0};
  atomic<std::uint32_t> owners_{2};
  mutex mutex_;
  wait_queue waiters_;
  std::exception_ptr error_;
};

/// The event that a future becomes ready. Taking the value is a step of its own.
class future_event final : public selectable {
 public:
  explicit future_event(future_core& core) noexcept : core_(&core) {}

  attempt try_now() override { return core_->ready() ? attempt::done : attempt::not_yet; }
  void join(wait_node& node) override { core_->join(node); }
  bool leave(wait_node& node) noexcept override { return core_->leave(node); }
  bool finish(wait_node&) noexcept override { return true; }
  [[nodiscard]] std::uint64_t stamp() const noexcept override { return core_->ready() ? 1 : 0; }

 private:
  future_core* core_;
};

template <class R>
class future_state : public future_core {
 public:
  template <class Call>
  void evaluate(Call& call) {
    value_.emplace(call());
  }
  template <class V>
  void set(V&& value) {
    value_.emplace(std::forward<V>(value));
  }
  R take() { return std::move(*value_); }

 private:
  std::optional<R> value_;
};
template <>
class future_state<void> : public future_core {
 public:
  template <class Call>
  void evaluate(Call& call) {
    call();
  }
  void take() noexcept {}
};

struct drop_future_core {
  void operator()(future_core* core) const noexcept { core->drop(); }
};
template <class R>
using future_state_ptr = std::unique_ptr<future_state<R>, drop_future_core>;

struct future_access {
  template <class R>
  static future<R> make(future_state<R>& state) noexcept {
    return future<R>(state);
  }
  /// The shared part, for a case that waits for the future; null if it is empty.
  template <class R>
  static future_core* core(const future<R>& f) noexcept {
    return f.state_.get();
  }
};

/// The side that fills a future. Destroyed without having done so it fails it: its work will never run.
template <class R>
class promise {
 public:
  explicit promise(future_state<R>& state) noexcept : state_(&state) {}
  promise(promise&&) noexcept = default;
  promise& operator=(promise&&) = delete;
  ~promise() {
    if (state_ != nullptr) fail(make_context_error(status::canceled, "runnel: the work will never run"));
  }

  /// Runs the call and destroys it, then makes the future ready with what it returned or threw.
  template <class Call>
  void run(Call& call) noexcept {
    std::exception_ptr error;
    try {
      state_->evaluate(call);
    } catch (...) {
      error = std::current_exception();
    }
    call.reset();
    fail(std::move(error));
  }
  /// Writes the value; fail(nullptr) makes the future ready then.
  template <class V>
  void set(V&& value) {
    state_->set(std::forward<V>(value));
  }
  /// Makes the future ready with this exception. The last call.
  void fail(std::exception_ptr&& error) noexcept {
    state_->finish(std::move(error));
    state_.reset();
  }

 private:
  future_state_ptr<R> state_;
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
