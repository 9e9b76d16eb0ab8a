// Words for people: objects and places by name, and one line for each step of a replay.
#pragma once

#include "engine.hpp"

#include <string>

namespace model {

/// "tail_ of channel a", or an allocation's number, or whose stack it is on; the name of a field is taken from the source line.
[[nodiscard]] std::string describe_object(const void* object);
/// The point where a thread stands: what it does to what, and in which line of the product.
[[nodiscard]] std::string trace_position(const thread& t);
void forget_names() noexcept;

// What the engine knows, for the trace and for reports of crashes.
[[nodiscard]] thread& running_thread() noexcept;
[[nodiscard]] bool lives_on_a_stack(const void* address, const char*& whose) noexcept;
[[nodiscard]] std::string choices_so_far();
[[nodiscard]] bool in_assertion() noexcept;
[[nodiscard]] unsigned running_number() noexcept;
void note_race() noexcept;
/// A choice of the running execution, as strategy::choose makes them.
[[nodiscard]] std::uint32_t choose(std::uint32_t count, std::uint32_t free) noexcept;

}  // namespace model
