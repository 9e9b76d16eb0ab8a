// What places run, one after another.
#pragma once

#include <runnel/detail/config.hpp>

namespace runnel::inline RUNNEL_ABI {

/// One step of work for a place: a coroutine that goes on, or a task that begins. It is part of what it belongs to.
/// Whoever is given one calls run() or drop(), once for each post; it may be gone then.
class work_item {
 public:
  work_item(const work_item&) = delete;
  work_item& operator=(const work_item&) = delete;

  /// Goes on with what it belongs to. Blocks: as long as that does. Under no lock.
  void run() noexcept { step_(*this, true); }
  /// Says that it will never be run, for a place that ends.
  void drop() noexcept { step_(*this, false); }

  work_item* next = nullptr;      ///< for the place that has it
  work_item* previous = nullptr;  ///< likewise

 protected:
  using step_function = void (*)(work_item& self, bool runs) noexcept;
  explicit work_item(step_function step) noexcept : step_(step) {}
  ~work_item() = default;

  step_function step_;
};

}  // namespace runnel::inline RUNNEL_ABI
