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

/// One case, as the engine sees it: a cache line.
struct select_entry {
  select_entry() noexcept : stamp(0) {}
  /// For a vector that grows, before anything is tried.
  select_entry(const select_entry& other) noexcept : event(other.event), live(other.live), order(other.order), stamp(0) {}
  select_entry& operator=(const select_entry&) = delete;

  selectable* event = nullptr;  // null: the case has none, or is off
  bool live = false;            // it may still happen
  std::uint32_t order = 0;      // which entry is tried at this place
  union {
    std::uint64_t stamp;  // from its try on, until it is joined
    wait_node node;       // made when the case is joined
  };
};

/// What a select waits for, and how long.
struct select_plan {
  std::span<select_entry> entries;
  bool biased = false;
  bool waits = true;                          // false: answers at once
  bool needs_hope = true;                     // ends when no case can happen any more
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
  explicit select_engine(select_plan& plan) noexcept : plan_(plan) {}  // the node stays unwritten until it is needed

  /// The whole of it, for a thread.
  select_outcome run() {
    for (;;) {
      if (start()) return outcome_;
      thread_waiter self(true);
      join_all(self);
      const bool over = at_once_ || !self.wait(until());
      if (!over || !self.claim(timeout_node)) self.wait();  // claimed: the claimer is on its way to resume us, or has
      leave_all();
      if (conclude(self.claimed_index())) return outcome_;
    }
  }

  // Its parts, for whoever waits otherwise.

  /// The first pass, with what can be said at once. True: it has ended, with outcome().
  bool start() {
    // A context that is done is known before the cases are tried: what is ready wins over it.
    at_once_ = !plan_.waits || plan_.otherwise_index != select_none || limit() == time_point::min() ||
               (plan_.stop != nullptr && plan_.stop->reason() != status::ok);
    if (const std::size_t index = try_all(); index != select_none) return ended({index, status::ok});
    if (live_ == 0 && plan_.needs_hope && plan_.timeout == never && plan_.otherwise_index == select_none) return ended({});
    if (!at_once_ && limit() != never && now() >= limit()) end_time();  // then it need not queue
    return at_once_ && none_was_ready() && ended(without());
  }
  [[nodiscard]] const select_outcome& outcome() const noexcept { return outcome_; }
  /// Whether the second pass is only to see that nothing is ready.
  [[nodiscard]] bool at_once() const noexcept { return at_once_; }
  /// When the wait ends by itself.
  [[nodiscard]] time_point until() const noexcept {
    return plan_.stop == nullptr || limit() < plan_.stop->deadline() ? limit() : plan_.stop->deadline();
  }

  /// The second pass. The waiter may have been claimed and resumed when it returns. Throws: what a join has thrown, if no event has
  /// happened by then; nothing is queued then. One that has happened is the answer, whatever the joins after it would have done.
  void join_all(waiter& self) {
    joined_ = 0;
    stop_joined_ = false;
    try {
      for (; joined_ < plan_.entries.size() && !self.is_claimed(); ++joined_) {
        select_entry& entry = plan_.entries[joined_];
        if (!entry.live) continue;
        std::construct_at(&entry.node);
        entry.node.owner = &self;
        entry.node.index = static_cast<std::uint32_t>(joined_);
        entry.event->join(entry.node);
      }
      if (plan_.stop == nullptr || self.is_claimed()) return;
      std::construct_at(&stop_node_);
      stop_node_.owner = &self;
      stop_node_.index = stop_node;
      plan_.stop->join(stop_node_);
      stop_joined_ = true;
    } catch (...) {
      if (withdraws(self)) throw;
    }
  }
  /// The third pass, once the waiter has been claimed.
  void leave_all() noexcept {
    for (std::size_t i = 0; i < joined_; ++i)
      if (plan_.entries[i].live) plan_.entries[i].event->leave(plan_.entries[i].node);
    if (stop_joined_) plan_.stop->leave(stop_node_);
  }
  /// What the claim means. True: it has ended, with outcome(). False: what happened does not complete a case.
  bool conclude(std::uint32_t claimed) {
    if (claimed == stop_node) return ended(stopped());
    if (claimed == timeout_node) return ended(at_once_ ? without() : at(until()));
    select_entry& entry = plan_.entries[claimed];
    return entry.event->finish(entry.node) && ended({claimed, status::ok});
  }

  /// The indices under which a waiter is claimed if it is for no case.
  static constexpr std::uint32_t stop_node = 1U << 30;
  static constexpr std::uint32_t timeout_node = stop_node + 1;

 private:
  bool ended(select_outcome outcome) noexcept {
    outcome_ = outcome;
    return true;
  }
  [[nodiscard]] time_point limit() const noexcept { return plan_.timeout < plan_.limit ? plan_.timeout : plan_.limit; }
  /// The limit has passed.
  void end_time() noexcept {
    (plan_.timeout <= plan_.limit ? plan_.timeout : plan_.limit) = time_point::min();
    at_once_ = true;
  }

  /// After a join that threw: leaves what was joined. False: an event has happened, and the wait goes on to its end.
  RUNNEL_NOINLINE bool withdraws(waiter& self) noexcept {
    if (!self.claim(timeout_node)) return false;
    leave_all();
    joined_ = 0;
    self.reopen();  // a coroutine that is destroyed now claims it once more
    return true;
  }

  /// Returns: the index of the case that happened, or select_none.
  std::size_t try_all() {
    const std::span<select_entry> entries = plan_.entries;
    const auto size = static_cast<std::uint32_t>(entries.size());
    const bool stamps = at_once_ || limit() != never;
    live_ = 0;
    random_draws chance;
    for (std::uint32_t i = 0; i < size; ++i) entries[i].order = i;
    for (std::uint32_t i = 0; i < size; ++i) {
      if (!plan_.biased && i + 1 < size) std::swap(entries[i].order, entries[i + chance.below(size - i)].order);
      const std::uint32_t index = entries[i].order;
      select_entry& entry = entries[index];
      entry.live = false;
      if (entry.event == nullptr) continue;
      if (stamps) entry.stamp = entry.event->stamp();
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
    bool unchanged = true;
    for (const select_entry& entry : plan_.entries)
      unchanged = unchanged && (!entry.live || (entry.stamp != selectable::no_stamp && entry.event->stamp() == entry.stamp));
    return unchanged;
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

  /// The answer when this time, the earliest of all limits, has passed.
  [[nodiscard]] select_outcome at(time_point until) const noexcept {
    if (until == plan_.timeout) return {plan_.timeout_index, status::ok};
    if (until == plan_.limit) return {select_none, status::timed_out};
    return stopped();
  }

  select_plan& plan_;
  select_outcome outcome_;
  std::size_t live_ = 0;
  std::size_t joined_ = 0;
  bool at_once_ = false;
  bool stop_joined_ = false;
  union {
    wait_node stop_node_;  // made when the context is joined
  };
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
