// A select that need not wait. It looks at all its cases, in their order, then makes one of those happen that may, by chance, and so
// on while they are taken by others. Nothing is made for a wait, and no event is called through a table.
//
// 1. Chance chooses among the cases that may happen, whatever their order: each one that is ready is as likely as the others.
// 2. That none is ready is said only if none was at one instant: each was hopeless or has been tried, and a second look finds all
//    stamps unchanged.
// What is left undecided is for the engine, which starts anew.
#pragma once

#include <runnel/detail/select_events.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <type_traits>

namespace runnel::inline RUNNEL_ABI::detail {

/// Cases to choose from.
class case_set {
 public:
  static constexpr std::size_t max_size = 32;

  void add(std::size_t index, bool possible) noexcept {
    bits_ |= std::uint32_t{possible} << index;
    count_ += std::uint32_t{possible};
  }
  [[nodiscard]] bool empty() const noexcept { return bits_ == 0; }
  /// Takes one out: the first, or any.
  std::size_t take(bool first) noexcept {
    std::uint32_t from = bits_;
    if (!first && count_ > 1)
      for (std::uint32_t skipped = random_below(count_); skipped > 0; --skipped) from &= from - 1;
    bits_ &= ~(from & (~from + 1));
    --count_;
    return static_cast<std::size_t>(std::countr_zero(from));
  }

 private:
  std::uint32_t bits_ = 0;
  std::uint32_t count_ = 0;
};

/// Whether a select over these may begin with select_at_once.
template <class Case>
struct looks_at_once : std::bool_constant<std::same_as<Case, std::remove_cvref_t<Case>> && std::remove_cvref_t<Case>::looks> {};
template <class... Cases>
inline constexpr bool may_select_at_once =
    sizeof...(Cases) != 0 && sizeof...(Cases) <= case_set::max_size && std::conjunction_v<looks_at_once<Cases>...>;

/// What select_at_once answers if the select has to wait, or to look closer. Nothing has happened then.
inline constexpr std::size_t select_undecided = select_none - 1;

/// The index of the case that has happened, its handler has run; or select_none, if the select does not wait; or select_undecided.
template <std::size_t... Index, class... Cases>
RUNNEL_ALWAYS_INLINE std::size_t select_at_once(std::index_sequence<Index...> /*indices*/, bool is_biased, bool waits,
                                                Cases&... cases) {
  std::array<std::uint64_t, sizeof...(Cases)> stamps;
  case_set possible;
  const auto note = [&](std::size_t index, outlook seen) {
    stamps[index] = seen.stamp;
    possible.add(index, seen.hopeful);
  };
  (note(Index, cases.look()), ...);
  while (!possible.empty()) {
    const std::size_t chosen = possible.take(is_biased);
    if (((chosen == Index && cases.happen()) || ...)) return chosen;
  }
  if (waits && !(cases.is_otherwise() || ...)) return select_undecided;
  if (!((stamps[Index] != selectable::no_stamp && cases.look().stamp == stamps[Index]) && ...)) return select_undecided;
  std::size_t chosen = select_none;
  static_cast<void>(((cases.is_otherwise() && cases.happen() && (chosen = Index, true)) || ...));
  return chosen;
}

}  // namespace runnel::inline RUNNEL_ABI::detail
