#include "program.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace model {
namespace {

constexpr std::array<std::string_view, 17> verb_names{"send",     "try_send", "send_for",   "send_ctx",   "recv",      "try_recv",
                                                      "recv_for", "recv_ctx", "close",      "cancel",     "drop_send", "drop_recv",
                                                      "size",     "select",   "try_select", "select_for", "select_ctx"};

std::string channel_name(std::size_t i) { return std::string(1, static_cast<char>('a' + i)); }

/// Takes the text up to the separator off the front.
std::string_view take(std::string_view& text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  const std::string_view front = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + separator.size());
  return front;
}

std::size_t parse_number(std::string_view text) {
  std::size_t n = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), n).ec != std::errc())
    throw std::invalid_argument("a number is missing");
  return n;
}

std::uint8_t parse_channel(std::string_view text) {
  if (text.size() != 1 || text[0] < 'a' || text[0] >= static_cast<char>('a' + most_channels))
    throw std::invalid_argument("no such channel");
  return static_cast<std::uint8_t>(text[0] - 'a');
}

operation parse_operation(std::string_view text) {
  operation op;
  const std::string_view name = take(text, " ");
  const auto* const at = std::find(verb_names.begin(), verb_names.end(), name);
  if (at == verb_names.end()) throw std::invalid_argument("no such operation: " + std::string(name));
  op.what = static_cast<verb>(at - verb_names.begin());
  if (op.what == verb::cancel) return op;
  if (!is_select(op.what)) {
    op.channel = parse_channel(take(text, " "));
    return op;
  }
  for (select_case_text& c : op.cases) {
    c.sends = take(text, " ") == "send";
    c.channel = parse_channel(take(text, " "));
  }
  return op;
}

struct random_source {
  std::uint64_t state;
  std::uint64_t operator()(std::uint64_t below) noexcept {
    state += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return (z ^ (z >> 31U)) % below;
  }
};

}  // namespace

std::string program::text() const {
  std::string text;
  for (const channel_text& c : channels) {
    if (!text.empty()) text += "/";
    text += c.capacity == unbounded_capacity ? "u" : std::to_string(c.capacity);
    if (c.filled != 0) text += "+" + std::to_string(c.filled);
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    text += i == 0 ? ": " : " | ";
    if (parts[i].is_coroutine) text += "~";
    for (std::size_t k = 0; k < parts[i].operations.size(); ++k) {
      const operation& op = parts[i].operations[k];
      if (k != 0) text += ", ";
      text += verb_names[static_cast<std::size_t>(op.what)];
      if (is_select(op.what))
        for (const select_case_text& c : op.cases) text += (c.sends ? " send " : " recv ") + channel_name(c.channel);
      else if (op.what != verb::cancel)
        text += " " + channel_name(op.channel);
    }
  }
  return text;
}

program program::parse(std::string_view text) {
  program p;
  std::string_view head = take(text, ": ");
  while (!head.empty()) {
    std::string_view channel = take(head, "/");
    const std::string_view capacity = take(channel, "+");
    p.channels.push_back(
        {capacity == "u" ? unbounded_capacity : parse_number(capacity), channel.empty() ? 0 : parse_number(channel)});
  }
  while (!text.empty()) {
    std::string_view part = take(text, " | ");
    auto& parsed = p.parts.emplace_back();
    parsed.is_coroutine = part.starts_with('~');
    if (parsed.is_coroutine) part.remove_prefix(1);
    while (!part.empty()) parsed.operations.push_back(parse_operation(take(part, ", ")));
  }
  if (p.channels.empty() || p.channels.size() > most_channels || p.parts.empty() || p.parts.size() > most_parts)
    throw std::invalid_argument("a program has one or two channels, and one to four parts");
  return p;
}

std::size_t program::operation_count() const {
  std::size_t n = 0;
  for (const part_text& part : parts) n += part.operations.size();
  return n;
}
bool program::drops(verb how, std::size_t channel) const {
  for (const part_text& part : parts)
    for (const operation& op : part.operations)
      if (op.what == how && op.channel == channel) return true;
  return false;
}
bool program::uses_context() const {
  for (const part_text& part : parts)
    for (const operation& op : part.operations)
      if (op.what == verb::cancel || has_context(op.what)) return true;
  return false;
}

program generate(std::uint64_t seed, std::uint64_t number) {
  random_source random{seed * 1'000'003 + number};
  program p;
  constexpr std::size_t capacities[] = {0, 0, 1, 1, 2, unbounded_capacity};
  const std::size_t channel_count = 1 + random(2);
  for (std::size_t i = 0; i < channel_count; ++i) {
    const std::size_t capacity = capacities[random(std::size(capacities))];
    const std::size_t room = std::min<std::size_t>(capacity, 2);
    p.channels.push_back({capacity, random(4) == 0 && room != 0 ? 1 + random(room) : 0});
  }
  constexpr verb plain[] = {verb::send,     verb::send,     verb::recv,       verb::recv,      verb::try_send,
                            verb::try_recv, verb::send_for, verb::recv_for,   verb::close,     verb::size,
                            verb::select,   verb::select,   verb::try_select, verb::select_for};
  constexpr verb with_ctx[] = {verb::send_ctx, verb::recv_ctx, verb::cancel, verb::select_ctx};
  const bool context = random(4) == 0;
  const std::size_t part_count = 2 + random(2);
  for (std::size_t i = 0; i < part_count; ++i) {
    auto& part = p.parts.emplace_back();
    part.is_coroutine = random(3) == 0;
    const std::size_t operations = 1 + random(part_count == 2 ? 3 : 2);
    for (std::size_t k = 0; k < operations; ++k) {
      operation op;
      op.what = context && random(3) == 0 ? with_ctx[random(std::size(with_ctx))] : plain[random(std::size(plain))];
      op.channel = static_cast<std::uint8_t>(random(channel_count));
      for (select_case_text& c : op.cases) c = {random(2) == 0, static_cast<std::uint8_t>(random(channel_count))};
      part.operations.push_back(op);
    }
  }
  return p;
}

std::vector<program> with_coroutines(const program& p, bool each_set) {
  const auto waits = [](const program::part_text& part) {
    return std::any_of(part.operations.begin(), part.operations.end(), [](const operation& op) { return can_wait(op.what); });
  };
  unsigned all = 0;
  for (std::size_t i = 0; i < p.parts.size(); ++i)
    if (waits(p.parts[i])) all |= 1U << i;
  std::vector<program> list;
  for (unsigned chosen = each_set ? 1 : all; chosen != 0 && chosen <= all; ++chosen) {
    if ((chosen & ~all) != 0) continue;
    program& q = list.emplace_back(p);
    for (std::size_t i = 0; i < p.parts.size(); ++i) q.parts[i].is_coroutine = (chosen >> i & 1U) != 0;
  }
  return list;
}

std::vector<program> smaller(const program& p) {
  std::vector<program> list;
  for (std::size_t i = 0; i < p.parts.size(); ++i) {
    if (p.parts.size() > 1) {
      program q = p;
      q.parts.erase(q.parts.begin() + static_cast<std::ptrdiff_t>(i));
      list.push_back(q);
    }
    const std::size_t operations = p.parts[i].operations.size();
    for (std::size_t k = 0; operations > 1 && k < operations; ++k) {
      program q = p;
      q.parts[i].operations.erase(q.parts[i].operations.begin() + static_cast<std::ptrdiff_t>(k));
      list.push_back(q);
    }
    if (p.parts[i].is_coroutine) {
      program q = p;
      q.parts[i].is_coroutine = false;
      list.push_back(q);
    }
  }
  for (std::size_t c = 0; c < p.channels.size(); ++c) {
    if (p.channels[c].filled == 0) continue;
    program q = p;
    q.channels[c].filled = 0;
    list.push_back(q);
  }
  return list;
}

}  // namespace model
