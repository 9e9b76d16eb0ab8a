// What one execution of a program looked like from outside: when each operation was called and returned, and its answer.
#pragma once

#include "program.hpp"

namespace model {

enum class answer : std::uint8_t { stuck, ok, would_block, closed, canceled, timed_out, none };

struct record {
  operation what;
  std::uint8_t sends_value = 0;  // and, as a select's second case, the next one
  std::uint8_t value = 0;        // what was received, or the size
  std::uint16_t called = 0;
  std::uint16_t returned = 0xFFFF;  // for ever, if it was stuck
  answer how = answer::stuck;
  std::uint8_t chosen = 0;  // a select's case
};

/// Plain memory of a fixed size: it is filled in while an execution's allocations are counted.
struct history {
  std::array<record, most_operations> records{};
  std::uint8_t count = 0;
  std::uint16_t clock = 0;

  /// The time of a call or a return.
  std::uint16_t tick() noexcept;
  /// Two histories with the same key have the same answers, and the same operations returned before the same others were
  /// called: an order explains both, or neither. But for a collision of 64 bits.
  [[nodiscard]] std::uint64_t key() const noexcept;
};

/// Looks for an order of the operations' steps that a sequential channel explains. Returns: whether there is one.
bool is_linearizable(const program& p, const history& h);
/// The history, for people.
std::string describe(const program& p, const history& h);

}  // namespace model
