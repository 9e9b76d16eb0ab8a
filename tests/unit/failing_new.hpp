// For a program whose operator new is replaced by failing_new.cpp: allocations are counted, and can be made to fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <runnel/detail/sync.hpp>

namespace allocations {

inline constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

/// What a thread has allocated, and after how many more of its allocations one fails.
struct state {
  std::uint64_t made = 0;
  std::uint64_t left = no_limit;
};
inline state& mine() noexcept {
  static thread_local constinit state s;
  return s;
}
inline constinit runnel::detail::atomic<std::int64_t> live_count{0};
inline constinit runnel::detail::atomic<std::uint64_t> made_count{0};

/// How many there are now, of all threads.
inline std::int64_t live() noexcept { return live_count.load(runnel::detail::acquire); }
/// How many this thread has made so far.
inline std::uint64_t made() noexcept { return mine().made; }

/// How many all threads have made so far.
inline std::uint64_t made_by_all() noexcept { return made_count.load(runnel::detail::acquire); }

/// For its scope, the allocation number `after` of this thread, and all after it, fail.
class failing {
 public:
  explicit failing(std::uint64_t after) noexcept { mine().left = after; }
  failing(const failing&) = delete;
  failing& operator=(const failing&) = delete;
  ~failing() { mine().left = no_limit; }
};

inline void* allocate(std::size_t size, std::size_t alignment) {
  state& s = mine();
  if (s.left == 0) throw std::bad_alloc();
  if (s.left != no_limit) --s.left;
  void* const p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  ++s.made;
  live_count.fetch_add(1, runnel::detail::relaxed);  // relaxed: a number
  made_count.fetch_add(1, runnel::detail::acq_rel);
  return p;
}
inline void release(void* p) noexcept {
  if (p == nullptr) return;
  live_count.fetch_sub(1, runnel::detail::relaxed);  // relaxed: a number
  std::free(p);
}

}  // namespace allocations
