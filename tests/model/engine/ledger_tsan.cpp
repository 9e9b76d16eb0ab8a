// The ledger of the ThreadSanitizer lane, which wants to see every allocation and release for itself: a release that is unordered
// with an access is a race, and a use after it a report. It looks for no leaks: the plain lane does.
#if defined(RUNNEL_MODEL_TSAN)

#include <cstdlib>
#include <new>
#include <utility>

#include "ledger.hpp"

namespace model::ledger {
namespace {

struct forever_node {
  forever_node* next;
};
forever_node* forever = nullptr;
bool opened = false;

constexpr std::size_t round_up(std::size_t n, std::size_t to) noexcept { return (n + to - 1) / to * to; }

void* allocate(std::size_t size, std::size_t alignment) {
  void* const memory = alignment <= alignof(std::max_align_t) ? std::malloc(size == 0 ? 1 : size)
                                                              : std::aligned_alloc(alignment, round_up(size, alignment));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void open() noexcept {
  while (forever != nullptr) std::free(std::exchange(forever, forever->next));
  opened = true;
}
void close() noexcept { opened = false; }
bool is_open() noexcept { return opened; }

pause::pause() noexcept : was_open_(opened) { opened = false; }
pause::~pause() { opened = was_open_; }

void* allocate_forever(std::size_t size, std::size_t alignment) {
  const std::size_t place = round_up(sizeof(forever_node), alignment);
  auto* const node = static_cast<forever_node*>(allocate(place + size, alignment));
  node->next = std::exchange(forever, node);
  return reinterpret_cast<char*>(node) + place;
}

block find(const void*) noexcept { return {}; }
bool owns(const void*) noexcept { return false; }
verdict check() noexcept { return {}; }
}  // namespace model::ledger

#endif
