// One run of a pipeline: its steps in chains, each chain a task, and channels between them: a pipe where one task takes from one.
//
// 1. A chain ends above a stage that needs a channel in front of it: one of several workers, a buffer, a stage of the user's, a batch with
//    a time limit. Without such a stage there is one chain, and whoever runs the pipeline runs it.
// 2. The tasks are those of one group: a failure cancels them all, and comes out of the group.
// 3. A chain that ends early, as with take, ends those above it by the end of its stream_step: their channel has no receiver then, and
//    their context is canceled. That context is below the chain's own, so that it reaches whoever waits for the user further up.
#pragma once

#include <runnel/detail/pipeline_steps.hpp>
#include <runnel/detail/type_name.hpp>
#include <runnel/errgroup.hpp>

#include <array>
#include <stdexcept>
#include <string>
#include <tuple>

namespace runnel::inline RUNNEL_ABI::detail {

/// The capacity of the channels between two tasks where no buffer() says another.
inline constexpr std::size_t between_tasks = 64;

/// What a stage becomes in a run: a step of the chain, which may need a channel above it, or be nothing else; a stream, which other tasks
/// fill; or the end.
enum class stage_kind : std::uint8_t { step, step_below_channel, buffer, stream, sink, parallel_sink };
constexpr bool needs_channel(stage_kind kind) noexcept { return kind != stage_kind::step && kind != stage_kind::sink; }
constexpr bool ends_pipeline(stage_kind kind) noexcept { return kind == stage_kind::sink || kind == stage_kind::parallel_sink; }

/// Runs a chain to its end: its values go to an output; one that ends in a sink has none. A wait allocates nothing.
template <class Chain, class Output = nothing>
class chain_run {
  static constexpr bool has_values =
      !std::same_as<decltype(std::declval<Chain&>().next(std::declval<step_state&>())), std::nullopt_t>;
  static constexpr bool has_channel = std::remove_cvref_t<decltype(std::declval<Chain&>().source())>::is_channel;

 public:
  /// Throws: context_error if it ends in a sink, and the context was done before. What a function has made of that nobody knows: it may
  /// have answered less, or none as at the end of its values. An errgroup judges its tasks by the same rule.
  static task<> run(Chain& chain, const context& ctx, [[maybe_unused]] Output* to = nullptr) {
    step_state s(ctx);
    for (;;) {
      if constexpr (has_values) {
        std::optional<typename Chain::value_type> kept;
        status sent = pass(chain, s, *to, kept);
        if (sent == status::would_block) {
          const auto waited = co_await to->wait(*kept);
          sent = to->accept(waited);
          if (sent == status::ok) continue;
        }
        if (sent != status::ok) co_return;  // nobody wants more
      } else {
        pass(chain, s);
      }
      if (s.why == pause::call) {
        co_await std::move(*s.awaits);
      } else if (s.why == pause::ended) {
        break;
      } else if constexpr (has_channel) {
        auto& source = chain.source();
        if (s.due == never) {
          source.accept(co_await source.wait(ctx));
        } else {
          const scoped_context until = with_deadline(ctx, std::exchange(s.due, never));
          source.accept(co_await source.wait(until));
        }
      }
    }
    if constexpr (!has_values) ctx.throw_if_done();
  }

 private:
  // These two are no parts of the coroutine, whose variables are all in memory.

  /// Passes values on. Returns: ok, if the chain has none now; else how sending one has ended, which is then `kept`.
  RUNNEL_NOINLINE static status pass(Chain& chain, step_state& s, Output& to, std::optional<typename Chain::value_type>& kept) {
    for (;;) {
      auto value = chain.next(s);
      if (!value) return status::ok;
      const status sent = to.put(*value);
      if (sent == status::ok) [[likely]]
        continue;
      kept.emplace(*std::move(value));
      return sent;
    }
  }
  RUNNEL_NOINLINE static void pass(Chain& chain, step_state& s) { chain.next(s); }
};

/// A chain whose values go to an output, as a task.
template <class Chain, class Output>
class segment {
 public:
  segment(Chain&& chain, context ctx, Output to) : chain_(std::move(chain)), ctx_(std::move(ctx)), to_(std::move(to)) {}
  task<> operator()() { return run(*this); }

 private:
  static task<> run(segment& self) {
    try {
      co_await chain_run<Chain, Output>::run(self.chain_, self.ctx_, &self.to_);
    } catch (...) {
      if (!self.ctx_.done() || !is_cancellation(std::current_exception())) throw;  // else it says that it was told to stop
    }
  }

  Chain chain_;
  context ctx_;
  Output to_;
};
/// A chain that ends in a sink, as a task.
template <class Chain>
class sink_segment {
 public:
  sink_segment(Chain&& chain, context ctx) : chain_(std::move(chain)), ctx_(std::move(ctx)) {}
  task<> operator()() { return chain_run<Chain>::run(chain_, ctx_); }

 private:
  Chain chain_;
  context ctx_;
};

/// Whether a chain does nothing but take from what is above it.
template <class Chain>
inline constexpr bool is_stream = false;
template <class T, class Input>
inline constexpr bool is_stream<stream_step<T, Input>> = true;

/// Puts the chains of a run together, from the source on, and starts their tasks. It lives until they have ended.
template <class Stages, class Result, std::size_t Channels>
class assembly {
 public:
  assembly(errgroup& group, Stages& stages, Result& result) : group_(group), stages_(stages), result_(result), ctx_(group.ctx()) {
    for (std::size_t i = 0; i < Channels; ++i) above_[i].emplace(with_cancel(i == 0 ? ctx_ : *above_[i - 1]));
  }
  assembly(const assembly&) = delete;
  assembly& operator=(const assembly&) = delete;
  ~assembly() = default;

  /// Adds the stages from the number First on to a chain below which there will be so many channels.
  template <std::size_t First, std::size_t Below, class Chain>
  void add(Chain chain) {
    auto& stage = std::get<First>(stages_);
    constexpr stage_kind kind = std::remove_cvref_t<decltype(stage)>::kind;
    if constexpr (kind == stage_kind::step) {
      add<First + 1, Below>(stage.bind(std::move(chain)));
    } else if constexpr (kind == stage_kind::sink) {
      static_assert(Below == 0);
      group_.go(sink_segment(stage.bind(std::move(chain), result_), ctx_));
    } else if constexpr (kind == stage_kind::step_below_channel && is_stream<Chain>) {
      add<First + 1, Below - 1>(stage.bind(std::move(chain)));
    } else if constexpr (has_pipe<First>()) {
      using T = typename Chain::value_type;
      pipe_ends<T> ends(slots_for<T>(stage.capacity()));
      auto upstream = start<Below>(std::move(chain), pipe_output<T>(std::move(ends.send)));
      add<First + 1, Below - 1>(
          stage.bind(stream_step<T, pipe_input<T>>(pipe_input<T>(std::move(ends.recv)), std::move(upstream))));
    } else {
      constexpr bool is_buffer = kind == stage_kind::buffer;
      auto [values, upstream] = channel_below<is_buffer, Below>(std::move(chain), stage.capacity());
      using T = typename Chain::value_type;
      if constexpr (is_buffer) {
        add<First + 1, Below - 1>(stage.bind(input_of<T>(channel_input<T>(std::move(values)), std::move(upstream))));
      } else if constexpr (kind == stage_kind::stream) {
        auto answers = stage.start(group_, std::move(values), ctx_);
        using answer = typename decltype(answers)::value_type;
        add<First + 1, Below - 1>(input_of<answer>(channel_input<answer>(std::move(answers)), std::move(upstream)));
      } else {
        static_assert(Below == 1);
        upstream_ = std::move(upstream);  // canceled when all workers have ended
        for (std::size_t i = 0; i < stage.count(); ++i)
          group_.go(sink_segment(stage.bind(input_of<T>(channel_input<T>(values, 1), std::nullopt), result_), ctx_));
      }
    }
  }

 private:
  template <class T>
  using input_of = stream_step<T, channel_input<T>>;

  /// Whether the stage, which needs a channel above it, takes from it alone, and no workers after it take over that channel.
  template <std::size_t Index>
  static constexpr bool has_pipe() {
    constexpr stage_kind kind = kind_of<Index>;
    if constexpr (kind == stage_kind::buffer)
      return kind_of<Index + 1> != stage_kind::stream && kind_of<Index + 1> != stage_kind::parallel_sink;
    else
      return kind == stage_kind::step_below_channel;
  }
  template <std::size_t Index>
  static constexpr stage_kind kind_of = std::remove_cvref_t<std::tuple_element_t<Index, Stages>>::kind;

  /// One of them is that which a sender waits with. Throws: std::length_error for what no channel<T> could have either.
  template <class T>
  static std::size_t slots_for(std::size_t capacity) {
    if (capacity > ring<T>::max_capacity())
      throw std::length_error("runnel: buffer of " + std::string(type_name<T>()) + ": a capacity of " + std::to_string(capacity) +
                              " (negative before it was converted?)");
    return capacity + 1;
  }
  template <class T>
  struct stream {
    recv_channel<T> values;
    std::optional<scoped_context> upstream;
  };
  /// Starts a chain as a task, with a channel below it; of one that only passes a channel on, it takes that, unless it is to be `Another`.
  template <bool Another, std::size_t Below, class Chain>
  stream<typename Chain::value_type> channel_below(Chain chain, std::size_t capacity) {
    if constexpr (is_stream<Chain> && !Another) {
      return {chain.take_values().release(), chain.take_upstream()};
    } else {
      using T = typename Chain::value_type;
      auto ends = make_channel<T>(capacity);
      auto upstream = start<Below>(std::move(chain), channel_output<T>(std::move(ends.send)));
      return {std::move(ends.recv), std::move(upstream)};
    }
  }
  /// Starts a chain as a task. Returns: what stops it.
  template <std::size_t Below, class Chain, class Output>
  std::optional<scoped_context> start(Chain chain, Output to) {
    group_.go(segment<Chain, Output>(std::move(chain), *above_[Below - 1], std::move(to)));
    return std::exchange(above_[Below - 1], std::nullopt);
  }

  errgroup& group_;
  Stages& stages_;
  Result& result_;
  const context ctx_;                                          // of the chain with the sink
  std::array<std::optional<scoped_context>, Channels> above_;  // of the chain above the channel of each number, from the sink
  std::optional<scoped_context> upstream_;                     // of workers
};

}  // namespace runnel::inline RUNNEL_ABI::detail
