#include "states.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>

#include "ledger.hpp"

namespace model {

bool known_states::add(std::uint64_t state, std::uint32_t left) {
  state &= ~left_mask;
  if (state == 0) return true;  // where nothing is
  const std::uint64_t entry = state | std::min<std::uint64_t>(left, left_mask);
  std::uint64_t* place = &place_of(state);
  if (*place != 0) {
    if (*place >= entry) return false;
    *place = entry;
    return true;
  }
  if (used_ >= table_.size() / 4 * 3) {
    if (table_.size() >= most()) return true;
    grow();
    place = &place_of(state);
  }
  *place = entry;
  ++used_;
  return true;
}

std::size_t known_states::most() noexcept {
  static const std::size_t entries = [] {
    const auto memory = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return std::min(std::size_t{1} << 30U, std::bit_floor(memory / 4 / sizeof(std::uint64_t)));
  }();
  return entries;
}

std::uint64_t& known_states::place_of(std::uint64_t state) noexcept {
  const std::size_t last = table_.size() - 1;
  std::size_t i = (state >> 4U) & last;
  while (table_[i] != 0 && (table_[i] & ~left_mask) != state) i = (i + 1) & last;
  return table_[i];
}

void known_states::grow() {
  const ledger::pause engines_own;
  std::vector<std::uint64_t> old(table_.size() * 2);
  old.swap(table_);
  for (const std::uint64_t entry : old)
    if (entry != 0) place_of(entry & ~left_mask) = entry;
}

}  // namespace model
