// States that were explored before, and how they are recognized: what makes the exhaustive search feasible (after
// Musuvathi and Qadeer, "Partial-order reduction for context-bounded state exploration", 2007).
//
// Two schedules that order the same dependent steps the same way lead to the same state, whatever the order of the others. So
// a state is named by its past: each thread's hash takes in, step by step, what was done to the object of the step before it,
// and each object's hash takes in the hash of the thread that changes it. Reads of one object commute, all else does not. What
// the engine knows besides (who waits, gave way, or runs; the time) is added where a choice is made. A choice in a state that
// was met with as many preemptions left is not made again: all that can follow has been explored, or will be.
//
// What this rests on: threads learn of each other through the gateway only (has_read, has_written in hooks.hpp), through
// memory that is ordered by it, which ThreadSanitizer's lane looks after, or by the addresses that they are given (has_allocated);
// and no two of a scenario's states share a hash of 60 bits. The driver's --compare finds what is missing here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace model {

/// A hash of a pair, in which the order counts.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t x = (b + 0x9E3779B97F4A7C15U) * 0xD6E8FEB86659FD93U;
  x = ((x ^ x >> 32U) + a) * 0xBF58476D1CE4E5B9U;
  x = (x ^ x >> 29U) * 0x94D049BB133111EBU;
  return x ^ x >> 32U;
}

/// The states of one depth-first search.
class known_states {
 public:
  /// Says how many processes search at the same time on this machine, which share half of its memory. What comes when a share is used up is
  /// explored as often as it is met.
  static void share_memory(unsigned processes) noexcept;

  /// Returns: whether the state is new, or was met with fewer preemptions left only.
  bool add(std::uint64_t state, std::uint32_t left);
  [[nodiscard]] std::size_t size() const noexcept { return used_; }

 private:
  static constexpr std::uint64_t left_mask = 15;
  static constexpr unsigned bits_of_part = 6;

  /// A part of the table. They grow one after the other, so that it takes little more memory to grow.
  struct part {
    std::vector<std::uint64_t> slots;  // 0, or 60 bits of a state and what was left
    std::size_t used = 0;

    std::uint64_t& slot_of(std::uint64_t state) noexcept;
    void grow();
  };

  std::array<part, std::size_t{1} << bits_of_part> parts_;
  std::size_t used_ = 0;
};

}  // namespace model
