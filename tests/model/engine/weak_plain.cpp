// Plain data in the weak-memory lane: its scenarios are compiled with -fsanitize=thread and linked with this in place of the
// sanitizer's run time. So each access of the product to a plain field is seen, in every schedule and with every answer that a
// load may have had before it, and the product's headers are as they are. The making and the end of an atomic object are plain
// accesses too: an object that is used by a thread to which it was not handed over is a race.
//
// std::atomic stands for nothing of the product here (the gateway's atomic does): it orders nothing.
#if !defined(RUNNEL_MODEL_TSAN)

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "weak.hpp"

namespace {

void read(const void* address, std::size_t size) noexcept {
  if (model::weak::is_watched(address)) model::weak::data_read(address, size);
}
void written(const void* address, std::size_t size) noexcept {
  if (model::weak::is_watched(address)) model::weak::data_written(address, size);
}

}  // namespace

// The names and types are the compilers': gcc's and clang's interface to the run time.
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void** at) { read(at, sizeof *at); }
void __tsan_vptr_update(void** at, void* to) {
  if (*at != to) written(at, sizeof *at);
}
void __tsan_read_range(void* at, std::size_t size) { read(at, size); }
void __tsan_write_range(void* at, std::size_t size) { written(at, size); }
void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
  read(from, size);
  written(to, size);
  return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, std::size_t size) {
  read(from, size);
  written(to, size);
  return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int byte, std::size_t size) {
  written(to, size);
  return std::memset(to, byte, size);
}

#define RUNNEL_MODEL_ACCESS(SIZE)                                         \
  void __tsan_read##SIZE(void* at) { read(at, SIZE); }                    \
  void __tsan_write##SIZE(void* at) { written(at, SIZE); }                \
  void __tsan_unaligned_read##SIZE(void* at) { read(at, SIZE); }          \
  void __tsan_unaligned_write##SIZE(void* at) { written(at, SIZE); }      \
  void __tsan_volatile_read##SIZE(void* at) { read(at, SIZE); }           \
  void __tsan_volatile_write##SIZE(void* at) { written(at, SIZE); }       \
  void __tsan_unaligned_volatile_read##SIZE(void* at) { read(at, SIZE); } \
  void __tsan_unaligned_volatile_write##SIZE(void* at) { written(at, SIZE); }
RUNNEL_MODEL_ACCESS(1)
RUNNEL_MODEL_ACCESS(2)
RUNNEL_MODEL_ACCESS(4)
RUNNEL_MODEL_ACCESS(8)
RUNNEL_MODEL_ACCESS(16)
#undef RUNNEL_MODEL_ACCESS

#define RUNNEL_MODEL_ATOMIC(BITS, T)                                                                                          \
  T __tsan_atomic##BITS##_load(const volatile T* at, int) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }                   \
  void __tsan_atomic##BITS##_store(volatile T* at, T value, int) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }           \
  T __tsan_atomic##BITS##_exchange(volatile T* at, T value, int) { return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##BITS##_fetch_add(volatile T* at, T value, int) { return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##BITS##_fetch_sub(volatile T* at, T value, int) { return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##BITS##_fetch_or(volatile T* at, T value, int) { return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); }   \
  T __tsan_atomic##BITS##_fetch_and(volatile T* at, T value, int) { return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); } \
  int __tsan_atomic##BITS##_compare_exchange_strong(volatile T* at, T* expected, T desired, int, int) {                       \
    return __atomic_compare_exchange_n(at, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0;             \
  }                                                                                                                           \
  int __tsan_atomic##BITS##_compare_exchange_weak(volatile T* at, T* expected, T desired, int, int) {                         \
    return __atomic_compare_exchange_n(at, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0;             \
  }
RUNNEL_MODEL_ATOMIC(8, std::uint8_t)
RUNNEL_MODEL_ATOMIC(16, std::uint16_t)
RUNNEL_MODEL_ATOMIC(32, std::uint32_t)
RUNNEL_MODEL_ATOMIC(64, std::uint64_t)
#undef RUNNEL_MODEL_ATOMIC

}  // extern "C"

#endif
