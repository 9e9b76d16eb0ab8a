// What the channel scenarios share: a value that knows whether it lives, a tally of what went in and came out, and the calls.
#pragma once

#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/select.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "../engine/scenario.hpp"

namespace model {

namespace rn = runnel;
using std::chrono::milliseconds;

/// Made before the first execution: what the product allocates once and for all is none of an execution's.
inline const std::error_category& made_at_start = rn::detail::category();

/// A number that several parts count up, and that orders nothing between them.
class shared_count {
 public:
  int operator++() noexcept { return *this += 1; }
  int operator--() noexcept { return *this += -1; }
  int operator+=(int n) noexcept {
    has_written(past_);
    return n_.fetch_add(n, std::memory_order_relaxed) + n;
  }
  operator int() const noexcept {  // NOLINT(google-explicit-constructor): it is one
    has_read(past_);
    return n_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<int> n_{0};
  mutable past past_;
};

/// A move-only value. Moving from one that is not there, or destroying it twice, fails; so does one that is left at the end.
class counted {
 public:
  explicit counted(int value) noexcept : value_(value), mark_(full) {
    written(this);
    live.fetch_add(1, std::memory_order_relaxed);
  }
  counted(counted&& other) noexcept : value_(0), mark_(being_made) {
    other.expect(full);
    if (moves_are_steps) point(&other, "move", place::current());
    other.expect(full);
    expect(being_made);
    written(this);
    written(&other);
    value_ = other.value_;
    mark_ = full;
    other.mark_ = moved_from;
    live.fetch_add(1, std::memory_order_relaxed);
  }
  counted& operator=(counted&& other) noexcept {
    other.expect(full);
    written(this);
    written(&other);
    value_ = other.value_;
    mark_ = full;
    other.mark_ = moved_from;
    return *this;
  }
  ~counted() {
    written(this);
    if (mark_ != full && mark_ != moved_from) fail("a value is destroyed where none lives");
    *const_cast<volatile std::uint32_t*>(&mark_) = dead;
    live.fetch_sub(1, std::memory_order_relaxed);
  }
  [[nodiscard]] int value() const noexcept {
    expect(full);
    return value_;
  }
  [[nodiscard]] bool has_value() const noexcept { return mark_ == full; }

  inline static std::atomic<int> live{0};
  /// Whether another thread may run in the middle of a move: what the claim of a slot must keep out.
  inline static bool moves_are_steps = false;

 private:
  /// For the weak-memory lane, which looks for races on values itself.
  static void written([[maybe_unused]] const void* where) noexcept {
#if defined(RUNNEL_MODEL_WEAK)
    weak::data_written(where);
#endif
  }

  static constexpr std::uint32_t full = 0xF011F011U;
  static constexpr std::uint32_t moved_from = 0x0F0F0F0FU;
  static constexpr std::uint32_t being_made = 0xB01DB01DU;
  void expect(std::uint32_t mark) const noexcept {
    if (mark_ != mark) fail("a value is read, moved or made where it may not be");
  }

  int value_;
  std::uint32_t mark_;
};

/// What the parts of one execution did to one channel. Plain memory: each field has one writer, and is read when all have ended.
struct tally {
  static constexpr std::size_t most = 12;
  struct actor {
    std::array<int, most> values{};
    std::size_t count = 0;
    rn::status last = rn::status::ok;
    void add(int value) {
      require(count < most, "a tally is too small");
      values[count++] = value;
    }
  };
  std::array<actor, 4> sent;      // by sender: what was accepted, in order
  std::array<actor, 4> received;  // by receiver
  std::array<int, most> left{};   // what was still in the channel
  std::size_t left_count = 0;

  [[nodiscard]] std::size_t sent_count() const { return total(sent); }
  [[nodiscard]] std::size_t received_count() const { return total(received); }

  /// Invariants 4 and 13: what was accepted came out once, and each receiver saw one sender's values in their order.
  /// `dropped`: values may be lost with the last receiver, none may be duplicated.
  void check(bool dropped = false) const {
    std::array<int, 4 * most> in{};
    std::array<int, 5 * most> out{};
    std::size_t in_count = 0;
    std::size_t out_count = 0;
    for (const actor& a : sent) in_count = append(a, in.data(), in_count);
    for (const actor& a : received) out_count = append(a, out.data(), out_count);
    for (std::size_t i = 0; i < left_count; ++i) out[out_count++] = left[i];
    std::sort(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(in_count));
    std::sort(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(out_count));
    require(std::adjacent_find(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(out_count)) ==
                out.begin() + static_cast<std::ptrdiff_t>(out_count),
            "a value came out twice");
    require(std::includes(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(in_count), out.begin(),
                          out.begin() + static_cast<std::ptrdiff_t>(out_count)),
            "a value came out that was not accepted");
    require(dropped || in_count == out_count, "a value that was accepted did not come out");
    for (const actor& r : received)
      for (const actor& s : sent) {
        const int* from = s.values.data();
        const int* const end = from + s.count;
        for (std::size_t i = 0; i < r.count; ++i) {
          const int* const at = std::find(s.values.data(), end, r.values[i]);
          if (at == end) continue;
          require(at >= from, "one sender's values came out of order");
          from = at;
        }
      }
  }

 private:
  static std::size_t total(const std::array<actor, 4>& actors) {
    std::size_t n = 0;
    for (const actor& a : actors) n += a.count;
    return n;
  }
  static std::size_t append(const actor& a, int* to, std::size_t at) {
    for (std::size_t i = 0; i < a.count; ++i) to[at++] = a.values[i];
    return at;
  }
};

inline constexpr std::size_t no_bound = static_cast<std::size_t>(-1);

inline rn::channel<counted> make(std::size_t capacity) {
  return capacity == no_bound ? rn::channel<counted>(rn::unbounded) : rn::channel<counted>(capacity);
}
inline std::string capacity_name(std::size_t capacity) {
  return capacity == no_bound ? std::string("unbounded") : "capacity " + std::to_string(capacity);
}
/// Without the invariants that no channel of this capacity can violate: those of the store, and of a ring's stamps.
inline std::vector<int> about(std::size_t capacity, std::vector<int> invariants) {
  std::erase_if(invariants, [&](int i) { return (capacity == 0 && i <= 3) || (capacity == no_bound && i == 3); });
  return invariants;
}

// The calls. Each notes what it did.

template <class Channel>
rn::status send(const Channel& ch, int value, tally::actor& a) {
  a.last = rn::status::ok;
  counted v(value);
  try {
    ch.send(std::move(v));
    a.add(value);
  } catch (const rn::channel_closed&) {
    require(v.has_value(), "a send that failed has moved its value");
    a.last = rn::status::closed;
  }
  return a.last;
}
template <class Result>
rn::status note_sent(const Result& r, const counted& v, int value, tally::actor& a) {
  if (r)
    a.add(value);
  else
    require(v.has_value(), "a send that failed has moved its value");
  return a.last = r.status();
}
template <class Channel>
rn::status try_send(const Channel& ch, int value, tally::actor& a) {
  counted v(value);
  return note_sent(ch.try_send(std::move(v)), v, value, a);
}
template <class Channel>
rn::status send_for(const Channel& ch, milliseconds limit, int value, tally::actor& a) {
  counted v(value);
  return note_sent(ch.try_send_for(limit, std::move(v)), v, value, a);
}
template <class Channel>
rn::status send_until_done(const rn::context& ctx, const Channel& ch, int value, tally::actor& a) {
  counted v(value);
  return note_sent(ch.send(ctx, std::move(v)), v, value, a);
}
template <class Result>
rn::status note_received(const Result& r, tally::actor& a) {
  if (r) a.add((*r).value());
  return a.last = r.status();
}
template <class Channel>
rn::status recv(const Channel& ch, tally::actor& a) {
  return note_received(ch.recv(), a);
}
template <class Channel>
rn::status try_recv(const Channel& ch, tally::actor& a) {
  return note_received(ch.try_recv(), a);
}
template <class Channel>
rn::status recv_for(const Channel& ch, milliseconds limit, tally::actor& a) {
  return note_received(ch.try_recv_for(limit), a);
}
template <class Channel>
rn::status recv_until_done(const rn::context& ctx, const Channel& ch, tally::actor& a) {
  return note_received(ch.recv(ctx), a);
}

/// Takes what is left in a channel into the tally.
template <class Channel>
void drain(const Channel& ch, tally& t) {
  while (auto r = ch.try_recv()) {
    require(t.left_count < tally::most, "a tally is too small");
    t.left[t.left_count++] = (*r).value();
  }
}

/// A scenario whose values are all counted: none may be left when the body has ended.
template <class Body>
std::function<void()> counting(Body body, bool moves_are_steps = false) {
  return [body, moves_are_steps] {
    counted::live.store(0, std::memory_order_relaxed);
    counted::moves_are_steps = moves_are_steps;
    body();
    require(counted::live.load(std::memory_order_relaxed) == 0, "values are left over, or were destroyed twice");
  };
}

}  // namespace model
