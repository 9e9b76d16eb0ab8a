#include "trace.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "ledger.hpp"

namespace model {
namespace {

struct named_range {
  const char* start;
  std::size_t size;
  const char* name;
};
std::array<named_range, 16> names;
std::size_t name_count = 0;
bool tracing_on = false;

std::string file_name(const place& at) {
  const char* const slash = std::strrchr(at.file_name(), '/');
  return slash == nullptr ? at.file_name() : slash + 1;
}

/// "try_push" of "trial runnel::detail::ring<T>::try_push(T&) [with T = int]".
std::string function_name(const place& at) {
  std::string_view name = at.function_name();
  name = name.substr(0, name.find('('));
  name = name.substr(name.rfind(' ') + 1);
  return std::string(name.substr(name.rfind(':') + 1));
}

std::string source_line(const place& at) {
  std::ifstream file(at.file_name());
  std::string line;
  for (std::uint_least32_t n = 0; n < at.line() && std::getline(file, line); ++n) {
  }
  return line;
}

/// What the step is applied to, as the line spells it: the name in front of ".load(", or inside of "lock(...)".
std::string field_name(const thread& t) {
  const std::string line = source_line(t.at);
  const auto is_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (const std::string& call : {"." + std::string(t.step) + "(", "->" + std::string(t.step) + "("}) {
    const std::size_t at = line.find(call);
    if (at == std::string::npos) continue;
    std::size_t from = at;
    while (from > 0 && is_name(line[from - 1])) --from;
    return line.substr(from, at - from);
  }
  for (const char* call : {"lock(", "park(", "own(", "tree("}) {
    const std::size_t at = line.find(call);
    if (at == std::string::npos) continue;
    std::size_t from = at + std::strlen(call);
    if (from < line.size() && line[from] == '&') ++from;
    std::size_t end = from;
    while (end < line.size() && (is_name(line[end]) || line[end] == '.' || line[end] == '-' || line[end] == '>')) ++end;
    return line.substr(from, end - from);
  }
  return {};
}

std::string owner_name(const void* object) {
  for (std::size_t i = 0; i < name_count; ++i) {
    const auto* const at = static_cast<const char*>(object);
    if (at >= names[i].start && at < names[i].start + names[i].size) return names[i].name;
  }
  if (const ledger::block b = ledger::find(object); b.number != 0)
    return "allocation #" + std::to_string(b.number) + "+" + std::to_string(static_cast<const char*>(object) - b.start) +
           (b.freed ? " (freed)" : "");
  const char* whose = nullptr;
  if (lives_on_a_stack(object, whose)) return "the stack of " + std::string(whose);
  return "a global";
}

}  // namespace

std::string describe_object(const void* object) {
  const thread& t = running_thread();
  const std::string field = object == t.object ? field_name(t) : std::string();
  return (field.empty() ? std::string() : field + " of ") + owner_name(object);
}

std::string trace_position(const thread& t) {
  if (t.object == nullptr && t.at.line() == 0) return t.step;
  std::string text = t.step;
  if (t.object != nullptr) {
    const std::string field = field_name(t);
    text += " " + (field.empty() ? std::string() : field + " of ") + owner_name(t.object);
  }
  return text + " (" + file_name(t.at) + ":" + std::to_string(t.at.line()) + ")";
}

void forget_names() noexcept { name_count = 0; }
void name_object(const void* object, std::size_t size, const char* name) noexcept {
  if (name_count < names.size()) names[name_count++] = {static_cast<const char*>(object), size, name};
}

void set_tracing(bool on) noexcept { tracing_on = on; }
bool tracing() noexcept { return tracing_on && !in_assertion(); }

void trace(const char* order, const char* outcome, std::uint64_t value) noexcept {
  const ledger::pause engines_own;
  const thread& t = running_thread();
  const std::string object = t.object == nullptr ? std::string() : describe_object(t.object);
  const std::string shown = *order == 0 ? std::string(outcome) : std::string(outcome) + " " + std::to_string(value);
  std::printf("  %4u  %-12s %-16s %-34s %-8s %-16s %s:%u %s\n", steps_made(), t.name, t.step, object.c_str(), order, shown.c_str(),
              file_name(t.at).c_str(), static_cast<unsigned>(t.at.line()), function_name(t.at).c_str());
}

}  // namespace model
