// Who decides: depth-first through all schedules up to a bound, at random, by random priorities (PCT), or a replay.
//
// A choice is a number below `count`; the first `free` alternatives cost nothing, the others one of the budget each (a
// preemption, a timer that fires while others could run, a wake for no reason). Alternative 0 is to go on as before.
// What an execution's choices mean depends on the scenario alone, not on who makes them: any of them can be replayed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "states.hpp"

namespace model {

/// One alternative of a choice, as the strategies by priority see it.
struct alternative {
  std::uint8_t thread = 0;
  bool timer = false;
};

class strategy {
 public:
  enum class kind : std::uint8_t { depth_first, uniform, priorities, replay };

  /// All schedules with at most `bound` preemptions; `pruned`: but for those whose dependent steps are ordered like another's.
  static strategy depth_first(unsigned bound, bool pruned);
  static strategy uniform(std::uint64_t seed);
  /// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatti 2010) with this many changes of priority.
  static strategy priorities(std::uint64_t seed, unsigned changes);
  static strategy replay(std::string_view decisions);

  /// Before an execution.
  void begin();
  /// After it. False: there is no other.
  bool next();

  /// `others` names the alternatives' threads, or is null for a choice among numbers.
  std::uint32_t choose(std::uint32_t count, std::uint32_t free, const alternative* others);

  /// Whether the next choice depends on what state it is made in: if so, enters() comes before it.
  [[nodiscard]] bool asks_for_states() const noexcept { return prunes_ && !is_pruned_ && depth_ >= given_; }
  void enters(std::uint64_t state);
  /// Nothing of what follows is new: no choice is left.
  [[nodiscard]] bool is_pruned() const noexcept { return is_pruned_; }
  [[nodiscard]] std::size_t states() const noexcept { return known_.size(); }

  /// The choices that were made: "12a3b" is twelve times 0, then 1 (a), three times 0, then 2 (b), then 0 for ever.
  [[nodiscard]] std::string decisions() const;
  [[nodiscard]] std::uint32_t length() const noexcept { return depth_; }

 private:
  struct decision {
    std::uint8_t chosen = 0;
    std::uint8_t allowed = 0;  // depth-first: alternatives from here on are beyond the bound
    std::uint8_t count = 0;
  };
  static constexpr std::size_t most_decisions = 1U << 14U;

  explicit strategy(kind how) : kind_(how), made_(most_decisions) {}
  std::uint64_t random() noexcept;
  std::uint32_t by_priority(std::uint32_t count, const alternative* others);

  kind kind_;
  std::uint32_t bound_ = 0;
  std::uint32_t budget_ = 0;
  std::uint32_t depth_ = 0;
  std::uint32_t given_ = 0;  // how many choices are fixed in advance
  bool prunes_ = false;
  bool is_pruned_ = false;
  known_states known_;
  std::vector<decision> made_;

  std::uint64_t random_state_ = 0;
  std::uint32_t changes_ = 0;
  std::uint32_t longest_ = 64;
  std::vector<std::uint32_t> change_at_;
  std::vector<std::uint32_t> priority_;
};

}  // namespace model
