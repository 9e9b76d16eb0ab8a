// What a task's function may return, and how its failures become exceptions.
//
// What is called with the user's types is named with its namespace: theirs may have something of the same name.
#pragma once

#include <runnel/task.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

namespace runnel::inline RUNNEL_ABI::detail {

/// Like std::expected: it has a value or an error.
template <class R>
concept expected_like = requires(R& r) {
  { r.has_value() } -> std::convertible_to<bool>;
  r.error();
};

/// What a task may answer: nothing, a code, or a value or error.
template <class R>
concept task_answer = std::is_void_v<R> || std::same_as<std::remove_cvref_t<R>, std::error_code> || expected_like<R>;

/// What can be awaited, as a type: task<> and whatever has an operator co_await, or is an awaiter.
template <class A>
decltype(auto) awaiter_of(A&& a) {
  if constexpr (requires { std::forward<A>(a).operator co_await(); })
    return std::forward<A>(a).operator co_await();
  else if constexpr (requires { operator co_await(std::forward<A>(a)); })
    return operator co_await(std::forward<A>(a));
  else
    return std::forward<A>(a);
}
template <class A>
concept awaitable = !std::is_void_v<A> && requires(A&& a) {
  { detail::awaiter_of(std::forward<A>(a)).await_ready() } -> std::convertible_to<bool>;
  detail::awaiter_of(std::forward<A>(a)).await_resume();
};
template <class A>
using awaited_t = decltype(detail::awaiter_of(std::declval<A>()).await_resume());

/// What a function that returned R answers in the end.
template <class R>
struct answer_of {
  using type = R;
};
template <awaitable R>
struct answer_of<R> {
  using type = awaited_t<R>;
};

/// What a task may return: an answer, or what can be awaited for one.
template <class R>
concept task_result = task_answer<typename answer_of<R>::type>;

/// What can be called as a task with these arguments.
template <class F, class... Args>
concept task_function = std::invocable<F, Args...> && task_result<std::invoke_result_t<F, Args...>>;

/// Throws the failure that a task has answered: a code as std::system_error, an error as it is, an exception_ptr's exception itself.
template <class R>
void throw_failure(R&& answer) {
  if constexpr (std::same_as<std::remove_cvref_t<R>, std::error_code>) {
    if (answer) throw std::system_error(answer, "runnel: a task answered an error");
  } else {
    if (answer.has_value()) return;
    using error = std::remove_cvref_t<decltype(answer.error())>;
    if constexpr (std::same_as<error, std::exception_ptr>) {
      if (answer.error() == nullptr) throw std::logic_error("runnel: a task answered an exception_ptr that is null as its error");
      std::rethrow_exception(std::forward<R>(answer).error());
    } else {
      throw error(std::forward<R>(answer).error());
    }
  }
}

/// Calls f(args...), which is no coroutine. A failure that it returns is thrown.
template <class F, class... Args>
  requires task_function<F, Args...>
void call_task(F&& f, Args&&... args) {
  using R = std::invoke_result_t<F, Args...>;
  if constexpr (std::is_void_v<R>)
    std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  else
    detail::throw_failure(std::invoke(std::forward<F>(f), std::forward<Args>(args)...));
}
/// Awaits what a coroutine function has returned, which outlives it. A failure that it answers is thrown.
template <awaitable A>
class checked_awaiter {
 public:
  explicit checked_awaiter(A&& work) : awaiter_(detail::awaiter_of(std::forward<A>(work))) {}
  checked_awaiter(const checked_awaiter&) = delete;
  checked_awaiter& operator=(const checked_awaiter&) = delete;
  ~checked_awaiter() = default;

  bool await_ready() { return awaiter_.await_ready(); }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> h) {
    return awaiter_.await_suspend(h);
  }
  void await_resume() {
    if constexpr (std::is_void_v<awaited_t<A>>)
      awaiter_.await_resume();
    else
      detail::throw_failure(awaiter_.await_resume());
  }

 private:
  decltype(detail::awaiter_of(std::declval<A>())) awaiter_;  // or a reference to what is one already
};
template <class A>
checked_awaiter(A&&) -> checked_awaiter<A>;

/// Whether f(args...) returns what is to be awaited.
template <class F, class... Args>
concept coroutine_function = std::invocable<F, Args...> && awaitable<std::invoke_result_t<F, Args...>>;

/// A decayed copy of a callable and its arguments, called once and destroyed before others learn that the task has ended.
template <class F, class... Args>
class bound_call {
 public:
  template <class G, class... Ts>
  explicit bound_call(std::in_place_t, G&& f, Ts&&... args)
      : parts_(std::in_place, std::forward<G>(f), std::forward<Ts>(args)...) {}

  using result_type = std::invoke_result_t<F, Args...>;

  /// Whether the call returns what is to be awaited; then its parts live until that has ended.
  static constexpr bool is_coroutine = coroutine_function<F, Args...>;

  result_type operator()() { return std::apply(invoke, std::move(*parts_)); }
  /// The same as a task: failures are thrown.
  void call_as_task() {
    std::apply([](auto&&... parts) { detail::call_task(std::forward<decltype(parts)>(parts)...); }, std::move(*parts_));
  }
  void reset() noexcept { parts_.reset(); }

 private:
  static constexpr auto invoke = [](auto&&... parts) -> result_type {
    return std::invoke(std::forward<decltype(parts)>(parts)...);
  };
  std::optional<std::tuple<F, Args...>> parts_;
};
template <class F, class... Args>
using bound_call_of = bound_call<std::decay_t<F>, std::decay_t<Args>...>;

}  // namespace runnel::inline RUNNEL_ABI::detail
