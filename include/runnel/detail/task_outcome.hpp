// What a task's function may return, and how its failures become exceptions.
#pragma once

#include <runnel/detail/config.hpp>

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

/// What a task may return: nothing, a code, or a value or error.
template <class R>
concept task_result = std::is_void_v<R> || std::same_as<std::remove_cvref_t<R>, std::error_code> || expected_like<R>;

/// What can be called as a task with these arguments.
template <class F, class... Args>
concept task_function = std::invocable<F, Args...> && task_result<std::invoke_result_t<F, Args...>>;

/// Calls f(args...). A failure that it returns is thrown: a code as std::system_error, an error as it is, an exception_ptr's
/// exception itself.
template <class F, class... Args>
  requires task_function<F, Args...>
void call_task(F&& f, Args&&... args) {
  using R = std::invoke_result_t<F, Args...>;
  if constexpr (std::is_void_v<R>) {
    std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  } else if constexpr (std::same_as<std::remove_cvref_t<R>, std::error_code>) {
    const std::error_code code = std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
    if (code) throw std::system_error(code, "runnel: a task answered an error");
  } else if constexpr (expected_like<R>) {
    auto answer = std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
    if (answer.has_value()) return;
    using error = std::remove_cvref_t<decltype(answer.error())>;
    if constexpr (std::same_as<error, std::exception_ptr>) {
      if (answer.error() == nullptr) throw std::logic_error("runnel: a task answered an exception_ptr that is null as its error");
      std::rethrow_exception(std::move(answer).error());
    } else {
      throw error(std::move(answer).error());
    }
  }
}

/// A decayed copy of a callable and its arguments, called once and destroyed before others learn that the task has ended.
template <class F, class... Args>
class bound_call {
 public:
  template <class G, class... Ts>
  explicit bound_call(std::in_place_t, G&& f, Ts&&... args)
      : parts_(std::in_place, std::forward<G>(f), std::forward<Ts>(args)...) {}

  using result_type = std::invoke_result_t<F, Args...>;

  result_type operator()() { return std::apply(invoke, std::move(*parts_)); }
  /// The same as a task: failures are thrown.
  void call_as_task() {
    std::apply([](auto&&... parts) { call_task(std::forward<decltype(parts)>(parts)...); }, std::move(*parts_));
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
