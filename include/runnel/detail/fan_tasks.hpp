// The tasks of fan: coroutines that receive, call and send, and how they begin together.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/select.hpp>
#include <runnel/semaphore.hpp>

#include <coroutine>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

/// Starts the tasks of a stage, all or none: they begin when all have been started.
class stage_starter {
 public:
  stage_starter(errgroup& group, const char* stage, std::size_t tasks)
      : group_(&group), stage_(stage), tasks_(tasks), gate_(make_channel<void>(tasks)) {}

  /// `work`: a function object that answers a task<>, and lives until that has ended.
  template <class Work>
  void start(Work work) {
    if (group_->try_go(waiting<Work>(gate_.recv, std::move(work)))) return;
    throw std::logic_error(std::string("runnel::") + stage_ + ": the group's limit leaves no room for its " +
                           std::to_string(tasks_) + " tasks, which need one another");
  }
  /// Lets them begin. Without it they end, and have touched nothing.
  void begin() const {
    for (std::size_t i = 0; i < tasks_; ++i) gate_.send.send();
  }

 private:
  template <class Work>
  class waiting {
   public:
    waiting(recv_channel<void> gate, Work&& work) : gate_(std::move(gate)), work_(std::move(work)) {}
    task<> operator()(const context& ctx) {
      const auto may_begin = co_await gate_.async_recv();
      if (!may_begin) co_return;
      gate_ = nullptr;
      task<> work = work_(ctx);
      co_await std::move(work);
    }

   private:
    recv_channel<void> gate_;
    Work work_;
  };

  errgroup* group_;
  const char* stage_;
  std::size_t tasks_;
  channel_ends<void> gate_;
};

/// Hands on what is received.
template <class T>
struct forwarding_task {
  recv_channel<T> in;
  send_channel<T> out;

  task<> operator()(const context& ctx) {
    while (!ctx.done() && !out.closed()) {
      auto value = co_await in.async_recv(ctx);
      if (!value) break;
      bool taken = false;
      if constexpr (std::is_void_v<T>) {
        const auto sent = co_await out.async_send(ctx);
        taken = sent.status() == status::ok;
      } else {
        const auto sent = co_await out.async_send(ctx, std::move(*value));
        taken = sent.status() == status::ok;
      }
      if (!taken) break;
    }
  }
};

/// Calls a function for each value that it receives, and sends the results.
template <class T, class R, class F>
struct mapping_task {
  recv_channel<T> in;
  send_channel<R> out;
  std::shared_ptr<F> f;

  task<> operator()(const context& ctx) {
    while (!ctx.done() && !out.closed()) {
      std::optional<R> answer;
      {
        auto value = co_await in.async_recv(ctx);
        if (!value) break;
        if constexpr (coroutine_function<F&, T>)
          answer.emplace(co_await std::invoke(*f, std::move(*value)));
        else
          answer.emplace(std::invoke(*f, std::move(*value)));
      }
      const auto sent = co_await out.async_send(ctx, std::move(*answer));
      if (!sent) break;
    }
  }
};

/// The same by several workers, with the results in the order of the values.
///
/// 1. A worker takes a permit of the window, then its turn and a value, or a place in the channel's queue, in one step: so values go to the
///    workers in the order of their turns. The permit goes with the value and its result until that has been sent.
/// 2. The result of turn k goes into slot k % window. Whoever puts it there sends all that is next, unless somebody is `sending`.
/// 3. A worker that ends, however it does, ends the intake: the results behind a turn that has none could never be sent.
template <class T, class R, class F>
class ordered_mapping {
  /// Kept by whoever waits: the stage may end while one that has just queued is still about to unlock.
  struct intake {
    mutex lock;  // Only values are moved under it, and those who wait for room are posted to their places.
    std::size_t turns = 0;
  };

 public:
  ordered_mapping(recv_channel<T> in, send_channel<R> out, std::shared_ptr<F> f, std::size_t window)
      : in_(std::move(in)), out_(std::move(out)), f_(std::move(f)), window_(static_cast<std::int64_t>(window)), results_(window) {}

  task<> work(const context& ctx) {
    worker self(*this);
    for (;;) {
      const auto room = co_await window_.async_acquire(ctx);
      if (!room) co_return;
      self.has_permit = true;
      // relaxed: whoever ended the intake has released a permit since
      if (ctx.done() || ended_.load(relaxed)) co_return;
      std::size_t turn = 0;
      std::optional<R> answer;
      {
        auto value = co_await receiving(*this, ctx, turn);
        if (!value) co_return;
        if constexpr (coroutine_function<F&, T>)
          answer.emplace(co_await std::invoke(*f_, std::move(*value)));
        else
          answer.emplace(std::invoke(*f_, std::move(*value)));
      }
      self.has_permit = false;
      for (bool sends = put(turn, answer); sends; sends = take_next(answer)) {
        self.has_permit = true;
        const auto sent = co_await out_.async_send(ctx, std::move(*answer));
        if (!sent) co_return;
        answer.reset();
        window_.release();
        self.has_permit = false;
      }
    }
  }

 private:
  class receiving {
   public:
    receiving(ordered_mapping& stage, const context& ctx, std::size_t& turn)
        : value_(stage.in_.async_recv(ctx)), intake_(stage.intake_.get()), stage_(&stage), turn_(&turn) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    RUNNEL_NOINLINE bool await_suspend(std::coroutine_handle<Promise> h) {
      std::shared_ptr<intake> alive;
      const scoped_lock lock(intake_->lock);
      *turn_ = intake_->turns++;
      if (value_.is_ready()) return false;  // now: in its turn
      alive = stage_->intake_;
      return value_.await_suspend(h);  // the frame may be gone now
    }
    auto await_resume() { return value_.await_resume(); }

   private:
    decltype(std::declval<recv_channel<T>&>().async_recv(std::declval<const context&>())) value_;
    intake* intake_;
    ordered_mapping* stage_;
    std::size_t* turn_;
  };
  struct worker {
    explicit worker(ordered_mapping& s) noexcept : stage(&s) {}
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;
    ~worker() {
      stage->ended_.store(true, relaxed);        // relaxed: as where it is read
      if (has_permit) stage->window_.release();  // for the next one, which ends too
    }
    ordered_mapping* stage;
    bool has_permit = false;
  };

  /// Takes the result away, and gives back what is to be sent next, if that is for this worker to do.
  bool put(std::size_t turn, std::optional<R>& answer) {
    const scoped_lock lock(mutex_);
    move_over(slot(turn), answer);
    return !sending_ && take_next_locked(answer);
  }
  bool take_next(std::optional<R>& answer) {
    const scoped_lock lock(mutex_);
    return take_next_locked(answer);
  }
  bool take_next_locked(std::optional<R>& answer) {
    std::optional<R>& next = slot(sent_);
    sending_ = next.has_value();
    if (!sending_) return false;
    move_over(answer, next);
    ++sent_;
    return true;
  }
  /// Into one that is empty: values need not be assignable.
  static void move_over(std::optional<R>& to, std::optional<R>& from) noexcept {
    to.emplace(*std::move(from));
    from.reset();
  }
  std::optional<R>& slot(std::size_t turn) { return results_[turn % results_.size()]; }

  recv_channel<T> in_;
  send_channel<R> out_;
  std::shared_ptr<F> f_;
  semaphore window_;
  std::shared_ptr<intake> intake_ = std::make_shared<intake>();
  atomic<bool> ended_{false};
  mutex mutex_;
  std::vector<std::optional<R>> results_;
  std::size_t sent_ = 0;
  bool sending_ = false;
};
template <class Stage>
struct ordered_mapping_task {
  std::shared_ptr<Stage> stage;
  task<> operator()(const context& ctx) { return stage->work(ctx); }
};

/// Hands a copy of each value to every output.
template <class T>
struct tee_task {
  recv_channel<T> in;
  std::vector<send_channel<T>> outs;

  task<> operator()(const context& ctx) {
    selector offers;  // to those who are not there yet
    std::vector<T> copies;
    copies.reserve(outs.size());
    while (!ctx.done() && !outs.empty()) {
      {
        auto value = co_await in.async_recv(ctx);
        if (!value) co_return;
        for (std::size_t i = 1; i < outs.size(); ++i) copies.push_back(std::as_const(*value));
        copies.push_back(std::move(*value));
      }
      for (std::size_t i = 0; i < outs.size(); ++i) {
        const auto sent = outs[i].try_send(std::move(copies[i]));
        if (sent.status() == status::would_block)
          offers.add(runnel::on_send(outs[i], std::move(copies[i]), drop_if_closed{&outs[i]}));
        else
          drop_if_closed{&outs[i]}(sent);
      }
      copies.clear();
      while (offers.size() != 0) {
        const auto taken = co_await offers.async_wait(ctx);
        if (!taken) co_return;
      }
      std::erase(outs, nullptr);
    }
  }

 private:
  struct drop_if_closed {
    send_channel<T>* out;
    void operator()(send_result sent) const {
      if (!sent) *out = nullptr;
    }
  };
};

}  // namespace runnel::inline RUNNEL_ABI::detail
