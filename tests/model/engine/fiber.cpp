#include "fiber.hpp"

#include <cxxabi.h>
#include <sys/mman.h>
#include <cstdlib>
#include <utility>

#if defined(RUNNEL_MODEL_TSAN)
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}
#endif
#if defined(RUNNEL_MODEL_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
extern "C" void __asan_handle_no_return(void);
#endif

namespace model {
namespace {

fiber* previous = nullptr;  // the one that the fiber that runs now was entered from

void swap_exceptions(auto& leaving, const auto& entering) noexcept {
  auto* const globals = reinterpret_cast<std::remove_reference_t<decltype(leaving)>*>(abi::__cxa_get_globals());
  leaving = std::exchange(*globals, entering);
}

#if defined(RUNNEL_MODEL_ASAN)
/// AddressSanitizer keeps locals on a fake stack for each fiber, and takes away only that of a fiber that leaves: so this one
/// leaves as the owner of `fake`, to where it is. Its variables are static: a local one would itself be on a fake stack.
void end_fake_stack(void* fake) noexcept {
  static void* own = nullptr;
  static const void* bottom = nullptr;
  static std::size_t size = 0;
  __sanitizer_start_switch_fiber(&own, nullptr, 0);
  __sanitizer_finish_switch_fiber(fake, &bottom, &size);
  __sanitizer_start_switch_fiber(nullptr, bottom, size);
  __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
}
#endif

}  // namespace

struct fiber_start {
  /// What every switch does on the side that it arrives on.
  static void arrived(fiber& now, boost::context::detail::fcontext_t from) noexcept {
    previous->context_ = from;
#if defined(RUNNEL_MODEL_ASAN)
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(now.sanitizer_, &bottom, &size);
    now.sanitizer_ = nullptr;
    if (previous->stack_ == nullptr) {  // the program's own stack
      previous->stack_ = static_cast<char*>(const_cast<void*>(bottom));
      previous->size_ = size;
    }
#else
    static_cast<void>(now);
#endif
  }
  static void run(boost::context::detail::transfer_t from) {
    fiber& self = *static_cast<fiber*>(from.data);
    arrived(self, from.fctx);
    self.entry_(self.argument_);
    std::abort();
  }
};

void fiber::create(std::size_t stack_size) {
  size_ = stack_size;
  stack_ = static_cast<char*>(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (stack_ == MAP_FAILED) std::abort();
}

void fiber::reset(entry_function entry, void* argument) noexcept {
  entry_ = entry;
  argument_ = argument;
  exceptions_ = {};
#if defined(RUNNEL_MODEL_ASAN)
  __asan_unpoison_memory_region(stack_, size_);
  if (sanitizer_ != nullptr) end_fake_stack(std::exchange(sanitizer_, nullptr));
#endif
#if defined(RUNNEL_MODEL_TSAN)
  if (sanitizer_ != nullptr) __tsan_destroy_fiber(sanitizer_);
  sanitizer_ = __tsan_create_fiber(0);
#endif
  context_ = boost::context::detail::make_fcontext(stack_ + size_, size_, &fiber_start::run);
}

bool fiber::handles_exceptions() noexcept {
  const auto* const now = reinterpret_cast<const exception_state*>(abi::__cxa_get_globals());
  return now->caught != nullptr || now->in_flight != 0;
}

void fiber::collect() noexcept {
#if defined(RUNNEL_MODEL_ASAN)
  __asan_handle_no_return();
#endif
}

void fiber::switch_to(fiber& next) noexcept {
  previous = this;
  swap_exceptions(exceptions_, next.exceptions_);
#if defined(RUNNEL_MODEL_TSAN)
  if (sanitizer_ == nullptr) sanitizer_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(next.sanitizer_, 1);  // 1: the switch itself orders nothing
#endif
#if defined(RUNNEL_MODEL_ASAN)
  __sanitizer_start_switch_fiber(&sanitizer_, next.stack_, next.size_);
#endif
  const auto from = boost::context::detail::jump_fcontext(next.context_, &next);
  fiber_start::arrived(*this, from.fctx);
}

}  // namespace model
