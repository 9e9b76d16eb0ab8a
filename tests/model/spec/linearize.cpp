// Wing and Gong's search, with a memo, over a sequential channel.
//
// Each operation takes one step, "register", between its call and its return: it completes at once, or fails, or queues; and it
// may complete one that is queued. A select takes one such step for each case, as Go's, which locks all channels, would not. One
// whose time comes or whose context ends takes a second step, "withdraw", while it is queued. An order explains a history if
// every answer comes out as recorded, and if exactly what was stuck is queued at the end.
#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "history.hpp"

namespace model {
namespace {

constexpr std::uint8_t most_values = 20;

enum class phase : std::uint8_t { outside, queued, over };

template <std::uint8_t most>
struct row {
  std::array<std::uint8_t, most> at{};
  std::uint8_t count = 0;

  void push(std::uint8_t x) noexcept { at[count++] = x; }
  std::uint8_t pop() noexcept {
    const std::uint8_t x = at[0];
    remove(0);
    return x;
  }
  void remove(std::uint8_t i) noexcept {
    std::copy(at.begin() + i + 1, at.begin() + count, at.begin() + i);
    at[--count] = 0;
  }
};

/// A place in a queue: operation * 2 + which of its cases.
struct channel_state {
  row<most_values> values;
  row<2 * most_operations> receivers;
  row<2 * most_operations> senders;
  bool closed = false;
  bool close_called = false;  // by hand
  std::uint8_t send_handles = 0;
  std::uint8_t recv_handles = 0;
};

struct state {
  std::array<phase, most_operations> phases{};
  std::array<std::uint8_t, most_operations> joined{};  // which of an operation's cases are queued
  std::array<channel_state, most_channels> channels{};
  bool canceled = false;

  bool operator==(const state& other) const noexcept { return std::memcmp(this, &other, sizeof(state)) == 0; }
};
static_assert(std::has_unique_object_representations_v<state>, "states are compared as bytes");

struct state_hash {
  std::size_t operator()(const state& s) const noexcept {
    std::uint64_t h = 0xCBF29CE484222325U;
    const auto* const bytes = reinterpret_cast<const unsigned char*>(&s);
    for (std::size_t i = 0; i < sizeof(state); ++i) h = (h ^ bytes[i]) * 0x100000001B3U;
    return static_cast<std::size_t>(h);
  }
};

class search {
 public:
  search(const program& p, const history& h) noexcept : program_(p), history_(h) {}

  bool run() {
    state start;
    std::uint8_t value = 100;
    for (std::size_t c = 0; c < program_.channels.size(); ++c) {
      for (std::size_t i = 0; i < program_.channels[c].filled; ++i) start.channels[c].values.push(value++);
      for (const program::part_text& part : program_.parts)
        for (const operation& op : part.operations) {
          if (op.channel != c) continue;
          if (op.what == verb::drop_send) ++start.channels[c].send_handles;
          if (op.what == verb::drop_recv) ++start.channels[c].recv_handles;
        }
    }
    return explains(start);
  }

 private:
  [[nodiscard]] const record& at(std::uint8_t op) const noexcept { return history_.records[op]; }
  static bool sends(const operation& op, std::uint8_t which) noexcept {
    return is_select(op.what) ? op.cases[which].sends : is_send(op.what);
  }
  static std::uint8_t channel_of(const operation& op, std::uint8_t which) noexcept {
    return is_select(op.what) ? op.cases[which].channel : op.channel;
  }
  static std::uint8_t value_sent(const record& r, std::uint8_t which) noexcept {
    return static_cast<std::uint8_t>(r.sends_value + which);
  }

  bool explains(const state& s) {
    bool all_over = true;
    for (std::uint8_t i = 0; i < history_.count; ++i)
      all_over = all_over && s.phases[i] == (at(i).how == answer::stuck ? phase::queued : phase::over);
    if (all_over) return true;
    if (!seen_.insert(s).second) return false;
    for (std::uint8_t i = 0; i < history_.count; ++i) {
      if (s.phases[i] == phase::queued && withdraws(i, s) && explains(withdrawn(i, s))) return true;
      if (s.phases[i] != phase::outside || !may_register(i, s)) continue;
      if (registers(i, s)) return true;
    }
    return false;
  }

  /// All that had returned before it was called are over.
  bool may_register(std::uint8_t i, const state& s) const noexcept {
    for (std::uint8_t k = 0; k < history_.count; ++k)
      if (at(k).returned < at(i).called && s.phases[k] != phase::over) return false;
    return true;
  }
  bool withdraws(std::uint8_t i, const state& s) const noexcept {
    return at(i).how == answer::timed_out || (at(i).how == answer::canceled && s.canceled);
  }
  state withdrawn(std::uint8_t i, state s) const noexcept {
    leave_queues(i, s);
    s.phases[i] = phase::over;
    s.joined[i] = 0;
    return s;
  }
  static void leave_queues(std::uint8_t i, state& s) noexcept {
    for (channel_state& c : s.channels)
      for (auto* queue : {&c.receivers, &c.senders})
        for (std::uint8_t k = queue->count; k > 0; --k)
          if (queue->at[k - 1] / 2 == i) queue->remove(static_cast<std::uint8_t>(k - 1));
  }

  /// Ends an operation by one of its cases. False: that is not how it was answered.
  bool complete(std::uint8_t place, answer how, std::uint8_t value, state& s) const noexcept {
    const auto i = static_cast<std::uint8_t>(place / 2);
    const auto which = static_cast<std::uint8_t>(place % 2);
    const record& r = at(i);
    if (r.how != how) return false;
    if (is_select(r.what.what) && r.chosen != which) return false;
    if (how == answer::ok && !sends(r.what, which) && r.value != value) return false;
    leave_queues(i, s);
    s.phases[i] = phase::over;
    s.joined[i] = 0;
    return true;
  }

  /// Lets one case of an operation happen, if it is ready. Returns: whether it was; then `fits` says whether the answers are right.
  bool try_case(std::uint8_t i, std::uint8_t which, state& s, bool& fits) const noexcept {
    const record& r = at(i);
    const auto place = static_cast<std::uint8_t>(i * 2 + which);
    channel_state& c = s.channels[channel_of(r.what, which)];
    const std::size_t capacity = program_.channels[channel_of(r.what, which)].capacity;
    const auto peer_of = [&](const auto& queue) -> std::uint8_t {  // a select never meets itself
      for (std::uint8_t k = 0; k < queue.count; ++k)
        if (queue.at[k] / 2 != i) return queue.at[k];
      return 0xFF;
    };
    if (sends(r.what, which)) {
      const std::uint8_t value = value_sent(r, which);
      if (c.closed) return fits = complete(place, answer::closed, 0, s), true;
      if (const std::uint8_t peer = peer_of(c.receivers); peer != 0xFF)
        return fits = complete(peer, answer::ok, value, s) && complete(place, answer::ok, 0, s), true;
      if (c.values.count >= capacity) return false;
      c.values.push(value);
      return fits = complete(place, answer::ok, 0, s), true;
    }
    if (c.values.count != 0) {
      const std::uint8_t value = c.values.pop();
      fits = complete(place, answer::ok, value, s);
      if (!fits) return true;
      if (const std::uint8_t peer = peer_of(c.senders); peer != 0xFF) {
        c.values.push(value_sent(at(peer / 2), peer % 2));
        fits = complete(peer, answer::ok, 0, s);
      }
      return true;
    }
    if (const std::uint8_t peer = peer_of(c.senders); peer != 0xFF)
      return fits = complete(place, answer::ok, value_sent(at(peer / 2), peer % 2), s) && complete(peer, answer::ok, 0, s), true;
    if (c.closed) return fits = complete(place, answer::closed, 0, s), true;
    return false;
  }
  static std::uint8_t case_count(const record& r) noexcept { return is_select(r.what.what) ? 2 : 1; }

  /// All cases are looked at in one step: if none is ready, that is the answer.
  bool tries(std::uint8_t i, const state& before) {
    bool ready = false;
    for (std::uint8_t which = 0; which < case_count(at(i)); ++which) {
      state s = before;
      bool fits = false;
      if (!try_case(i, which, s, fits)) continue;
      ready = true;
      if (fits && explains(s)) return true;
    }
    if (ready || at(i).how != answer::would_block) return false;
    state s = before;
    s.phases[i] = phase::over;
    return explains(s);
  }
  /// A case that is ready may happen; one that is not queues. A select queues at one channel after the other: whoever comes in
  /// between may find it at the first alone.
  bool waits(std::uint8_t i, const state& before) {
    const record& r = at(i);
    if (r.what.what == verb::select_ctx && r.how == answer::canceled && before.canceled) {  // a case like any other
      state s = before;
      leave_queues(i, s);
      s.phases[i] = phase::over;
      s.joined[i] = 0;
      if (explains(s)) return true;
    }
    const auto all = static_cast<std::uint8_t>((1U << case_count(r)) - 1);
    for (std::uint8_t which = 0; which < case_count(r); ++which) {
      if ((before.joined[i] >> which & 1U) != 0) continue;
      state s = before;
      bool fits = false;
      if (try_case(i, which, s, fits)) {
        if (fits && explains(s)) return true;
        continue;
      }
      channel_state& c = s.channels[channel_of(r.what, which)];
      (sends(r.what, which) ? c.senders : c.receivers).push(static_cast<std::uint8_t>(i * 2 + which));
      s.joined[i] = static_cast<std::uint8_t>(s.joined[i] | 1U << which);
      if (s.joined[i] == all) s.phases[i] = phase::queued;
      if (explains(s)) return true;
    }
    return false;
  }

  bool registers(std::uint8_t i, const state& before) {
    const record& r = at(i);
    const verb v = r.what.what;
    if (is_send(v) || is_recv(v) || is_select(v)) return never_waits(v) ? tries(i, before) : waits(i, before);
    state s = before;
    s.phases[i] = phase::over;
    channel_state& c = s.channels[r.what.channel];
    switch (v) {
      case verb::cancel: s.canceled = true; break;
      case verb::size:
        if (c.values.count != r.value) return false;
        break;
      case verb::close:
        if (r.how != (c.close_called ? answer::closed : answer::ok)) return false;
        c.close_called = true;
        if (!close(c, s)) return false;
        break;
      case verb::drop_send:
        if (--c.send_handles == 0 && !close(c, s)) return false;
        break;
      case verb::drop_recv:
        if (--c.recv_handles != 0) break;
        if (!close(c, s)) return false;
        c.values = {};
        break;
      default: return false;
    }
    return explains(s);
  }
  bool close(channel_state& c, state& s) const noexcept {
    c.closed = true;
    while (c.receivers.count != 0)
      if (!complete(c.receivers.at[0], answer::closed, 0, s)) return false;
    while (c.senders.count != 0)
      if (!complete(c.senders.at[0], answer::closed, 0, s)) return false;
    return true;
  }

  const program& program_;
  const history& history_;
  std::unordered_set<state, state_hash> seen_;
};

}  // namespace

std::uint16_t history::tick() noexcept { return ++clock; }

std::uint64_t history::key() const noexcept {
  std::uint64_t h = 0xCBF29CE484222325U;
  const auto add = [&h](std::uint64_t x) { h = (h ^ x) * 0x9FB21C651E98DF25U, h ^= h >> 32U; };
  for (std::uint8_t i = 0; i < count; ++i) {
    const record& r = records[i];
    add(std::uint64_t{r.value} | std::uint64_t{r.chosen} << 8U | std::uint64_t(r.how) << 16U | std::uint64_t(r.what.what) << 24U);
    std::uint64_t before = 0;  // what had returned when this one was called
    for (std::uint8_t k = 0; k < count; ++k) before |= std::uint64_t{records[k].returned < r.called} << k;
    add(before);
  }
  return h;
}

bool is_linearizable(const program& p, const history& h) { return search(p, h).run(); }

std::string describe(const program& p, const history& h) {
  static constexpr const char* answers[] = {"is stuck", "ok", "would_block", "closed", "canceled", "timed_out", "none"};
  std::string text;
  for (std::uint8_t i = 0; i < h.count; ++i) {
    const record& r = h.records[i];
    program one;
    one.channels = p.channels;
    one.parts = {{{r.what}, false}};
    const std::string name = one.text();
    text += "\n      " + name.substr(name.find(": ") + 2);
    if (is_send(r.what.what) || is_select(r.what.what)) text += " (" + std::to_string(r.sends_value) + ")";
    text += ": called at " + std::to_string(r.called);
    text += r.how == answer::stuck ? ", " : ", returned at " + std::to_string(r.returned) + ": ";
    text += answers[static_cast<std::size_t>(r.how)];
    if (is_select(r.what.what) && (r.how == answer::ok || r.how == answer::closed)) text += " by case " + std::to_string(r.chosen);
    if (r.how == answer::ok && r.value != 0) text += ", value " + std::to_string(r.value);
  }
  return text;
}

}  // namespace model
