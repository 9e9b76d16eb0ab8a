// The memory of tasks: blocks that come back to whoever uses them, and what goes to the heap.
#include <runnel/detail/task_memory.hpp>

#include <thread>
#include <vector>

#include "catch.hpp"
#include "failing_new.hpp"

namespace task_memory_test {

namespace rn = runnel;
using rn::detail::allocate_for_task;
using rn::detail::release_for_task;

namespace {

constexpr std::size_t batch = rn::detail::blocks_in_batch;
constexpr bool goes_round = batch != 0;  // not where each block is to be watched

/// Takes and gives back so many blocks of this size.
void use(std::size_t count, std::size_t size) {
  std::vector<void*> blocks;
  blocks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) blocks.push_back(allocate_for_task(size));
  for (void* const block : blocks) release_for_task(block, size);
}
/// How many allocations this thread makes for so many blocks of this size.
std::uint64_t made_for(std::size_t count, std::size_t size) {
  const std::uint64_t before = allocations::made();
  use(count, size);
  return allocations::made() - before - 1;  // the vector
}

}  // namespace

TEST_CASE("a worker uses its blocks again, whatever the size within a step is") {
  const rn::detail::task_cache memory;
  void* const first = allocate_for_task(60);
  release_for_task(first, 60);
  const std::uint64_t before = allocations::made();
  void* const second = allocate_for_task(72);
  CHECK((second == first) == goes_round);
  CHECK(allocations::made() == before + (goes_round ? 0 : 1));
  release_for_task(second, 72);
}

TEST_CASE("a worker keeps two batches and what else it has in hand; the heap gets them when it ends") {
  if (!goes_round) return;
  const std::int64_t before = allocations::live();
  {
    const rn::detail::task_cache memory;
    CHECK(made_for(2 * batch, 128) == 2 * batch);
    CHECK(made_for(2 * batch, 128) == 0);
    CHECK(allocations::live() == before + static_cast<std::int64_t>(2 * batch));
  }
  CHECK(allocations::live() == before);
}

TEST_CASE("what one worker has too much of another one uses, and so does a thread that is no worker") {
  if (!goes_round) return;
  constexpr std::size_t size = 200;
  std::thread([] {
    const rn::detail::task_cache memory;
    use(5 * batch, size);
  }).join();
  std::uint64_t made = 1;
  std::thread([&] {
    const rn::detail::task_cache memory;
    made = made_for(batch, size);
  }).join();
  CHECK(made == 0);
  CHECK(made_for(batch, size) == 0);
  const std::int64_t before = allocations::live();
  void* const one = allocate_for_task(size);
  CHECK(allocations::live() == before);
  release_for_task(one, size);
  CHECK(allocations::live() == before - 1);
}

TEST_CASE("the depot keeps a bounded number of blocks") {
  if (!goes_round) return;
  const std::int64_t before = allocations::live();
  std::thread([] {
    const rn::detail::task_cache memory;
    use(100 * batch, 300);
  }).join();
  CHECK(allocations::live() <= before + static_cast<std::int64_t>(8 * batch));
  use(8 * batch, 300);
  CHECK(allocations::live() == before);
}

TEST_CASE("what is large or has an alignment of its own is the heap's") {
  const rn::detail::task_cache memory;
  CHECK(made_for(1, 521) == 1);
  CHECK(made_for(1, 521) == 1);
  const std::int64_t before = allocations::live();
  void* const aligned = allocate_for_task(64, 64);
  CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 64 == 0);
  CHECK(allocations::live() == before + 1);
  release_for_task(aligned, 64, 64);
  CHECK(allocations::live() == before);
}

TEST_CASE("without memory an allocation fails, and what is kept serves on") {
  const rn::detail::task_cache memory;
  void* const kept = allocate_for_task(400);
  release_for_task(kept, 400);
  const allocations::failing now(0);
  if (goes_round) {
    void* const again = allocate_for_task(400);
    CHECK(again == kept);
    CHECK_THROWS_AS(allocate_for_task(400), std::bad_alloc);
    release_for_task(again, 400);
  } else {
    CHECK_THROWS_AS(allocate_for_task(400), std::bad_alloc);
  }
}

}  // namespace task_memory_test
