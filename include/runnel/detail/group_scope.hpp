// Whose functions a thread is in: so that a group or a pool knows those of its own.
#pragma once

#include <runnel/detail/sync.hpp>

namespace runnel::inline RUNNEL_ABI::detail {

/// Says that this thread runs a function of a group or a pool. On its stack.
class group_scope {
 public:
  explicit group_scope(const void* group) noexcept : group_(group), outer_(std::exchange(this_thread().groups, this)) {}
  group_scope(const group_scope&) = delete;
  group_scope& operator=(const group_scope&) = delete;
  ~group_scope() { this_thread().groups = outer_; }

  /// Not inlined: as current_place().
  RUNNEL_NOINLINE static bool is_inside(const void* group) noexcept {
    const group_scope* at = this_thread().groups;
    while (at != nullptr && at->group_ != group) at = at->outer_;
    return at != nullptr;
  }

 private:
  const void* group_;
  const group_scope* outer_;
};

}  // namespace runnel::inline RUNNEL_ABI::detail
