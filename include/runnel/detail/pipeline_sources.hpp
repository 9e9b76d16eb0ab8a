// The steps of a pipeline: what its source, stages and sink are in one run; here, what they have in common, and the sources.
//
// A step is asked for its next value, and asks the one above it.
//
// 1. next() answers a value, or none and says why in the state: the input has ended, has nothing right now, or a call has to be awaited.
//    In the two latter cases it is called again, when that is over: what a step has begun it keeps in itself until then.
// 2. Steps that need nothing between them are members of one another, from the last to the first: one object, a chain, that one task runs.
// 3. The functions of the stages belong to the description. A step refers to them, and outlives nothing of it.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/detail/pipe.hpp>
#include <runnel/detail/task_outcome.hpp>

#include <algorithm>
#include <concepts>
#include <functional>
#include <iterator>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace runnel::inline RUNNEL_ABI::detail {

/// Why a step has no value.
enum class pause : std::uint8_t { ended, input, call };

/// What the steps of a chain and the task that runs them tell each other.
struct step_state {
  explicit step_state(const context& c) noexcept : ctx(c), scope(context_access::scope(c)) {}

  const context& ctx;
  cancel_scope* const scope;  // of the context, which is looked at for each value
  pause why = pause::ended;
  bool canceled = false;     // with `ended`: because of the context, as far as a step can tell
  time_point due = never;    // with `input`: when to ask again at the latest
  task<>* awaits = nullptr;  // with `call`

  std::nullopt_t stop(pause reason) noexcept {
    why = reason;
    return std::nullopt;
  }
  /// Whether the run is to end now.
  bool is_canceled() noexcept {
    if (scope == nullptr || !scope->done()) [[likely]]
      return false;
    why = pause::ended;
    canceled = true;
    return true;
  }
};

// The functions of the stages: f(values...) or f(const context&, values...), which answers a value or what is to be awaited for one.

template <class F, class... Args>
concept stage_function = std::invocable<F&, Args...> || std::invocable<F&, const context&, Args...>;

template <class F, class... Args>
  requires stage_function<F, Args...>
decltype(auto) call_stage(F& f, const context& ctx, Args&&... args) {
  if constexpr (std::invocable<F&, Args...>)
    return std::invoke(f, std::forward<Args>(args)...);
  else
    return std::invoke(f, ctx, std::forward<Args>(args)...);
}
template <class F, class... Args>
using stage_result_t = decltype(detail::call_stage(std::declval<F&>(), std::declval<const context&>(), std::declval<Args>()...));
/// What it answers in the end.
template <class F, class... Args>
using stage_answer_t = typename answer_of<stage_result_t<F, Args...>>::type;
template <class T>
using value_of_answer_t = std::conditional_t<std::is_void_v<T>, nothing, std::remove_cvref_t<T>>;

/// The calls of a stage's function, one at a time. The answer of a coroutine is there when the step is asked again.
template <class F, class... Args>
class stage_calls {
  using answer = stage_answer_t<F, Args...>;

 public:
  using value_type = value_of_answer_t<answer>;
  static constexpr bool waits = awaitable<stage_result_t<F, Args...>>;

  explicit stage_calls(F& f) noexcept : f_(&f) {}

  /// Whether there is an answer that was awaited.
  [[nodiscard]] bool has_answer() const noexcept { return answer_.has_value(); }
  value_type take() { return *std::exchange(answer_, std::nullopt); }

  /// Returns: the answer, or none and that a call is to be awaited. What is passed by reference must live until the answer is there.
  std::optional<value_type> call(step_state& s, Args... args) {
    if constexpr (waits) {
      s.awaits = &running_.emplace(await_call(*this, s.ctx, std::forward<Args>(args)...));
      return s.stop(pause::call);
    } else if constexpr (std::is_void_v<answer>) {
      detail::call_stage(*f_, s.ctx, std::forward<Args>(args)...);
      return nothing();
    } else {
      return std::optional<value_type>(std::in_place, detail::call_stage(*f_, s.ctx, std::forward<Args>(args)...));
    }
  }

 private:
  static task<> await_call(stage_calls& self, const context& ctx,
                           std::conditional_t<std::is_lvalue_reference_v<Args>, Args, std::remove_cvref_t<Args>>... args) {
    if constexpr (std::is_void_v<answer>) {
      co_await detail::call_stage(*self.f_, ctx, static_cast<Args>(args)...);
      self.answer_.emplace();
    } else {
      self.answer_.emplace(co_await detail::call_stage(*self.f_, ctx, static_cast<Args>(args)...));
    }
  }

  F* f_;
  std::optional<value_type> answer_;
  [[no_unique_address]] std::conditional_t<waits, std::optional<task<>>, nothing> running_;
};

// Sources. What they have in common: `is_channel`, whether they may have nothing right now; then wait() answers what is to be awaited, and
// accept() takes what that has answered.

/// A range's values, in a pipeline: of pairs with a const first, as in a map, pairs without. The move of a key that is const is a copy,
/// which may throw.
template <class T>
struct without_const_key {
  using type = T;
};
template <class K, class V>
struct without_const_key<std::pair<const K, V>> {
  using type = std::pair<K, V>;
};
template <class Range>
using range_value = typename without_const_key<std::ranges::range_value_t<Range>>::type;

/// A place in a range.
template <class Range>
class range_cursor {
  using reference = std::ranges::range_reference_t<Range>;

 public:
  using value_type = range_value<Range>;

  [[nodiscard]] RUNNEL_ALWAYS_INLINE std::optional<value_type> next(Range& range) {
    if (!at_) [[unlikely]]
      at_.emplace(std::ranges::begin(range));
    else if (std::exchange(is_taken_, false))
      ++*at_;  // not before: to look for one more value may take it from somewhere, or wait for it
    if (*at_ == std::ranges::end(range)) return std::nullopt;
    is_taken_ = true;
    if constexpr (std::constructible_from<value_type, reference>)
      return std::optional<value_type>(std::in_place, **at_);
    else
      return std::optional<value_type>(std::in_place, std::ranges::iter_move(*at_));
  }

 private:
  std::optional<std::ranges::iterator_t<Range>> at_;
  bool is_taken_ = false;
};
/// `Cursor`: a place of its own, or, in a range that can be gone through only once, a reference to that of the description.
template <class Range, class Cursor>
class basic_range_step {
 public:
  using value_type = range_value<Range>;
  static constexpr bool is_channel = false;
  static constexpr bool waits = false;

  explicit basic_range_step(Range& range, Cursor cursor = {}) : range_(&range), cursor_(cursor) {}
  [[nodiscard]] basic_range_step& source() noexcept { return *this; }

  RUNNEL_ALWAYS_INLINE std::optional<value_type> next(step_state& s) {
    if (s.is_canceled()) return std::nullopt;
    s.why = pause::ended;
    return static_cast<range_cursor<Range>&>(cursor_).next(*range_);
  }

 private:
  Range* range_;
  Cursor cursor_;
};
template <class Range>
using range_step = basic_range_step<Range, range_cursor<Range>>;
template <class Range>
using single_pass_step = basic_range_step<Range, std::reference_wrapper<range_cursor<Range>>>;

template <class F>
class generator_step {
  using calls = stage_calls<F>;

 public:
  using value_type = typename calls::value_type::value_type;
  static constexpr bool is_channel = false;
  static constexpr bool waits = calls::waits;

  explicit generator_step(F& f) noexcept : calls_(f) {}
  [[nodiscard]] generator_step& source() noexcept { return *this; }

  RUNNEL_ALWAYS_INLINE std::optional<value_type> next(step_state& s) {
    if (s.is_canceled()) return std::nullopt;
    if (has_ended_) return s.stop(pause::ended);
    if (calls_.has_answer()) return answered(s, calls_.take());
    std::optional<typename calls::value_type> answer = calls_.call(s);
    if (!answer) return std::nullopt;
    return answered(s, *std::move(answer));
  }

 private:
  std::optional<value_type> answered(step_state& s, std::optional<value_type>&& value) noexcept {
    has_ended_ = !value;
    s.why = pause::ended;
    if (has_ended_) s.is_canceled();  // then it may well have ended because of that
    return std::move(value);
  }

  calls calls_;
  bool has_ended_ = false;
};

/// A channel of the user's: one value at a time, so that none is taken which is not asked for.
template <class T>
class channel_step {
 public:
  using value_type = T;
  static constexpr bool is_channel = true;
  static constexpr bool waits = true;

  explicit channel_step(const recv_channel<T>& from) noexcept : from_(&from) {}
  [[nodiscard]] channel_step& source() noexcept { return *this; }

  RUNNEL_ALWAYS_INLINE std::optional<T> next(step_state& s) {
    if (s.is_canceled()) return std::nullopt;
    if (received_) return std::exchange(received_, std::nullopt);
    recv_result<T> received = from_->try_recv();
    if (received) return std::move(received).to_optional();
    return s.stop(received.status() == status::closed ? pause::ended : pause::input);
  }
  [[nodiscard]] auto wait(const context& ctx) { return from_->async_recv(ctx); }
  void accept(recv_result<T> received) {
    if (received) received_.emplace(*std::move(received));
  }

 private:
  const recv_channel<T>* from_;
  std::optional<T> received_;
};

/// The most that a chain takes at once.
inline constexpr std::size_t most_at_once = 64;

/// What comes from the tasks above, through a channel or, from one task, through a pipe: all that is there at once. When it is destroyed,
/// those tasks are told to stop.
template <class T, class Input>
class stream_step {
 public:
  using value_type = T;
  static constexpr bool is_channel = true;
  static constexpr bool waits = true;

  stream_step(Input from, std::optional<scoped_context> upstream) : upstream_(std::move(upstream)), from_(std::move(from)) {}
  [[nodiscard]] stream_step& source() noexcept { return *this; }
  /// Gives away what it stands on.
  [[nodiscard]] Input take_values() noexcept { return std::move(from_); }
  [[nodiscard]] std::optional<scoped_context> take_upstream() noexcept { return std::exchange(upstream_, std::nullopt); }

  RUNNEL_ALWAYS_INLINE std::optional<T> next(step_state& s) {
    if (s.is_canceled()) return std::nullopt;
    if (used_ == values_.size() && !refill(s)) [[unlikely]]
      return std::nullopt;
    return std::optional<T>(std::in_place, std::move(values_[used_++]));
  }
  [[nodiscard]] auto wait(const context& ctx) {
    clear();
    return from_.wait(ctx, values_);
  }
  template <class Answer>
  void accept(const Answer& /*answer*/) const noexcept {}

 private:
  void clear() noexcept {
    values_.clear();
    used_ = 0;
  }
  /// Takes what is there. False: nothing is.
  RUNNEL_NOINLINE bool refill(step_state& s) {
    clear();
    if (from_.take(values_)) return true;
    s.why = from_.drained() ? pause::ended : pause::input;
    return false;
  }

  std::optional<scoped_context> upstream_;
  Input from_;
  std::vector<T> values_;
  std::size_t used_ = 0;
};

// What is between two tasks. An input: take() appends what is there, wait() waits for more, and may append it. An output: put() answers
// would_block if the caller has to wait, and accept() what the wait means.

template <class T>
class channel_input {
 public:
  explicit channel_input(recv_channel<T> from, std::size_t at_once = most_at_once)
      : at_once_(std::clamp<std::size_t>(from.capacity(), 1, at_once)), from_(std::move(from)) {}
  bool take(std::vector<T>& out) { return from_.try_recv_many(out, at_once_) != 0; }
  [[nodiscard]] bool drained() const noexcept { return from_.drained(); }
  [[nodiscard]] auto wait(const context& ctx, std::vector<T>& out) { return from_.async_recv_many(ctx, out, at_once_); }
  [[nodiscard]] recv_channel<T> release() noexcept { return std::move(from_); }

 private:
  std::size_t at_once_;
  recv_channel<T> from_;
};
template <class T>
class channel_output {
 public:
  explicit channel_output(send_channel<T> to) : to_(std::move(to)) {}
  status put(T& value) { return to_.try_send(std::move(value)).status(); }
  [[nodiscard]] auto wait(T& value) { return to_.async_send(context(), std::move(value)); }
  static status accept(const send_result& sent) noexcept { return sent.status(); }

 private:
  send_channel<T> to_;
};
template <class T>
class pipe_input {
 public:
  explicit pipe_input(pipe_receiver<T> from) noexcept : from_(std::move(from)) {}
  bool take(std::vector<T>& out) { return from_->take(out, most_at_once) != 0; }
  [[nodiscard]] bool drained() const noexcept { return from_->nobody_sends() && !from_->has_values(); }
  [[nodiscard]] auto wait(const context& ctx, std::vector<T>& /*out*/) {
    return limited_happening_awaiter<pipe_values_event<T>>(ctx, *from_);
  }

 private:
  pipe_receiver<T> from_;
};
template <class T>
class pipe_output {
 public:
  explicit pipe_output(pipe_sender<T> to) noexcept : to_(std::move(to)) {}
  status put(T& value) noexcept { return as_status(to_->put(value)); }
  [[nodiscard]] auto wait(T& /*value*/) { return pipe_room_awaiter<T>(*to_); }
  static status accept(status s) noexcept { return s; }

 private:
  pipe_sender<T> to_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
