// Room for one value that is not there all the time.
#pragma once

#include <runnel/detail/config.hpp>

#include <cstddef>
#include <new>

namespace runnel::inline RUNNEL_ABI::detail {

/// Raw storage for a T. Whoever uses it knows whether there is one.
template <class T>
class storage {
 public:
  [[nodiscard]] T* get() noexcept { return std::launder(reinterpret_cast<T*>(bytes_)); }

 private:
  alignas(T) std::byte bytes_[sizeof(T)];
};

}  // namespace runnel::inline RUNNEL_ABI::detail
