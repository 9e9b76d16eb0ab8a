// How a call waits for the first of several events. It knows events and nothing of what they are.
//
// 1. Exactly one event happens, or none if the call ends without: each try is whole, and the claim word of the waiter is claimed once.
// 2. Three passes: try all, in random order; join all; leave all. No event is joined before all have been tried.
// 3. A call that does not wait answers "none is ready" only if that was so at one instant: it sees the stamps of all events
//    unchanged after it has tried them all, or it queues at all of them and claims its own waiter.
// 4. An event that cannot happen any more is left out; without any, and without a time limit, the call ends.
// 5. Nothing of the user's is called here but the events.
#pragma once

#include <runnel/detail/event_wait.hpp>

#include <span>

namespace runnel::inline RUNNEL_ABI {

/// What select answers when no case has happened.
inline constexpr std::size_t select_none = std::numeric_limits<std::size_t>::max();

namespace detail {

/// One case, as the engine sees it.
struct select_entry {
  selectable* event = nullptr;  // null: the case has none, or is off
  bool live = false;            // it may still happen
  std::uint32_t order = 0;      // which entry is tried at this place
  std::uint64_t stamp = 0;
  wait_node node;
};

/// What a select waits for, and how long.
struct select_plan {
  std::span<select_entry> entries;
  bool biased = false;
  bool waits = true;                          // false: answers at once
  time_point timeout = never;                 // of the earliest timeout among the cases
  std::size_t timeout_index = select_none;    // and which one it is
  std::size_t otherwise_index = select_none;  // the case to take if no other is ready
  time_point limit = never;                   // of the call as a whole
  done_event* stop = nullptr;                 // likewise: the context that ends it

  void add_timeout(std::size_t index, time_point at) noexcept {
    if (at >= timeout) return;
    timeout = at;
    timeout_index = index;
  }
};

/// How a select ended: `ok` with the index of the case or select_none, else why it ended without.
struct select_outcome {
  std::size_t index = select_none;
  status why = status::ok;
};

class select_engine {
 public:
  explicit select_engine(select_plan& plan) noexcept : plan_(plan) {}

  select_outcome run() {
    bool at_once = !plan_.waits || plan_.otherwise_index != select_none || limit() == time_point::min();
    for (int round = 0;; ++round) {
      // A context that is done is known before the cases are tried: what is ready wins over it.
      at_once = at_once || (plan_.stop != nullptr && plan_.stop->reason() != status::ok);
      if (const std::size_t index = try_all(at_once); index != select_none) return {index, status::ok};
      if (live_ == 0 && plan_.timeout == never && plan_.otherwise_index == select_none) return {};
      if (at_once && none_was_ready()) return without();
      if (at_once && round < rounds_without_queueing) continue;
      if (const select_outcome outcome = wait(at_once); !again_) return outcome;
    }
  }

 private:
  static constexpr int rounds_without_queueing = 3;

  [[nodiscard]] time_point limit() const noexcept { return std::min(plan_.timeout, plan_.limit); }

  /// The first pass. Returns: the index of the case that happened, or select_none.
  std::size_t try_all(bool at_once) {
    const std::span<select_entry> entries = plan_.entries;
    const auto size = static_cast<std::uint32_t>(entries.size());
    live_ = 0;
    for (std::uint32_t i = 0; i < size; ++i) entries[i].order = i;
    for (std::uint32_t i = 0; i < size; ++i) {
      if (!plan_.biased && i + 1 < size) std::swap(entries[i].order, entries[i + random_below(size - i)].order);
      const std::uint32_t index = entries[i].order;
      select_entry& entry = entries[index];
      entry.live = false;
      if (entry.event == nullptr) continue;
      if (at_once) entry.stamp = entry.event->stamp();
      const attempt how = entry.event->try_now();
      if (how == attempt::done) return index;
      entry.live = how == attempt::not_yet;
      if (entry.live) ++live_;
    }
    return select_none;
  }

  /// Whether it is certain that no event was ready at the instant between the tries and now.
  [[nodiscard]] bool none_was_ready() const noexcept {
    if (live_ <= 1) return true;
    for (const select_entry& entry : plan_.entries)
      if (entry.live && (entry.stamp == selectable::no_stamp || entry.event->stamp() != entry.stamp)) return false;
    return true;
  }

  /// The answer when nothing has happened and the call does not wait any longer.
  [[nodiscard]] select_outcome without() const noexcept {
    if (plan_.timeout_index != select_none && plan_.timeout <= plan_.limit && plan_.timeout == time_point::min())
      return {plan_.timeout_index, status::ok};
    if (plan_.otherwise_index != select_none) return {plan_.otherwise_index, status::ok};
    if (plan_.stop != nullptr && plan_.stop->reason() != status::ok) return stopped();
    return {select_none, plan_.waits ? status::timed_out : status::would_block};
  }
  [[nodiscard]] select_outcome stopped() const noexcept { return {select_none, plan_.stop->reason()}; }

  /// The second and third pass. `again_`: what happened does not complete a case.
  select_outcome wait(bool at_once) {
    const auto size = static_cast<std::uint32_t>(plan_.entries.size());
    const std::uint32_t stop_index = size;
    const std::uint32_t timeout_index = size + 1;
    thread_waiter self(true);
    wait_node stop_node;
    bool stop_joined = false;

    std::uint32_t joined = 0;
    for (; joined < size && !self.is_claimed(); ++joined) {
      select_entry& entry = plan_.entries[joined];
      if (!entry.live) continue;
      entry.node = wait_node{};
      entry.node.owner = &self;
      entry.node.index = joined;
      entry.event->join(entry.node);
    }
    time_point until = limit();
    if (plan_.stop != nullptr) {
      until = std::min(until, plan_.stop->deadline());
      stop_node.owner = &self;
      stop_node.index = stop_index;
      stop_joined = !self.is_claimed();
      if (stop_joined) plan_.stop->join(stop_node);
    }

    const bool timed_out = (at_once || !self.wait(until)) && self.claim(timeout_index);
    if (!timed_out) self.wait();  // claimed: the claimer is on its way to resume us, or has
    for (std::uint32_t i = 0; i < joined; ++i)
      if (plan_.entries[i].live) plan_.entries[i].event->leave(plan_.entries[i].node);
    if (stop_joined) plan_.stop->leave(stop_node);

    again_ = false;
    if (timed_out) return at_once ? without() : at(until);
    const std::uint32_t index = self.claimed_index();
    if (index == stop_index) return stopped();
    again_ = !plan_.entries[index].event->finish(plan_.entries[index].node);
    return {index, status::ok};
  }
  /// The answer when this time, the earliest of all limits, has passed.
  [[nodiscard]] select_outcome at(time_point until) const noexcept {
    if (until == plan_.timeout) return {plan_.timeout_index, status::ok};
    if (until == plan_.limit) return {select_none, status::timed_out};
    return stopped();
  }

  select_plan& plan_;
  std::size_t live_ = 0;
  bool again_ = false;
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
