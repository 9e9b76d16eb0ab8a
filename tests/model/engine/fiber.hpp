// A stack that runs code, and the step from one to another: Boost.Context's assembly, and what the sanitizers must be told.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <cstddef>

namespace model {

/// Runs an endless loop that its maker gives it. Reused for all executions: making one costs more than a short execution.
class fiber {
 public:
  using entry_function = void (*)(void* argument);

  /// A fiber for the thread that runs already: the program's own.
  fiber() noexcept = default;
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;

  /// Allocates the stack, once.
  void create(std::size_t stack_size);
  /// Forgets what is on the stack, without running a destructor; the next switch enters `entry(argument)`, which never returns.
  void reset(entry_function entry, void* argument) noexcept;
  /// From the outermost function of the fiber that runs: AddressSanitizer gets rid of the frames that exceptions have left behind.
  static void collect() noexcept;
  /// Leaves this fiber, which runs, for another. Returns when somebody switches back.
  void switch_to(fiber& next) noexcept;

  /// Whether exceptions are being handled, or are in flight: on the fiber that runs, and on one that does not.
  [[nodiscard]] static bool handles_exceptions() noexcept;
  [[nodiscard]] bool has_exceptions() const noexcept { return exceptions_.caught != nullptr || exceptions_.in_flight != 0; }

  [[nodiscard]] bool contains(const void* address) const noexcept {
    const auto* const at = static_cast<const char*>(address);
    return at >= stack_ && at < stack_ + size_;
  }

 private:
  friend struct fiber_start;
  /// What the C++ runtime keeps for each thread: the exceptions that are being handled, and those in flight.
  struct exception_state {
    void* caught = nullptr;
    unsigned in_flight = 0;
  };

  boost::context::detail::fcontext_t context_ = nullptr;
  char* stack_ = nullptr;
  std::size_t size_ = 0;
  entry_function entry_ = nullptr;
  void* argument_ = nullptr;
  exception_state exceptions_;
  void* sanitizer_ = nullptr;  // ThreadSanitizer's fiber, or AddressSanitizer's saved fake stack
};

}  // namespace model
