// All memory that an execution allocates: handed out in a row, never used twice, forgotten as a whole at the end.
//
// 1. While the ledger is open, operator new takes from its arena. Freed memory is filled with a pattern and stays out of use.
// 2. What was not freed when the execution ends is a leak; what was written after it was freed no longer has the pattern.
#pragma once

#include <cstddef>
#include <cstdint>

namespace model::ledger {

inline constexpr unsigned char freed_pattern = 0xDD;

/// From here on allocations are recorded. Whatever was recorded before is forgotten.
void open() noexcept;
/// Allocations are ordinary again.
void close() noexcept;
[[nodiscard]] bool is_open() noexcept;

/// What operator new and delete are.
[[nodiscard]] void* obtain(std::size_t size, std::size_t alignment);
void give_back(void* memory) noexcept;

/// Closes the ledger for a scope: what the engine itself allocates is none of an execution's business.
class pause {
 public:
  pause() noexcept;
  pause(const pause&) = delete;
  pause& operator=(const pause&) = delete;
  ~pause();

 private:
  bool was_open_;
};

/// Memory of this execution that nobody frees, and that is no leak.
[[nodiscard]] void* allocate_forever(std::size_t size, std::size_t alignment);

/// The number of an allocation, counted from 1, and its start. Number 0: the address is not the ledger's.
struct block {
  std::uint32_t number = 0;
  const char* start = nullptr;
  std::size_t size = 0;
  bool freed = false;
};
[[nodiscard]] block find(const void* address) noexcept;
/// Whether the address is in memory that it hands out.
[[nodiscard]] bool owns(const void* address) noexcept;

struct verdict {
  std::size_t leaks = 0;
  block first_leak;
  block written_after_free;
};
[[nodiscard]] verdict check() noexcept;

}  // namespace model::ledger
