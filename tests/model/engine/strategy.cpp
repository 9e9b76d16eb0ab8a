#include "strategy.hpp"

#include <algorithm>
#include <charconv>

#include "engine.hpp"

namespace model {

strategy strategy::depth_first(unsigned bound, bool pruned) {
  strategy s(kind::depth_first);
  s.bound_ = bound;
  s.prunes_ = pruned;
  return s;
}
strategy strategy::uniform(std::uint64_t seed) {
  strategy s(kind::uniform);
  s.random_state_ = seed;
  return s;
}
strategy strategy::priorities(std::uint64_t seed, unsigned changes) {
  strategy s(kind::priorities);
  s.random_state_ = seed;
  s.changes_ = changes;
  return s;
}
strategy strategy::replay(std::string_view decisions) {
  strategy s(kind::replay);
  const char* at = decisions.data();
  const char* const end = at + decisions.size();
  while (at != end) {
    unsigned zeros = 0;
    at = std::from_chars(at, end, zeros).ptr;
    s.given_ += zeros;
    if (at == end || s.given_ >= most_decisions) break;
    s.made_[s.given_++].chosen = static_cast<std::uint8_t>(*at++ - 'a' + 1);
  }
  return s;
}

void strategy::begin() {
  depth_ = 0;
  budget_ = bound_;
  is_pruned_ = false;
  if (kind_ != kind::priorities) return;
  change_at_.clear();
  for (std::uint32_t i = 0; i < changes_; ++i) change_at_.push_back(static_cast<std::uint32_t>(random() % longest_));
  priority_.clear();
  for (std::uint32_t i = 0; i < 2 * max_threads; ++i) priority_.push_back(static_cast<std::uint32_t>(random() >> 33U) + changes_);
}

bool strategy::next() {
  longest_ = std::max(longest_, depth_);
  if (kind_ == kind::replay) return false;
  if (kind_ != kind::depth_first) return true;
  std::uint32_t k = depth_;
  while (k > 0 && made_[k - 1].chosen + 1 >= made_[k - 1].allowed) --k;
  given_ = k;
  if (k == 0) return false;
  ++made_[k - 1].chosen;
  return true;
}

void strategy::enters(std::uint64_t state) { is_pruned_ = !known_.add(state, budget_); }

std::uint32_t strategy::choose(std::uint32_t count, std::uint32_t free, const alternative* others) {
  const std::uint32_t k = depth_++;
  require(k < most_decisions, "an execution with too many choices");
  std::uint32_t chosen = 0;
  switch (kind_) {
    case kind::depth_first:
      if (k < given_) {
        chosen = made_[k].chosen;
        require(made_[k].count == count, "the scenario is not deterministic: the same choices led to another one");
      } else {
        made_[k].count = static_cast<std::uint8_t>(count);
        made_[k].allowed = static_cast<std::uint8_t>(is_pruned_ ? 1 : budget_ > 0 ? count : free);
      }
      if (chosen >= free) --budget_;
      break;
    case kind::uniform: chosen = static_cast<std::uint32_t>(random() % count); break;
    case kind::priorities:
      chosen = others == nullptr ? static_cast<std::uint32_t>(random() % count) : by_priority(count, others);
      break;
    case kind::replay:
      if (k < given_) chosen = made_[k].chosen;
      require(chosen < count, "this replay does not fit the scenario: there is no such alternative");
      break;
  }
  made_[k].chosen = static_cast<std::uint8_t>(chosen);
  return chosen;
}

std::string strategy::decisions() const {
  std::string text;
  std::uint32_t zeros = 0;
  for (std::uint32_t k = 0; k < depth_; ++k) {
    if (made_[k].chosen == 0) {
      ++zeros;
      continue;
    }
    if (zeros != 0) text += std::to_string(zeros);
    text += static_cast<char>('a' + made_[k].chosen - 1);
    zeros = 0;
  }
  return text.empty() ? "0" : text;
}

std::uint64_t strategy::random() noexcept {
  random_state_ += 0x9E3779B97F4A7C15U;
  std::uint64_t z = random_state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

std::uint32_t strategy::by_priority(std::uint32_t count, const alternative* others) {
  const auto priority_of = [&](std::uint32_t i) -> std::uint32_t& {
    return priority_[others[i].thread + (others[i].timer ? max_threads : 0U)];
  };
  const auto highest = [&] {
    std::uint32_t best = 0;
    for (std::uint32_t i = 1; i < count; ++i)
      if (priority_of(i) > priority_of(best)) best = i;
    return best;
  };
  for (std::uint32_t i = 0; i < changes_; ++i)
    if (change_at_[i] == depth_) priority_of(highest()) = i;
  const std::uint32_t chosen = highest();
  if (others[chosen].timer) priority_of(chosen) = 0;  // before its time once: a thread that sleeps again and again is no livelock
  return chosen;
}

}  // namespace model
