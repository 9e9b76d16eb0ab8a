// What a scenario is made of: a body that builds its objects afresh, parts that run side by side, and what must hold then.
#pragma once

#include "engine.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace model {

struct scenario {
  std::string name;
  std::vector<int> proves;  // of invariants.hpp
  std::function<void()> body;
  limits limit{};
  std::uint64_t most_executions = 0;  // if not 0: the exhaustive search may end here, having found nothing
  unsigned far_timers_up_to = ~0U;    // with more preemptions, limit.far_timers is off in its exhaustive search
};

/// All scenarios that are linked in.
std::vector<scenario>& scenarios();
void add_scenario(scenario s);

/// Scenarios that are made from a text: programs. There is one such language at most.
struct language {
  scenario (*make)(std::string_view text);  // throws std::invalid_argument
  std::string (*generate)(std::uint64_t seed, std::uint64_t number);
  std::vector<std::string> (*smaller)(std::string_view text);  // the texts of scenarios that a failing one may shrink to
};
void set_language(const language& l);
[[nodiscard]] const language* known_language() noexcept;

/// Adds scenarios before main: `const enroll pairs([] { add_scenario({...}); });`
struct enroll {
  explicit enroll(void (*add)()) { add(); }
};

/// A part by name: `parallel(as("sender", [&] { ... }), as("receiver", [&] { ... }))`.
template <class F>
struct named_part {
  const char* name;
  F body;
};
template <class F>
named_part<F> as(const char* name, F body) {
  return {name, std::move(body)};
}

namespace parts_detail {
template <class F>
part make(named_part<F>& p) {
  return {p.name, [](void* body) { (*static_cast<F*>(body))(); }, &p.body};
}
}  // namespace parts_detail

/// Runs the parts side by side; returns when all have ended.
template <class... F>
void parallel(named_part<F>... parts) {
  const part list[] = {parts_detail::make(parts)...};
  run_parts(list, sizeof...(F));
}
/// The same, but some may wait for ever; then calls help(), which is to let them go on, and waits for them.
/// Returns: whether any was stuck; inside of help, is_stuck() says which.
template <class Help, class... F>
bool parallel_with_help(Help help, named_part<F>... parts) {
  const part list[] = {parts_detail::make(parts)...};
  if (!run_parts_or_stick(list, sizeof...(F))) return false;
  help();
  run_stuck_parts();
  return true;
}

}  // namespace model
