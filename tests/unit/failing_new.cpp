// Replaces operator new for a whole program: see failing_new.hpp.
#include "failing_new.hpp"

// Not inlined: g++ 12 would compare what is inlined here with what is not.
[[gnu::noinline]] void* operator new(std::size_t size) { return allocations::allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t to) {
  return allocations::allocate(size, static_cast<std::size_t>(to));
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t& /*nothrow*/) noexcept {
  try {
    return allocations::allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
[[gnu::noinline]] void operator delete(void* p) noexcept { allocations::release(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t /*size*/) noexcept { allocations::release(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t /*to*/) noexcept { allocations::release(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t /*size*/, std::align_val_t /*to*/) noexcept { allocations::release(p); }
