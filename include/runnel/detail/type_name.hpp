// The name of a type, for the messages of exceptions.
#pragma once

#include <runnel/detail/config.hpp>

#include <string_view>

namespace runnel::inline RUNNEL_ABI::detail {

/// As the compiler spells it; "T" where it does not say.
template <class T>
constexpr std::string_view type_name() noexcept {
#if defined(__GNUC__) || defined(__clang__)
  constexpr std::string_view text = __PRETTY_FUNCTION__;  // "... [with T = int; ...]" or "... [T = int]"
  constexpr std::size_t start = text.find("T = ") + 4;
  return text.substr(start, text.find_first_of(";]", start) - start);
#else
  return "T";
#endif
}

}  // namespace runnel::inline RUNNEL_ABI::detail
