// Every pair and triple of operations on one channel, selects on two, all compared with the specification.
#include <array>
#include <stdexcept>

#include "../spec/runner.hpp"

namespace model {
namespace {

// In the position of a part; `drop` is what a part does at its end where handles are dropped.
constexpr std::array operations{"send a",     "recv a",     "try_send a", "try_recv a", "send_for a",  "recv_for a",
                                "send_ctx a", "recv_ctx a", "close a",    "cancel",     "drop_send a", "drop_recv a"};
constexpr std::array channels{"0", "1", "1+1", "2+1", "u"};

bool has(const std::vector<std::string>& parts, std::string_view word) {
  for (const std::string& part : parts)
    if (part.find(word) != std::string::npos) return true;
  return false;
}

/// Whether the parts have anything to do with each other that a smaller set does not have.
bool worthwhile(const std::vector<std::string>& parts) {
  if (has(parts, "cancel") != has(parts, "ctx")) return false;
  return true;
}

void add(std::string channel, std::vector<std::string> parts) {
  // Whoever sends where senders drop their handles drops its own at the end.
  for (const char* side : {"send", "recv"}) {
    const std::string drop = "drop_" + std::string(side) + " a";
    if (!has(parts, drop)) continue;
    for (std::string& part : parts)
      if (part != drop && part.find(side) != std::string::npos && part.find("drop_") == std::string::npos) part += ", " + drop;
    if (std::string(side) == "send" && has(parts, "close"))
      for (std::string& part : parts)
        if (part == "close a") part += ", " + drop;
  }
  std::string text = std::move(channel) + ": ";
  for (std::size_t i = 0; i < parts.size(); ++i) text += (i == 0 ? "" : " | ") + parts[i];
  const program p = program::parse(text);
  add_scenario(scenario_of(p));
  // Two parts: each and both as coroutines. Three: all, but where timers are in it.
  if (parts.size() == 2 || !(has(parts, "_for") || has(parts, "_ctx")))
    for (const program& q : with_coroutines(p, parts.size() == 2)) add_scenario(scenario_of(q));
}

const enroll pairs_and_triples([] {
  for (const char* channel : channels)
    for (std::size_t i = 0; i < operations.size(); ++i)
      for (std::size_t k = i; k < operations.size(); ++k) {
        const std::vector<std::string> pair{operations[i], operations[k]};
        if (worthwhile(pair)) add(channel, pair);
        for (std::size_t m = k; m < operations.size(); ++m) {
          const std::vector<std::string> triple{operations[i], operations[k], operations[m]};
          if (worthwhile(triple)) add(channel, triple);
        }
      }
});

}  // namespace
}  // namespace model
