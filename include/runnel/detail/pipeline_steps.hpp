// The steps of a pipeline that have one above them: its stages and its sink, in one run. Their rules stand in pipeline_sources.hpp.
#pragma once

#include <runnel/detail/pipeline_sources.hpp>

#include <algorithm>
#include <memory>

namespace runnel::inline RUNNEL_ABI::detail {

template <class Up, class F>
class map_step {
  using calls = stage_calls<F, typename Up::value_type&&>;

 public:
  using value_type = typename calls::value_type;
  static constexpr bool waits = Up::waits || calls::waits;

  map_step(Up&& up, F& f) : up_(std::move(up)), calls_(f) {}
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::optional<value_type> next(step_state& s) {
    if (calls_.has_answer()) return calls_.take();
    auto value = up_.next(s);
    if (!value) return std::nullopt;
    return calls_.call(s, *std::move(value));
  }

 private:
  Up up_;
  calls calls_;
};

/// filter, and with Keeps = false tap, which passes all values on.
template <class Up, class F, bool Keeps>
class look_step {
 public:
  using value_type = typename Up::value_type;

 private:
  using calls = stage_calls<F, const value_type&>;

 public:
  static constexpr bool waits = Up::waits || calls::waits;

  look_step(Up&& up, F& f) : up_(std::move(up)), calls_(f) {}
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::optional<value_type> next(step_state& s) {
    for (;;) {
      if constexpr (calls::waits) {
        if (calls_.has_answer()) {
          std::optional<value_type> looked_at = std::exchange(held_, std::nullopt);
          if (passes(calls_.take())) return looked_at;
        }
        auto value = up_.next(s);
        if (value) calls_.call(s, held_.emplace(*std::move(value)));
        return std::nullopt;
      } else {
        std::optional<value_type> value = up_.next(s);
        if (!value || passes(*calls_.call(s, *value))) return value;
      }
    }
  }

 private:
  static bool passes(const typename calls::value_type& answer) {
    if constexpr (Keeps)
      return static_cast<bool>(answer);
    else
      return true;
  }

  Up up_;
  calls calls_;
  [[no_unique_address]] std::conditional_t<calls::waits, std::optional<value_type>, nothing> held_;
};

template <class Up, class F>
class flat_map_step {
  using calls = stage_calls<F, typename Up::value_type&&>;
  using range = typename calls::value_type;

 public:
  using value_type = range_value<range>;
  static constexpr bool waits = Up::waits || calls::waits;

  flat_map_step(Up&& up, F& f) : up_(std::move(up)), calls_(f) {}
  // Only before it is asked for a value: g++ 12 warns where what is not there yet is moved.
  flat_map_step(flat_map_step&& other) noexcept : up_(std::move(other.up_)), calls_(std::move(other.calls_)) {}
  flat_map_step& operator=(flat_map_step&&) = delete;
  ~flat_map_step() = default;
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::optional<value_type> next(step_state& s) {
    for (;;) {
      if (values_) {
        if (s.is_canceled()) return std::nullopt;
        if (*at_ != std::ranges::end(*values_)) return take();
        at_.reset();
        values_.reset();
      }
      if (calls_.has_answer()) {
        begin(calls_.take());
        continue;
      }
      auto value = up_.next(s);
      if (!value) return std::nullopt;
      std::optional<range> values = calls_.call(s, *std::move(value));
      if (!values) return std::nullopt;
      begin(*std::move(values));
    }
  }

 private:
  void begin(range&& values) {
    values_.emplace(std::move(values));
    at_.emplace(std::ranges::begin(*values_));
  }
  std::optional<value_type> take() {
    std::optional<value_type> value;
    if constexpr (gives_away<range, std::ranges::range_value_t<range>> ||
                  !std::constructible_from<value_type, std::ranges::range_reference_t<range>>)
      value.emplace(std::ranges::iter_move(*at_));
    else
      value.emplace(**at_);
    ++*at_;
    return value;
  }

  Up up_;
  calls calls_;
  std::optional<range> values_;
  std::optional<std::ranges::iterator_t<range>> at_;
};

template <class Up>
class take_step {
 public:
  using value_type = typename Up::value_type;
  static constexpr bool waits = Up::waits;

  take_step(Up&& up, std::size_t count) : up_(std::move(up)), left_(count) {}
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::optional<value_type> next(step_state& s) {
    if (left_ == 0) return s.stop(pause::ended);
    std::optional<value_type> value = up_.next(s);
    if (value) --left_;
    return value;
  }

 private:
  Up up_;
  std::size_t left_;
};

template <class Up>
class batch_step {
  using element = typename Up::value_type;

 public:
  using value_type = std::vector<element>;
  static constexpr bool waits = Up::waits;

  batch_step(Up&& up, std::size_t count, duration longest) : up_(std::move(up)), count_(count), longest_(longest) {}
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::optional<value_type> next(step_state& s) {
    for (;;) {
      auto value = up_.next(s);
      if (!value) {
        if (values_.empty() || s.canceled) return std::nullopt;
        if (s.why == pause::ended || (s.why == pause::input && is_due())) return take();
        s.due = std::min(s.due, due_);
        return std::nullopt;
      }
      if (values_.empty()) {
        values_.reserve(std::min(count_, most_reserved));
        due_ = deadline_after(longest_);
      }
      values_.push_back(*std::move(value));
      if (values_.size() == count_ || is_due()) return take();
    }
  }

 private:
  static constexpr std::size_t most_reserved = 64;
  [[nodiscard]] bool is_due() const { return due_ != never && now() >= due_; }
  value_type take() { return std::exchange(values_, value_type()); }

  Up up_;
  std::size_t count_;
  duration longest_;
  time_point due_ = never;
  value_type values_;
};

// Sinks: they have no values, and take all that there are.

template <class Up, class F>
class each_step {
  using calls = stage_calls<F, typename Up::value_type&&>;

 public:
  using value_type = nothing;
  static constexpr bool waits = Up::waits || calls::waits;

  each_step(Up&& up, F& f) : up_(std::move(up)), calls_(f) {}
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::nullopt_t next(step_state& s) {
    if (calls_.has_answer()) check(calls_.take());
    for (;;) {
      auto value = up_.next(s);
      if (!value) return std::nullopt;
      auto answer = calls_.call(s, *std::move(value));
      if (!answer) return std::nullopt;
      check(*std::move(answer));
    }
  }

 private:
  static void check(typename calls::value_type&& answer) {
    if constexpr (task_answer<typename calls::value_type>) detail::throw_failure(std::move(answer));
  }

  Up up_;
  calls calls_;
};

template <class Up, class Container>
class collect_step {
 public:
  using value_type = nothing;
  static constexpr bool waits = Up::waits;

  collect_step(Up&& up, Container& into) : up_(std::move(up)), into_(&into) {}
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::nullopt_t next(step_state& s) {
    for (;;) {
      auto value = up_.next(s);
      if (!value) return std::nullopt;
      if constexpr (requires { into_->push_back(*std::move(value)); })
        into_->push_back(*std::move(value));
      else
        into_->insert(into_->end(), *std::move(value));
    }
  }

 private:
  Up up_;
  Container* into_;
};

template <class Up, class F, class Value>
class reduce_step {
  using calls = stage_calls<F, Value&&, typename Up::value_type&&>;

 public:
  using value_type = nothing;
  static constexpr bool waits = Up::waits || calls::waits;

  reduce_step(Up&& up, F& f, Value& total) : up_(std::move(up)), calls_(f), total_(&total) {}
  [[nodiscard]] auto& source() noexcept { return up_.source(); }

  RUNNEL_ALWAYS_INLINE std::nullopt_t next(step_state& s) {
    if (calls_.has_answer()) set(calls_.take());
    for (;;) {
      auto value = up_.next(s);
      if (!value) return std::nullopt;
      auto answer = calls_.call(s, std::move(*total_), *std::move(value));
      if (!answer) return std::nullopt;
      set(*std::move(answer));
    }
  }

 private:
  void set(typename calls::value_type&& answer) {
    if constexpr (std::is_assignable_v<Value&, typename calls::value_type>) {
      *total_ = std::move(answer);
    } else {
      static_assert(std::is_nothrow_move_constructible_v<Value>,
                    "runnel::reduce: a value that cannot be assigned must be nothrow-movable: a throwing move would leave none");
      Value next(std::move(answer));
      std::destroy_at(total_);
      std::construct_at(total_, std::move(next));
    }
  }

  Up up_;
  calls calls_;
  Value* total_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
