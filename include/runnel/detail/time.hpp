// Times and durations of any unit, clock and value, turned into deadlines of the library's clock. Nothing overflows.
#pragma once

#include <runnel/detail/sync.hpp>

#include <concepts>
#include <ratio>
#include <type_traits>

namespace runnel::inline RUNNEL_ABI::detail {

/// The library's duration nearest to d that is not shorter; what does not fit becomes duration::max() or min(). NaN is zero.
template <class Rep, class Period>
constexpr duration saturate(std::chrono::duration<Rep, Period> d) noexcept {
  using wide = std::chrono::duration<long double, duration::period>;
  using ratio = std::ratio_divide<Period, duration::period>;
  const auto exact = std::chrono::duration_cast<wide>(d).count();
  if (exact != exact) return duration::zero();  // NOLINT(misc-redundant-expression): only NaN is unlike itself
  if (exact >= static_cast<long double>(duration::max().count())) return duration::max();
  if (exact <= static_cast<long double>(duration::min().count())) return duration::min();
  // Of integers too where a tick is neither a multiple nor a fraction of ours (a sixtieth of a second): the product may not fit.
  if constexpr (std::is_floating_point_v<Rep> || (ratio::num != 1 && ratio::den != 1)) {
    const duration cut(static_cast<duration::rep>(exact));
    return static_cast<long double>(cut.count()) < exact ? cut + duration(1) : cut;
  } else {
    return std::chrono::ceil<duration>(d);
  }
}
constexpr duration saturate(duration d) noexcept { return d; }

/// start + d, at most time_point::max() and at least time_point::min().
constexpr time_point saturating_add(time_point start, duration d) noexcept {
  const duration since = start.time_since_epoch();
  if (d > duration::zero() && since > duration::max() - d) return time_point::max();
  if (d < duration::zero() && since < duration::min() - d) return time_point::min();
  return start + d;
}

/// When a wait of this length ends that begins now.
template <class Rep, class Period>
time_point deadline_after(std::chrono::duration<Rep, Period> d) noexcept {
  const duration length = saturate(d);
  if (length == duration::max()) return never;
  if (length <= duration::zero()) return time_point::min();  // does not wait: no need to read the clock
  return saturating_add(now(), length);
}

/// When, on the library's clock, a time of another clock will have come, as far as can be told now.
template <class Clock, class Duration>
time_point deadline_at(std::chrono::time_point<Clock, Duration> at) noexcept {
  if constexpr (std::same_as<Clock, clock>) {
    return time_point(saturate(at.time_since_epoch()));
  } else {
    using wide = std::chrono::duration<long double, duration::period>;
    if (at == at.max()) return never;
    const wide ahead = wide(at.time_since_epoch()) - wide(Clock::now().time_since_epoch());
    return deadline_after(ahead);
  }
}

}  // namespace runnel::inline RUNNEL_ABI::detail
