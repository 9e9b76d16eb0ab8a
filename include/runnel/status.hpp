// How an operation ended: status, result<T>, and the exceptions that the plain forms throw.
#pragma once

#include <runnel/detail/config.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace runnel::inline RUNNEL_ABI {

/// How an operation ended. An error_code enum: `ok` is no error, and each other value equals a std::errc.
///
/// | value | meaning | equals |
/// |---|---|---|
/// | ok | it happened | |
/// | would_block | it could not happen at once | errc::operation_would_block |
/// | closed | the channel is closed (and, to receive, drained) | errc::broken_pipe |
/// | canceled | the context was canceled first | errc::operation_canceled |
/// | timed_out | the deadline passed first | errc::timed_out |
enum class status : std::uint8_t { ok, would_block, closed, canceled, timed_out };

namespace detail {

class status_category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "runnel"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<status>(value)) {
      case status::ok: return "ok";
      case status::would_block: return "would block";
      case status::closed: return "closed";
      case status::canceled: return "canceled";
      case status::timed_out: return "timed out";
    }
    return "unknown status";
  }
  [[nodiscard]] std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<status>(value)) {
      case status::ok: return {};
      case status::would_block: return std::errc::operation_would_block;
      case status::closed: return std::errc::broken_pipe;
      case status::canceled: return std::errc::operation_canceled;
      case status::timed_out: return std::errc::timed_out;
    }
    return {value, *this};
  }
};

inline const std::error_category& category() noexcept {
  union immortal_category {
    status_category instance;
    immortal_category() noexcept : instance() {}
    ~immortal_category() {}  // destroys nothing: threads may ask while the program ends
  };
  static const immortal_category category;
  return category.instance;
}
/// What std::error_code() is, without a call into the standard library.
inline const std::error_code& no_error() noexcept {
  static const std::error_code none;
  return none;
}

}  // namespace detail

inline std::error_code make_error_code(status s) noexcept { return {static_cast<int>(s), detail::category()}; }

/// Thrown where Go panics: send on a closed channel, close of a closed channel. code() is status::closed.
class channel_closed : public std::system_error {
 public:
  explicit channel_closed(const std::string& what) : std::system_error(make_error_code(status::closed), what) {}
};

/// Thrown when a context ended the work. code() is status::canceled or status::timed_out.
class context_error : public std::system_error {
 public:
  explicit context_error(status s, const std::string& what = "context", std::exception_ptr cause = nullptr)
      : std::system_error(make_error_code(s), what), cause_(std::move(cause)) {}
  /// What the context was canceled with; null if this exception is itself all there is to say.
  [[nodiscard]] std::exception_ptr cause() const { return cause_; }

 private:
  std::exception_ptr cause_;
};

namespace detail {
struct result_access;

/// A context_error for those who hand it on; or what was thrown when there was no memory for one.
inline std::exception_ptr make_context_error(status s, const char* what) noexcept {
  try {
    return std::make_exception_ptr(context_error(s, what));
  } catch (...) {
    return std::current_exception();
  }
}

[[noreturn]] RUNNEL_NOINLINE inline void throw_status(status s) {
  switch (s) {
    case status::closed: throw channel_closed("runnel: value() of a result");
    case status::canceled:
    case status::timed_out: throw context_error(s, "runnel: value() of a result");
    default: throw std::system_error(make_error_code(s), "runnel: value() of a result");
  }
}
}  // namespace detail

/// What a waiting operation answers: a value, or the status that says why there is none.
///
/// Only the library makes results; a result is never made from a T by accident. Use status() to tell the ends apart,
/// value() to turn a failure into an exception, to_optional() where the reason does not matter.
template <class T>
class result {
 public:
  using value_type = T;

  result(const result& other) noexcept(std::is_nothrow_copy_constructible_v<T>)
    requires std::copy_constructible<T>
      : status_(other.status_) {
    if (other) std::construct_at(std::addressof(value_), other.value_);
  }
  result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : status_(other.status_) {
    if (other) std::construct_at(std::addressof(value_), std::move(other.value_));
  }
  // NOLINTNEXTLINE(performance-unnecessary-value-param): copied, or moved, by whoever calls
  result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    reset();
    if (other) std::construct_at(std::addressof(value_), std::move(other.value_));
    status_ = other.status_;
    return *this;
  }
  ~result() { reset(); }

  /// Whether there is a value: status() == status::ok.
  explicit operator bool() const noexcept { return status_ == runnel::status::ok; }
  [[nodiscard]] runnel::status status() const noexcept { return status_; }

  /// The value; undefined where there is none.
  [[nodiscard]] T& operator*() & noexcept { return value_; }
  [[nodiscard]] const T& operator*() const& noexcept { return value_; }
  [[nodiscard]] T&& operator*() && noexcept { return std::move(value_); }
  [[nodiscard]] T* operator->() noexcept { return std::addressof(value_); }
  [[nodiscard]] const T* operator->() const noexcept { return std::addressof(value_); }

  /// Returns: the value. Throws: channel_closed, context_error (canceled, timed_out) or std::system_error (would_block).
  T& value() & { return check(), value_; }
  const T& value() const& { return check(), value_; }
  T&& value() && { return check(), std::move(value_); }

  /// The value, or nothing. A `std::optional<bool>(answer)`, in parentheses, would ask whether there is a value; `= answer` does not.
  [[nodiscard]] std::optional<T> to_optional() const&
    requires std::copy_constructible<T>
  {
    return *this ? std::optional<T>(value_) : std::nullopt;
  }
  [[nodiscard]] std::optional<T> to_optional() && { return *this ? std::optional<T>(std::move(value_)) : std::nullopt; }
  operator std::optional<T>() const&  // NOLINT(google-explicit-constructor): api
    requires std::copy_constructible<T>
  {
    return to_optional();
  }
  operator std::optional<T>() && { return std::move(*this).to_optional(); }  // NOLINT(google-explicit-constructor): api

 private:
  friend struct detail::result_access;
  struct empty {};
  explicit result(empty, runnel::status s) noexcept : status_(s) {}

  void check() const {
    if (!*this) detail::throw_status(status_);
  }
  void reset() noexcept {
    if (*this) std::destroy_at(std::addressof(value_));
    status_ = runnel::status::would_block;
  }

  union {
    T value_;
  };
  runnel::status status_;
};

/// The answer of an operation that yields no value.
template <>
class result<void> {
 public:
  using value_type = void;

  explicit operator bool() const noexcept { return status_ == runnel::status::ok; }
  [[nodiscard]] runnel::status status() const noexcept { return status_; }
  void operator*() const noexcept {}
  /// Throws: as result<T>::value.
  void value() const {
    if (!*this) detail::throw_status(status_);
  }

 private:
  friend struct detail::result_access;
  explicit result(runnel::status s) noexcept : status_(s) {}
  runnel::status status_;
};

template <class T>
using recv_result = result<T>;
using send_result = result<void>;

namespace detail {

/// How the library makes results: of a status, of a value, or empty with a place that a counterparty fills.
struct result_access {
  template <class T>
  static result<T> failed(status s) noexcept {
    if constexpr (std::is_void_v<T>)
      return result<void>(s);
    else
      return result<T>(typename result<T>::empty{}, s);
  }
  template <class T, class... Args>
  static result<T> ok(Args&&... args) {
    auto r = failed<T>(status::would_block);
    if constexpr (!std::is_void_v<T>) std::construct_at(place(r), std::forward<Args>(args)...);
    r.status_ = status::ok;
    return r;
  }
  /// Raw storage for the value of a result that has none; a null pointer where there is no value at all.
  template <class T>
  static auto* place(result<T>& r) noexcept {
    if constexpr (std::is_void_v<T>)
      return static_cast<void*>(nullptr);
    else
      return std::addressof(r.value_);
  }
  /// Says how it ended; `ok` only once the place has been filled.
  template <class T>
  static void set(result<T>& r, status s) noexcept {
    r.status_ = s;
  }
};

inline send_result sent(status s) noexcept { return result_access::failed<void>(s); }

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI

template <>
struct std::is_error_code_enum<runnel::status> : std::true_type {};
