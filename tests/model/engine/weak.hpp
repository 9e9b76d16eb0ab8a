// C11 weak memory: each atomic object keeps the history of its stores, and a load may answer any that the memory model lets it see.
//
// A view says what a thread knows: how far each thread has come (for races on plain data), and, for each object, the oldest
// store that it may still read. A release store carries its thread's view, an acquire load that reads it joins it.
// 1. Coherence: a thread never reads a store older than one that it has read or written, or that happens before.
// 2. Read-modify-write operations read the newest store, and carry on what it carried (release sequences).
// 3. seq_cst operations on one object: none reads a store older than one that an earlier seq_cst operation has read or written.
// The modification order is the order of execution, and no load reads a store that has not been executed: see README.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hooks.hpp"

namespace model::weak {

enum class ordering : std::uint8_t { relaxed, acquire, release, acq_rel, seq_cst };

/// What an atomic object holds instead of its value.
struct object {
  std::uint64_t execution = 0;
  std::uint32_t number = 0;
};

/// From now on, for the whole program.
void use() noexcept;
[[nodiscard]] bool is_used() noexcept;

/// A load's answer is a choice. `first` is the value that the object was made with.
std::uint64_t load(object& o, std::uint64_t first, ordering order) noexcept;
void store(object& o, std::uint64_t first, std::uint64_t value, ordering order) noexcept;
/// The newest value, for a read-modify-write operation, which store_modified() completes, and for park.
std::uint64_t newest(object& o, std::uint64_t first) noexcept;
std::uint64_t read_newest(object& o, std::uint64_t first, ordering order) noexcept;
void store_modified(object& o, std::uint64_t value, ordering order) noexcept;
/// A compare-exchange that reads an older store than the newest, which is not what it expects: a choice. Answers whether it does.
bool fail_on_older(object& o, std::uint64_t first, std::uint64_t expected, ordering failure, std::uint64_t& seen) noexcept;

// Plain data: fails the execution if what was done to these bytes before does not happen before this. See weak_plain.cpp.
void data_written(const void* address, std::size_t size = 1) noexcept;
void data_read(const void* address, std::size_t size) noexcept;
/// Whether it is the product's or a scenario's, and not the engine's.
[[nodiscard]] bool is_watched(const void* address) noexcept;

// The engine's: threads and locks order what they order. Nothing, unless weak memory is in use.
void execution_begins() noexcept;
void thread_starts(unsigned parent, unsigned child) noexcept;
void thread_joined(unsigned waiter, unsigned ended) noexcept;
void lock_acquired(const void* lock) noexcept;
void lock_released(const void* lock) noexcept;

}  // namespace model::weak
