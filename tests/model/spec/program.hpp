// Small programs over one or two channels and one context: what the specification is compared with.
//
// A program has a text, which is the name of its scenario: `1+1/0: send a, close a | recv a | select recv a send b`. In front
// stand the channels: capacity (u: unbounded) and, after +, how many values are in it at the start. Each part is a thread; with a ~ in
// front of it, a coroutine at a place of its own.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace model {

enum class verb : std::uint8_t {
  send,
  try_send,
  send_for,
  send_ctx,
  recv,
  try_recv,
  recv_for,
  recv_ctx,
  close,
  cancel,
  drop_send,
  drop_recv,
  size,
  select,
  try_select,
  select_for,
  select_ctx
};

inline constexpr std::size_t most_channels = 2;
inline constexpr std::size_t most_parts = 4;
inline constexpr std::size_t most_operations = 16;  // of a whole program, with what is asked at its end
inline constexpr std::size_t unbounded_capacity = 0xFFFF;

/// One case of a select.
struct select_case_text {
  bool sends = false;
  std::uint8_t channel = 0;
};

struct operation {
  verb what = verb::send;
  std::uint8_t channel = 0;
  std::array<select_case_text, 2> cases{};  // of a select
};

struct program {
  struct channel_text {
    std::size_t capacity = 0;
    std::size_t filled = 0;
  };
  struct part_text {
    std::vector<operation> operations;
    bool is_coroutine = false;
  };
  std::vector<channel_text> channels;
  std::vector<part_text> parts;

  [[nodiscard]] std::string text() const;
  /// Throws: std::invalid_argument.
  static program parse(std::string_view text);

  [[nodiscard]] std::size_t operation_count() const;
  /// Whether this channel's handles of a kind are dropped by the parts; then nobody else has one.
  [[nodiscard]] bool drops(verb how, std::size_t channel) const;
  [[nodiscard]] bool uses_context() const;
};

inline bool is_select(verb v) noexcept { return v >= verb::select; }
inline bool is_send(verb v) noexcept { return v <= verb::send_ctx; }
inline bool is_recv(verb v) noexcept { return v >= verb::recv && v <= verb::recv_ctx; }
/// What it answers if it waits in vain: never, at once, at a time, or when the context is done.
inline bool never_waits(verb v) noexcept { return v == verb::try_send || v == verb::try_recv || v == verb::try_select; }
inline bool can_wait(verb v) noexcept { return (is_send(v) || is_recv(v) || is_select(v)) && !never_waits(v); }
inline bool is_timed(verb v) noexcept { return v == verb::send_for || v == verb::recv_for || v == verb::select_for; }
inline bool has_context(verb v) noexcept { return v == verb::send_ctx || v == verb::recv_ctx || v == verb::select_ctx; }

/// The program with this number of this seed: up to three parts of up to three operations, one in three of them a coroutine.
program generate(std::uint64_t seed, std::uint64_t number);
/// The program with coroutines for threads: all parts that can wait, or each set of them.
std::vector<program> with_coroutines(const program& p, bool each_set);
/// The programs that have one operation, or one part, or one coroutine less.
std::vector<program> smaller(const program& p);

}  // namespace model
