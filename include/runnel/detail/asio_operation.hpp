// An awaitable as an asynchronous operation: a coroutine that awaits it, and ends by a handler's call.
//
// Handlers are called by their executor, when nothing of the operation is left, and never by whoever completes it.
#pragma once

#include <runnel/detail/asio_context.hpp>
#include <runnel/detail/await.hpp>
#include <runnel/detail/task_outcome.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <type_traits>

namespace runnel::inline RUNNEL_ABI::detail::inline RUNNEL_ASIO_KIND {

/// What an executor is to make of an operation: it owns that until then. Not of the operation's type, of which there are many: what
/// an executor makes of a function takes long to compile.
template <class Allocator>
class operation_step {
 public:
  using allocator_type = Allocator;
  using function = void (*)(pending_operation& op);

  operation_step(pending_operation& op, function what, const Allocator& allocator) noexcept
      : operation_(&op), what_(what), allocator_(allocator) {}
  operation_step(operation_step&& other) noexcept
      : operation_(std::exchange(other.operation_, nullptr)), what_(other.what_), allocator_(other.allocator_) {}
  operation_step& operator=(operation_step&&) = delete;
  ~operation_step() {
    if (operation_ != nullptr) operation_->destroy();
  }
  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_; }
  void operator()() { what_(*std::exchange(operation_, nullptr)); }

 private:
  pending_operation* operation_;
  function what_;
  Allocator allocator_;
};

/// What a handler gets with an exception.
template <class R>
R no_answer() {
  if constexpr (requires(R& r) { result_access::set(r, status::canceled); }) {
    return result_access::failed<typename R::value_type>(status::would_block);
  } else {
    static_assert(std::default_initializable<R>, "with an exception the handler gets an R(): answer a std::optional instead");
    return R();
  }
}

template <class Operation>
struct operation_frame {
  using promise_type = Operation;
  Operation* operation;
};

/// The frame of an operation: a function to call, what that returns to await, a handler. Its answer is an R.
template <class Operation, class R, class F, class Handler, class DefaultExecutor>
class operation_promise : public pending_operation, public task_frame_memory {
 public:
  using allocator_type = net::associated_allocator_t<Handler>;
  using executor_type = net::associated_executor_t<Handler, DefaultExecutor>;
  using awaited_type = awaited_t<std::invoke_result_t<F&>>;

  operation_frame<Operation> get_return_object() noexcept {
    auto& self = static_cast<Operation&>(*this);
    frame_ = std::coroutine_handle<Operation>::from_promise(self);
    return {&self};
  }
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] auto final_suspend() const noexcept { return end_awaiter(); }
  void return_void() const noexcept {}
  void unhandled_exception() const noexcept { std::terminate(); }

  /// A frame, which begins when it is resumed. A member: g++ warns of frames of function templates that hold types without linkage.
  static operation_frame<Operation> make(std::allocator_arg_t /*tag*/, allocator_type /*allocator*/) {
    Operation& self = co_await this_operation();
    try {
      if constexpr (!std::is_void_v<R>) {
        self.answer_.emplace(co_await self.begin());
      } else if constexpr (std::is_void_v<awaited_type>) {
        co_await self.begin();
      } else {
        const auto answer = co_await self.begin();
        answer.value();
      }
    } catch (...) {
      self.error_ = std::current_exception();
    }
  }
  /// Before it begins.
  template <class AnyHandler>
  void fill(AnyHandler&& handler, F&& f, const DefaultExecutor& executor) {
    handler_.emplace(std::forward<AnyHandler>(handler));
    f_.emplace(std::move(f));
    work_.emplace(net::get_associated_executor(*handler_, executor));
  }
  [[nodiscard]] allocator_type get_allocator() const noexcept { return net::get_associated_allocator(*handler_); }
  [[nodiscard]] executor_type executor() const noexcept { return work_->get_executor(); }
  auto call() { return (*f_)(); }

  /// Gives the answer to the handler. By the handler's executor.
  void complete() {
    Handler handler(std::move(*handler_));
    const auto work = std::move(work_);
    std::exception_ptr error = std::move(error_);
    if constexpr (std::is_void_v<R>) {
      end_frame(handler);
      std::move(handler)(std::move(error));
    } else {
      R answer = answer_ ? std::move(*answer_) : no_answer<R>();
      end_frame(handler);
      std::move(handler)(std::move(error), std::move(answer));
    }
  }

 protected:
  /// Gives it to an executor. It may be gone then.
  template <class E>
  void post_step(const E& to, typename operation_step<allocator_type>::function what) {
    net::post(to, operation_step<allocator_type>(*this, what, get_allocator()));
  }
  /// Lets the executor complete it. `home`: where it is linked, if it is.
  void post_completion(pending_operations* home) noexcept {
    const bool counted = home != nullptr && home->unlink_to_post(*this);
    post_step(executor(), [](pending_operation& op) { static_cast<Operation&>(op).complete(); });
    if (counted) home->end_post();
  }

 private:
  friend Operation;
  operation_promise() noexcept = default;

  struct this_operation {
    Operation* operation = nullptr;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<Operation> h) noexcept {
      operation = &h.promise();
      return false;
    }
    [[nodiscard]] Operation& await_resume() const noexcept { return *operation; }
  };
  struct end_awaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<Operation> h) const noexcept { h.promise().ended(); }  // the frame may be gone now
    void await_resume() const noexcept {}
  };

  void end_frame([[maybe_unused]] const Handler& handler) noexcept {
    destroy();
#if defined(RUNNEL_ASIO_HAS_SLOTS)
    auto slot = net::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) slot.clear();
#endif
  }

  std::optional<Handler> handler_;
  std::optional<F> f_;
  std::optional<net::executor_work_guard<executor_type>> work_;
  std::exception_ptr error_;
  std::optional<std::conditional_t<std::is_void_v<R>, bool, R>> answer_;
};

template <class Operation, class Handler, class F, class Executor>
Operation& make_operation(Handler&& handler, F&& f, const Executor& executor) {
  Operation& op = *Operation::make(std::allocator_arg, net::get_associated_allocator(handler)).operation;
  try {
    op.fill(std::forward<Handler>(handler), std::forward<F>(f), executor);
  } catch (...) {
    op.destroy();
    throw;
  }
  return op;
}

template <class Event>
void is_event_awaiter(const event_awaiter<Event>&);
/// An awaiter that waits once, and goes on at its own place and nowhere else.
template <class A>
concept waits_once = requires(const A& a) { is_event_awaiter(a); };
/// The same, and it may have to wait several times.
template <class A>
concept waits_itself = waits_once<A> || std::derived_from<A, plan_awaiter>;

/// An operation that awaits one awaiter of this library. It is the place where that goes on, which completes it there and then.
template <class R, class F, class Handler>
class event_operation final : public operation_promise<event_operation<R, F, Handler>, R, F, Handler, net::system_executor>,
                              public resume_place {
  using awaiter_type = std::invoke_result_t<F&>;

  struct linked_awaiter {
    explicit linked_awaiter(event_operation& op) : self(op), awaiter(op.call()) {}
    bool await_ready() { return awaiter.await_ready(); }
    auto await_suspend(std::coroutine_handle<event_operation> h) {
      self.link();
      return awaiter.await_suspend(h);  // the frame may be gone now
    }
    decltype(auto) await_resume() { return awaiter.await_resume(); }

    event_operation& self;
    awaiter_type awaiter;
  };

 public:
  void start() { this->frame_.resume(); }
  linked_awaiter begin() { return linked_awaiter(*this); }
  void ended() noexcept {
    if (ended_ != nullptr)
      *ended_ = true;
    else
      this->post_completion(home_);  // it has not waited, and its handler is not to be called here
  }

  [[nodiscard]] runnel::resume_place* resume_place() noexcept { return this; }
  void post(work_item& item) noexcept override {
    pending_operations& home = *home_;
    if (!home.unlink_to_post(*this)) return item.drop();  // its context is ending, and waits for this
    item_ = &item;
    this->post_step(this->executor(), [](pending_operation& op) { static_cast<event_operation&>(op).go_on(); });
    home.end_post();
  }
  bool retract(work_item& item) noexcept override { return std::exchange(item_, nullptr) == &item; }
  void go_on() {
    bool ended = false;
    ended_ = &ended;
    if constexpr (!waits_once<awaiter_type>) home_->link(*this);  // it may have to wait again
    std::exchange(item_, nullptr)->run();                         // the frame may be gone now, but for its end
    if (!ended) return;
    if constexpr (!waits_once<awaiter_type>) home_->unlink(*this);
    this->complete();
  }

 private:
  void link() {
    if (home_ == nullptr) home_ = &pending_operations::of(this->executor());
    home_->link(*this);
  }

  pending_operations* home_ = nullptr;
  work_item* item_ = nullptr;
  bool* ended_ = nullptr;
};

/// An operation that awaits a task, or what else can be awaited.
template <class R, class F, class Handler, class Executor>
class task_operation final : public operation_promise<task_operation<R, F, Handler, Executor>, R, F, Handler, Executor> {
  using base = operation_promise<task_operation, R, F, Handler, Executor>;

 public:
  template <class AnyHandler>
  void fill(AnyHandler&& handler, F&& f, const Executor& executor) {
    base::fill(std::forward<AnyHandler>(handler), std::move(f), executor);
    place_.emplace(executor, this->get_allocator());
    place_work_.emplace(executor);
  }
  /// Begins in this thread.
  void start() { this->frame_.resume(); }
  /// Begins at the executor.
  void start_there() {
    const Executor to = place_->get_executor();
    this->post_step(to, [](pending_operation& op) { static_cast<task_operation&>(op).start(); });
  }
  auto begin() {
    place_->home().link(*this);
    return this->call();
  }
  void ended() noexcept { this->post_completion(&place_->home()); }
  [[nodiscard]] runnel::resume_place* resume_place() noexcept { return &*place_; }

 private:
  struct own_place final : executor_place<Executor, typename base::allocator_type> {
    using executor_place<Executor, typename base::allocator_type>::executor_place;
  };

  std::optional<own_place> place_;
  std::optional<net::executor_work_guard<Executor>> place_work_;
};

#if defined(RUNNEL_ASIO_HAS_SLOTS)
inline constexpr bool has_slots = true;
/// A context that the handler's cancellation slot cancels; null if that is not connected.
template <class Handler>
std::shared_ptr<scoped_context> canceled_by_slot(const Handler& handler, const context& parent) {
  auto slot = net::get_associated_cancellation_slot(handler);
  if (!slot.is_connected()) return nullptr;
  auto ctx = std::make_shared<scoped_context>(with_cancel(parent));
  slot.assign([ctx](net::cancellation_type_t /*type*/) { ctx->cancel(); });
  return ctx;
}
#else
inline constexpr bool has_slots = false;
template <class Handler>
std::shared_ptr<scoped_context> canceled_by_slot(const Handler& /*handler*/, const context& /*parent*/) {
  return nullptr;
}
#endif

/// A function of a context, with that.
template <class F>
class call_with_context {
 public:
  call_with_context(F&& f, context ctx, std::shared_ptr<scoped_context> canceled) noexcept
      : f_(std::move(f)), ctx_(canceled != nullptr ? context(*canceled) : std::move(ctx)), canceled_(std::move(canceled)) {}
  auto operator()() { return f_(ctx_); }

 private:
  F f_;
  context ctx_;
  std::shared_ptr<scoped_context> canceled_;
};

/// Calls start(f) with a function without arguments: f itself, or with the context that the handler's slot cancels.
template <class Handler, class F, class Start>
void start_with(const Handler& handler, F&& f, const Start& start) {
  if constexpr (std::invocable<F&, const context&> && (has_slots || !std::invocable<F&>)) {
    context parent;
    if constexpr (requires { f.parent; }) parent = f.parent;
    auto canceled = canceled_by_slot(handler, parent);
    if (canceled != nullptr || !std::invocable<F&>)
      return start(call_with_context<F>(std::forward<F>(f), std::move(parent), std::move(canceled)));
  }
  if constexpr (std::invocable<F&>) start(std::forward<F>(f));
}

template <class R>
struct initiate_await {
  template <class AnyHandler, class F>
  void operator()(AnyHandler&& handler, F&& f) const {
    using handler_type = std::decay_t<AnyHandler>;
    start_with(handler, std::decay_t<F>(std::forward<F>(f)), [&]<class Call>(Call&& call) {
      if constexpr (waits_itself<std::invoke_result_t<Call&>>) {
        using operation = event_operation<R, Call, handler_type>;
        make_operation<operation>(std::forward<AnyHandler>(handler), std::forward<Call>(call), net::system_executor()).start();
      } else {
        const auto executor = net::get_associated_executor(handler);
        using operation = task_operation<R, Call, handler_type, std::remove_cv_t<decltype(executor)>>;
        make_operation<operation>(std::forward<AnyHandler>(handler), std::forward<Call>(call), executor).start();
      }
    });
  }
};
template <class R, class Executor>
class initiate_spawn {
 public:
  using executor_type = Executor;
  explicit initiate_spawn(Executor executor) : executor_(std::move(executor)) {}
  [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }
  template <class AnyHandler, class F>
  void operator()(AnyHandler&& handler, F&& f) const {
    start_with(handler, std::decay_t<F>(std::forward<F>(f)), [&]<class Call>(Call&& call) {
      using operation = task_operation<R, Call, std::decay_t<AnyHandler>, Executor>;
      make_operation<operation>(std::forward<AnyHandler>(handler), std::forward<Call>(call), executor_).start_there();
    });
  }

 private:
  Executor executor_;
};

/// A task that was made already, as a function.
template <class T>
struct made_task {
  task<T> work;
  task<T> operator()() { return std::move(work); }
};

template <class F>
struct function_answer {
  using type = awaited_t<std::invoke_result_t<F&, const context&>>;
};
template <std::invocable F>
struct function_answer<F> {
  using type = awaited_t<std::invoke_result_t<F&>>;
};
template <class F>
using function_answer_t = typename function_answer<F>::type;
template <class R>
struct completion {
  using signature = void(std::exception_ptr, R);
};
template <>
struct completion<void> {
  using signature = void(std::exception_ptr);
};

template <class F, class Token>
auto initiate_awaiting(F f, Token&& token) {
  using R = function_answer_t<F>;
  return net::async_initiate<Token, typename completion<R>::signature>(initiate_await<R>(), token, std::move(f));
}
template <class Executor, class F, class Token>
auto initiate_spawning(const Executor& executor, F f, Token&& token) {
  using R = function_answer_t<F>;
  return net::async_initiate<Token, typename completion<R>::signature>(initiate_spawn<R, Executor>(executor), token, std::move(f));
}
template <class F>
concept makes_awaitable = (std::invocable<F&> && awaitable<std::invoke_result_t<F&>>) ||
                          (std::invocable<F&, const context&> && awaitable<std::invoke_result_t<F&, const context&>>);
template <class E>
concept executor_of_asio = net::execution::is_executor<E>::value || net::is_executor<E>::value;

}  // namespace runnel::inline RUNNEL_ABI::detail::inline RUNNEL_ASIO_KIND
