#if !defined(RUNNEL_MODEL_TSAN)  // ledger_tsan.cpp stands in its place then

#include "ledger.hpp"

#include <sys/mman.h>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#if defined(RUNNEL_MODEL_ASAN)
#include <sanitizer/asan_interface.h>
#endif

#include "engine.hpp"

namespace model::ledger {
namespace {

// In front of each block. Blocks stand one after another, so that they can be walked.
struct header {
  std::size_t size;
  std::uint32_t number;
  enum : std::uint8_t { live, freed, forever } state;
  header* next;
};

constexpr std::size_t arena_size = std::size_t{64} << 20;
constexpr std::size_t unit = 16;

char* arena = nullptr;
char* top = nullptr;
header* first = nullptr;
header* last = nullptr;
std::uint32_t count = 0;
bool opened = false;

constexpr std::size_t round_up(std::size_t n, std::size_t to) noexcept { return (n + to - 1) / to * to; }

void protect([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size, [[maybe_unused]] bool on) noexcept {
#if defined(RUNNEL_MODEL_ASAN)
  if (on)
    __asan_poison_memory_region(at, size);
  else
    __asan_unpoison_memory_region(at, size);
#endif
}

header* header_of(void* block) noexcept { return reinterpret_cast<header*>(static_cast<char*>(block) - sizeof(header)); }
char* start_of(const header* h) noexcept { return reinterpret_cast<char*>(const_cast<header*>(h)) + sizeof(header); }

/// A block with a guard after it, so that AddressSanitizer sees an overrun.
void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (alignment < unit) alignment = unit;
  const auto at = round_up(reinterpret_cast<std::uintptr_t>(top) + sizeof(header), alignment);
  char* const start = reinterpret_cast<char*>(at);
  char* const end = start + round_up(size + unit, unit);
  if (end > arena + arena_size) fail("an execution has used up the ledger's arena");
  top = end;
  protect(start, size, false);
  header* const h = header_of(start);
  protect(h, sizeof(header), false);
  *h = header{size, ++count, header::live, nullptr};
  (first == nullptr ? first : last->next) = h;
  last = h;
  has_allocated();
  return start;
}

void release(void* memory) noexcept {
  header* const h = header_of(memory);
  if (h->state != header::live) fail("memory is freed twice");
  h->state = header::freed;
  std::memset(memory, freed_pattern, h->size);
  protect(memory, h->size, true);
}

}  // namespace

void open() noexcept {
  if (arena == nullptr) {
    void* const memory = ::mmap(nullptr, arena_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    top = arena = static_cast<char*>(memory);
  }
  protect(arena, static_cast<std::size_t>(top - arena), true);
  top = arena;
  first = last = nullptr;
  count = 0;
  opened = true;
}
void close() noexcept { opened = false; }
bool is_open() noexcept { return opened; }
bool owns(const void* address) noexcept {
  const auto* const at = static_cast<const char*>(address);
  return arena != nullptr && at >= arena && at < arena + arena_size;
}

pause::pause() noexcept : was_open_(opened) { opened = false; }
pause::~pause() { opened = was_open_; }

void* allocate_forever(std::size_t size, std::size_t alignment) {
  void* const memory = allocate(size, alignment);
  header_of(memory)->state = header::forever;
  return memory;
}

block find(const void* address) noexcept {
  if (!owns(address)) return {};
  for (const header* h = first; h != nullptr; h = h->next) {
    const char* const start = start_of(h);
    const auto* const at = static_cast<const char*>(address);
    if (at >= start && at < start + h->size) return {h->number, start, h->size, h->state == header::freed};
  }
  return {};
}

verdict check() noexcept {
  verdict v;
  for (const header* h = first; h != nullptr; h = h->next) {
    const char* const start = start_of(h);
    if (h->state == header::live) {
      if (v.leaks++ == 0) v.first_leak = {h->number, start, h->size, false};
    } else if (h->state == header::freed && v.written_after_free.number == 0) {
      protect(start, h->size, false);
      const auto* const bytes = reinterpret_cast<const unsigned char*>(start);
      const bool same = h->size == 0 || (bytes[0] == freed_pattern && std::memcmp(bytes, bytes + 1, h->size - 1) == 0);
      if (!same) v.written_after_free = {h->number, start, h->size, true};
    }
  }
  return v;
}

void* obtain(std::size_t size, std::size_t alignment) {
  if (!opened) {
    void* const memory = alignment <= unit ? std::malloc(size == 0 ? 1 : size)
                                           : std::aligned_alloc(alignment, round_up(size == 0 ? 1 : size, alignment));
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  return allocate(size, alignment);
}
void give_back(void* memory) noexcept {
  if (owns(memory)) return release(memory);
  std::free(memory);
}

}  // namespace model::ledger

#endif
