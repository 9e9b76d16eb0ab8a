#include "states.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "ledger.hpp"

namespace model {
namespace {

/// Half of the memory, for so many processes: in slots of one part.
std::size_t share_of(unsigned processes, std::size_t parts) noexcept {
  const auto memory = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return memory / 2 / processes / parts / sizeof(std::uint64_t);
}

std::size_t most_slots = share_of(2, std::size_t{1} << 6U);  // of a part

}  // namespace

void known_states::share_memory(unsigned processes) noexcept { most_slots = share_of(processes, std::size_t{1} << bits_of_part); }

bool known_states::add(std::uint64_t state, std::uint32_t left) {
  state &= ~left_mask;
  if (state == 0) return true;  // where nothing is
  part& p = parts_[state >> (64 - bits_of_part)];
  if (p.slots.empty()) p.grow();
  const std::uint64_t entry = state | std::min<std::uint64_t>(left, left_mask);
  std::uint64_t* slot = &p.slot_of(state);
  if (*slot != 0) {
    if (*slot >= entry) return false;
    *slot = entry;
    return true;
  }
  if (p.used >= p.slots.size() / 5 * 4) {
    if (p.slots.size() >= most_slots) return true;
    p.grow();
    slot = &p.slot_of(state);
  }
  *slot = entry;
  ++p.used;
  ++used_;
  return true;
}

std::uint64_t& known_states::part::slot_of(std::uint64_t state) noexcept {
  const std::uint64_t within = state << bits_of_part >> 32U;  // a part has fewer than 2^32
  auto i = static_cast<std::size_t>(within * slots.size() >> 32U);
  while (slots[i] != 0 && (slots[i] & ~left_mask) != state) i = i + 1 == slots.size() ? 0 : i + 1;
  return slots[i];
}

void known_states::part::grow() {
  const ledger::pause engines_own;
  std::vector<std::uint64_t> old(std::clamp<std::size_t>(slots.size() / 2 * 3, 16, std::max<std::size_t>(most_slots, 16)));
  old.swap(slots);
  for (const std::uint64_t entry : old)
    if (entry != 0) slot_of(entry & ~left_mask) = entry;
}

}  // namespace model
