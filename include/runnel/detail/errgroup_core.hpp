// What the tasks of an errgroup and those who wait for them share.
//
// 1. A pin is a running task, a go() that waits for room, or a cancel() under way. Only without a pin does a round end. The first pin and
//    the last one are made and dropped under the lock, those between by whoever has no limit to look at: it needs none.
// 2. A round has a scope, from the first go() after the last wait() on; ctx_ is its context, and stays when it has ended.
// 3. At most `limit_` tasks run. Room that a task leaves goes straight to the first go() that waits for it.
// 4. Failures go into storage that was reserved when the task started; without collect_all there is one at most.
// 5. A cancellation that a canceled round's task reports is no failure.
// 6. The failing task gives its exception away before it unpins, and keeps no copy.
// 7. Contexts are made, looked at, canceled and destroyed, and exceptions destroyed, under no lock: that may run user code.
// 8. The unlock after the last unpin is the last access to the group.
#pragma once

#include <runnel/context.hpp>
#include <runnel/detail/await.hpp>
#include <runnel/detail/group_scope.hpp>
#include <runnel/task.hpp>

#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

/// Whether an exception says nothing but that the work was canceled or out of time. Not null.
inline bool is_cancellation(const std::exception_ptr& error) noexcept {
  const auto stopped = [](const std::error_code& code) { return code == status::canceled || code == status::timed_out; };
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return stopped(e.code());
  } catch (const std::error_code& code) {
    return stopped(code);
  } catch (const status s) {
    return stopped(s);
  } catch (...) {
    return false;
  }
}

class errgroup_core {
 public:
  errgroup_core(const context& parent, std::size_t limit, bool collect_all)
      : parent_(parent),
        collect_all_(collect_all),
        limit_(limit),
        pins_(limit == 0 ? 0 : limited),
        scope_(with_cancel(parent)),
        ctx_(*scope_) {
    errors_.reserve(1);
  }
  errgroup_core(const errgroup_core&) = delete;
  errgroup_core& operator=(const errgroup_core&) = delete;
  ~errgroup_core() { RUNNEL_ASSERT(pins() == 0); }

  [[nodiscard]] context ctx() const {
    const scoped_lock lock(mutex_);
    return ctx_;
  }
  /// The running round's context; only for what holds a pin.
  [[nodiscard]] const context& round_ctx() const noexcept { return ctx_; }
  [[nodiscard]] std::span<const std::exception_ptr> errors() const noexcept { return errors_; }

  void set_limit(std::size_t limit) {
    scoped_lock lock(mutex_);
    const std::uint64_t cancels = cancels_ * one_pin;
    std::uint64_t seen = cancels + (limit_ == 0 ? 0 : limited);
    // [errgroup.pins] acq_rel: as in enter
    if (pins_.compare_exchange(seen, cancels + (limit == 0 ? 0 : limited), acq_rel, relaxed)) {
      limit_ = limit;
      return;
    }
    lock.unlock();
    throw std::logic_error("runnel::errgroup::set_limit: tasks of the group are running");
  }

  /// Makes room for one more task. False: there is none, and `waits` says not to wait for it.
  bool enter(bool waits) {
    std::uint64_t seen = pins_.load(relaxed);  // relaxed: compared when it is changed
    while (seen >= one_pin && (seen & limited) == 0 && !collect_all_) {
      // [errgroup.pins] acquire: sees the round that the first pin has begun; release: as in leave_group
      if (pins_.compare_exchange(seen, seen + one_pin, acq_rel, relaxed)) return true;
    }
    new_round fresh;
    std::vector<std::exception_ptr> storage;
    scoped_lock lock(mutex_);
    for (;;) {
      const bool begins = !scope_ && !fresh.scope;
      const std::size_t needed = collect_all_ && scope_ ? errors_.size() + pins() + 1 : 1;
      const bool fits = std::max(scope_ ? errors_.capacity() : 0, storage.capacity()) >= needed;
      if (!begins && fits) break;
      lock.unlock();
      if (begins) fresh.scope.emplace(with_cancel(parent_));
      if (!fits) storage.reserve(2 * needed);
      lock.lock(mutex_);
    }
    const bool full = limit_ != 0 && running_ >= limit_;
    if (full && !waits) return false;
    if (!scope_) {
      begin_round(fresh, storage);
    } else if (storage.capacity() > errors_.capacity()) {
      for (auto& error : errors_) storage.push_back(std::move(error));
      errors_.swap(storage);
    }
    started_ = true;
    pin();
    if (!full) {
      if (limit_ != 0) ++running_;
      return true;
    }
    lock.unlock();
    room_event room(*this);
    wait_until(room, never);
    return true;
  }
  /// Takes enter() back: the task could not be started.
  void abandon() noexcept { leave_group(false); }
  /// The failure of a task, which is going to end.
  void fail_task(std::exception_ptr error) noexcept { fail(std::move(error), parent_.done()); }
  /// The end of a task. Its last access to the group.
  void end_task() noexcept { leave_group(parent_.done()); }

  void cancel() noexcept {
    const bool stopped = parent_.done();
    {
      const scoped_lock lock(mutex_);
      if (!scope_) return;  // between two rounds
      if (stop_ == stop::none) stop_ = stopped ? stop::parent : stop::on_purpose;
      pin();
      ++cancels_;
    }
    scope_->cancel();
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      --cancels_;
      unpin(wakes);
    }
    wakes.resume_all();
  }

  /// Waits for the end of the round, then ends it. `wait` waits for the event that it is given.
  /// Returns: ok, with the failure, or null, in `error`; else what `wait` answered, and the round goes on.
  template <class Wait>
  status finish_round(Wait wait, std::exception_ptr& error) {
    refuse_own_task();
    end_event end(*this);
    const bool stopped = parent_.done();
    std::uint64_t round = 0;
    while (!try_end(stopped, round, error))
      if (const status s = wait(end); s != status::ok) return s;
    return status::ok;
  }
  /// The same for a coroutine. A null context is no limit.
  template <class = void>  // g++ compiles a coroutine that is no template in every file
  task<status> async_finish_round(const context* ctx, std::exception_ptr& error) {
    const bool stopped = parent_.done();
    std::uint64_t round = 0;
    while (!try_end(stopped, round, error)) {
      if (ctx == nullptr) {
        co_await happening_awaiter<end_event>(*this);
      } else if (const auto ended = co_await limited_happening_awaiter<end_event>(*ctx, *this); !ended) {
        co_return ended.status();
      }
    }
    co_return status::ok;
  }

  /// Cancels what runs and waits for its end.
  void shut_down() noexcept {
    cancel();
    end_event end(*this);
    wait_event(end, never);
  }

 private:
  static constexpr std::uint64_t limited = 1;  // in pins_: there is a limit
  static constexpr std::uint64_t one_pin = 2;
  enum class stop { none, on_purpose, parent };
  struct new_round {
    std::optional<scoped_context> scope;
    context old_ctx;
  };

  /// The event that there is room for one more task.
  class room_event final : public selectable {
   public:
    explicit room_event(errgroup_core& group) noexcept : group_(&group) {}
    attempt try_now() override { return attempt::not_yet; }
    void join(wait_node& node) override {
      {
        const scoped_lock lock(group_->mutex_);
        if (group_->limit_ != 0 && group_->running_ >= group_->limit_) return group_->limiters_.push(node);
        ++group_->running_;
      }
      node.owner->resume();  // the one case of its waiter: it needs no claim
    }
    bool leave(wait_node&) noexcept override { return false; }
    bool finish(wait_node&) noexcept override { return true; }

   private:
    errgroup_core* group_;
  };

  /// The event that nothing of the round is left.
  class end_event final : public selectable {
   public:
    explicit end_event(errgroup_core& group) noexcept : group_(&group) {}
    attempt try_now() override {
      const scoped_lock lock(group_->mutex_);
      return group_->pins() == 0 ? attempt::done : attempt::not_yet;
    }
    void join(wait_node& node) override {
      {
        const scoped_lock lock(group_->mutex_);
        if (group_->pins() != 0) return group_->joiners_.push(node);
      }
      if (!claim(node)) return;
      node.outcome = status::ok;
      node.owner->resume();
    }
    bool leave(wait_node& node) noexcept override {
      const scoped_lock lock(group_->mutex_);
      if (!node.queued) return false;
      group_->joiners_.remove(node);
      return true;
    }
    bool finish(wait_node&) noexcept override { return true; }

   private:
    errgroup_core* group_;
  };

  /// Ends the round that is waited for and takes its outcome, if nothing of it is left. `round`: 0, or the one that is waited for.
  /// `stopped`: the parent was done before. False: it goes on.
  bool try_end(bool stopped, std::uint64_t& round, std::exception_ptr& error) {
    std::optional<scoped_context> ending;
    scoped_lock lock(mutex_);
    if (!scope_) return true;  // its outcome was taken
    if (round == 0) {
      if (!started_ && stopped && stop_ == stop::none) stop_ = stop::parent;
      round = round_;
    }
    if (round != round_) return true;  // another wait() has ended it, and the next one has begun
    if (pins() != 0) return false;
    if (!errors_.empty()) error = errors_.front();
    const bool by_parent = errors_.empty() && stop_ == stop::parent;
    ending.swap(scope_);
    lock.unlock();
    ending.reset();
    if (by_parent) error = why_stopped();
    return true;
  }

  /// Under the lock. What it replaces goes into its arguments, to be destroyed later.
  void begin_round(new_round& fresh, std::vector<std::exception_ptr>& storage) noexcept {
    RUNNEL_ASSERT(pins() == 0 && running_ == 0);
    scope_.swap(fresh.scope);
    fresh.old_ctx = std::exchange(ctx_, static_cast<const context&>(*scope_));
    errors_.swap(storage);
    stop_ = stop::none;
    started_ = false;
    ++round_;
  }

  /// Takes the error: one that does not count is destroyed when this returns, under no lock.
  void fail(std::exception_ptr error, bool stopped) noexcept {
    if ((stopped || ctx_.done()) && is_cancellation(error)) return;
    std::exception_ptr cause;
    {
      const scoped_lock lock(mutex_);
      const bool first = errors_.empty();
      if (!first && !collect_all_) return;
      RUNNEL_ASSERT(errors_.size() < errors_.capacity());
      if (first && !collect_all_) cause = error;
      errors_.push_back(std::move(error));
    }
    if (cause != nullptr) scope_->cancel(std::move(cause));
  }

  void leave_group(bool stopped) noexcept {
    std::uint64_t seen = pins_.load(relaxed);  // relaxed: compared when it is changed
    while (seen >= 2 * one_pin && (seen & limited) == 0 && !stopped) {
      // [errgroup.pins] acq_rel: whoever drops the last pin has seen what came before all others were dropped. The last access.
      if (pins_.compare_exchange(seen, seen - one_pin, acq_rel, relaxed)) return;
    }
    wake_list wakes;
    scoped_lock lock(mutex_);
    if (stopped && stop_ == stop::none) stop_ = stop::parent;
    if (wait_node* next = limiters_.pop()) {
      next->outcome = status::ok;
      wakes.add(*next);
    } else if (limit_ != 0) {
      --running_;
    }
    unpin(wakes);
    lock.unlock();
    wakes.resume_all();
  }
  [[nodiscard]] std::size_t pins() const noexcept { return pins_.load(acquire) / one_pin; }  // [errgroup.pins] acquire: as above
  // Under the lock.
  void pin() noexcept { pins_.fetch_add(one_pin, acq_rel); }  // [errgroup.pins] acq_rel: as in enter
  void unpin(wake_list& wakes) noexcept {
    RUNNEL_ASSERT(pins() > running_);
    // [errgroup.pins] acq_rel: as in leave_group
    if (pins_.fetch_sub(one_pin, acq_rel) < 2 * one_pin) wakes.add_all(joiners_, status::ok);
  }
  void refuse_own_task() const {
    if (!group_scope::is_inside(this)) return;
    throw std::logic_error("runnel::errgroup::wait: called by a task of the group, which would wait for itself");
  }
  [[nodiscard]] std::exception_ptr why_stopped() const {
    try {
      parent_.throw_if_done();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  const context parent_;
  const bool collect_all_;
  mutable mutex mutex_;
  std::size_t limit_;
  std::size_t running_ = 0;  // counted where there is a limit
  std::size_t cancels_ = 0;  // how many of the pins are cancel()
  atomic<std::uint64_t> pins_;
  std::uint64_t round_ = 1;
  bool started_ = false;  // whether the round has had a task
  stop stop_ = stop::none;
  std::optional<scoped_context> scope_;  // empty between two rounds
  context ctx_;
  std::vector<std::exception_ptr> errors_;
  wait_queue limiters_;
  wait_queue joiners_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
