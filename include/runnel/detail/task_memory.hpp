// The memory of tasks: the frames of coroutines, and what functions wait in until they run.
//
// A task is often started by one thread and ends on another. The heap takes that memory back under locks; here it goes round in batches.
//
// 1. A block has one of a few sizes; what is larger is the heap's.
// 2. A worker thread keeps up to two batches of each size. A third one goes to the depot; where there is none, one comes from there.
// 3. A thread that is no worker takes single blocks from the depot if there are any, and gives them to the heap.
// 4. The depot keeps a bounded number of blocks; the rest is the heap's. When a worker thread ends, so is what it kept.
#pragma once

#include <runnel/detail/sync.hpp>

#include <array>
#include <cstddef>
#include <new>

namespace runnel::inline RUNNEL_ABI::detail {

/// A block that nobody uses.
struct free_block {
  static constexpr std::size_t sizes = 32;
  static constexpr std::size_t step = 16;
  static constexpr std::size_t smallest = 24;  // a heap with a word before each block wastes nothing
  /// Which of the sizes it takes; `sizes` or more if none is that large.
  static std::size_t index_of(std::size_t size) noexcept { return size <= smallest ? 0 : (size - smallest + step - 1) / step; }
  static void* from_heap(std::size_t index) { return ::operator new(smallest + index * step); }
  static void all_to_heap(free_block* first) noexcept {
    while (first != nullptr) ::operator delete(std::exchange(first, first->next));
  }

  free_block* next;
  free_block* next_batch;  // in the depot, of a batch's first block
};
static_assert(sizeof(free_block) <= free_block::smallest);

/// Where worker threads exchange whole batches.
class task_memory_depot {
 public:
  /// The one of the program. It is trivially destructible: threads may use it while the program ends.
  static task_memory_depot& instance() noexcept {
    static constinit task_memory_depot depot;
    return depot;
  }
  /// A batch, or null.
  free_block* take_batch(std::size_t index) noexcept {
    shelf& s = shelves_[index];
    if (s.count.load(relaxed) == 0) return nullptr;  // relaxed: a hint
    const scoped_lock lock(mutex_);
    return take_batch(s);
  }
  /// A single block, or null.
  free_block* take_one(std::size_t index) noexcept {
    shelf& s = shelves_[index];
    if (s.count.load(relaxed) == 0) return nullptr;  // relaxed: a hint
    const scoped_lock lock(mutex_);
    if (s.singles == nullptr) {
      s.singles = take_batch(s);
      if (s.singles == nullptr) return nullptr;
      s.count.fetch_add(blocks_in_batch, relaxed);  // relaxed: under the lock, as all that changes it
    }
    s.count.fetch_sub(1, relaxed);  // relaxed: as above
    return std::exchange(s.singles, s.singles->next);
  }
  void give_batch(std::size_t index, free_block* batch) noexcept {
    {
      shelf& s = shelves_[index];
      const scoped_lock lock(mutex_);
      if (s.count.load(relaxed) + blocks_in_batch <= most) {  // relaxed: as above
        batch->next_batch = std::exchange(s.batches, batch);
        s.count.fetch_add(blocks_in_batch, relaxed);  // relaxed: as above
        return;
      }
    }
    free_block::all_to_heap(batch);
  }

 private:
  static constexpr std::uint32_t most = 8 * blocks_in_batch;  // of each size
  struct shelf {
    free_block* batches = nullptr;
    free_block* singles = nullptr;   // what is left of a batch from which single ones were taken
    atomic<std::uint32_t> count{0};  // of all these blocks
  };
  static free_block* take_batch(shelf& s) noexcept {
    if (s.batches == nullptr) return nullptr;
    s.count.fetch_sub(blocks_in_batch, relaxed);  // relaxed: as above
    return std::exchange(s.batches, s.batches->next_batch);
  }

  mutex mutex_;
  std::array<shelf, free_block::sizes> shelves_;
};

/// What a worker thread keeps: while there is one, its thread's blocks come from it and go to it.
class task_cache {
 public:
  task_cache() noexcept { this_thread().memory = this; }
  task_cache(const task_cache&) = delete;
  task_cache& operator=(const task_cache&) = delete;
  ~task_cache() {
    this_thread().memory = nullptr;
    for (const shelf& s : shelves_) {
      free_block::all_to_heap(s.loose);
      free_block::all_to_heap(s.batch);
    }
  }

  /// Throws: std::bad_alloc.
  void* take(std::size_t index) {
    shelf& s = shelves_[index];
    return s.loose != nullptr ? s.take_loose() : take_of_another_batch(index);
  }
  void give(std::size_t index, void* memory) noexcept {
    shelf& s = shelves_[index];
    if (s.count == blocks_in_batch) return give_after_batch(index, memory);
    s.put_loose(memory);
  }

 private:
  struct shelf {
    void* take_loose() noexcept {
      --count;
      return std::exchange(loose, loose->next);
    }
    void put_loose(void* memory) noexcept {
      ++count;
      loose = ::new (memory) free_block{loose, nullptr};
    }

    free_block* loose = nullptr;
    free_block* batch = nullptr;  // a whole one, or none
    std::uint32_t count = 0;      // of the loose ones, at most a batch
  };

  // One in sixty-four comes here: not inlined, so that the others save no registers.

  RUNNEL_NOINLINE void* take_of_another_batch(std::size_t index) {
    shelf& s = shelves_[index];
    s.loose = s.batch != nullptr ? std::exchange(s.batch, nullptr) : task_memory_depot::instance().take_batch(index);
    if (s.loose == nullptr) return free_block::from_heap(index);
    s.count = blocks_in_batch;
    return s.take_loose();
  }
  RUNNEL_NOINLINE void give_after_batch(std::size_t index, void* memory) noexcept {
    shelf& s = shelves_[index];
    if (s.batch != nullptr) task_memory_depot::instance().give_batch(index, s.batch);
    s.batch = std::exchange(s.loose, nullptr);
    s.count = 0;
    s.put_loose(memory);
  }

  std::array<shelf, free_block::sizes> shelves_;
};

RUNNEL_NOINLINE inline void* allocate_for_no_worker(std::size_t index) {
  void* const single = task_memory_depot::instance().take_one(index);
  return single != nullptr ? single : free_block::from_heap(index);
}

// Not inlined, as current_place(): a coroutine may be on another thread at each look.

RUNNEL_NOINLINE inline void* allocate_block(std::size_t index) {
  task_cache* const mine = this_thread().memory;
  return mine != nullptr ? mine->take(index) : allocate_for_no_worker(index);
}
RUNNEL_NOINLINE inline void release_block(void* memory, std::size_t index) noexcept {
  task_cache* const mine = this_thread().memory;
  if (mine == nullptr) return ::operator delete(memory);
  mine->give(index, memory);
}

/// Memory for an object of this size and alignment. Throws: std::bad_alloc.
inline void* allocate_for_task(std::size_t size, std::size_t alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
  if (alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator new(size, std::align_val_t(alignment));
  const std::size_t index = free_block::index_of(size);
  if (index >= free_block::sizes) return ::operator new(size);
  return blocks_in_batch == 0 ? free_block::from_heap(index) : allocate_block(index);
}
/// Takes back what allocate_for_task(size, alignment) has given.
inline void release_for_task(void* memory, std::size_t size, std::size_t alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__) noexcept {
  if (alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator delete(memory, std::align_val_t(alignment));
  const std::size_t index = free_block::index_of(size);
  if (index >= free_block::sizes || blocks_in_batch == 0) return ::operator delete(memory);
  release_block(memory, index);
}

/// A base of what new makes in this memory.
class in_task_memory {
 public:
  static void* operator new(std::size_t size) { return allocate_for_task(size); }
  static void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate_for_task(size, static_cast<std::size_t>(alignment));
  }
  static void operator delete(void* memory, std::size_t size) noexcept { release_for_task(memory, size); }
  static void operator delete(void* memory, std::size_t size, std::align_val_t alignment) noexcept {
    release_for_task(memory, size, static_cast<std::size_t>(alignment));
  }
};

}  // namespace runnel::inline RUNNEL_ABI::detail
