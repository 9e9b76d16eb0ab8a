// pipeline: a source, stages and a sink, described once and run as often as one likes.
#pragma once

#include <runnel/detail/pipeline_stages.hpp>

#include <stdexcept>

namespace runnel::inline RUNNEL_ABI {

/// How many workers a stage has; 0: as many as there are cores. workers(1) gives the stage a task of its own. They are tasks: a function
/// that waits for what the library does not know (a file, a C library) does so in a blocking_region, or no more wait than there are cores.
struct workers {
  explicit workers(std::size_t n) noexcept : count(n != 0 ? n : detail::cpu_count()) {}
  std::size_t count;
};
/// Lets the workers of a stage answer in the order in which they are ready, not in that of their values.
struct unordered_t {
  explicit unordered_t() = default;
};
inline constexpr unordered_t unordered{};

/// A description of work on a stream of values: a source, any number of stages and a sink, put together with `|`.
///
/// `from(source) | stage | ... | sink`; run() does the work. Stages: map, filter, flat_map, take, tap, batch, buffer, through. Sinks:
/// for_each, collect, reduce. Their functions take a T&& (filter and tap: a const T&), or a const context& and that; they may be
/// coroutines. Stages without workers are fused: one task runs neighbours, and there is no channel between them. A stage with workers, a
/// buffer, a batch with a time limit and through() have a channel in front of them; its capacity, 64 or what buffer() says, bounds what
/// waits. Values keep their order, but for `unordered` ones. A pipeline without such a stage is run by whoever calls run().
/// Use this for values that pass through several stages; parallel_map for one stage between channels of your own; an errgroup and
/// channels where the flow is no line. It keeps its functions, and a range that is an rvalue; an lvalue must outlive it.
/// Thread safety: run() at the same time as others, if the functions are, and the source can be gone through again. What functions keep
/// is shared by all runs, and by the workers of a stage.
/// Example: examples/pipeline.cpp
template <class Source, class... Stages>
class pipeline {
  using outputs = detail::output_of_stages<typename Source::value_type, Stages...>;
  using value_type = typename outputs::type;
  static constexpr bool has_sink = detail::ends_with_sink<Stages...>;

 public:
  /// What run() returns: nothing for for_each, the container of collect, the value of reduce.
  using result_type = std::conditional_t<std::same_as<value_type, detail::nothing>, void, value_type>;

  explicit pipeline(Source source, std::tuple<Stages...> stages) : source_(std::move(source)), stages_(std::move(stages)) {}

  /// Runs it. Blocks: until all of its tasks have ended.
  ///
  /// Effects: starts at the beginning of the source; where a source that can be gone through only once (a channel, a generator, an input
  /// range) was left. A failure of any stage cancels the others. take() ends what stands before it, without a failure; right behind
  /// the source it reads no more than it passes on.
  /// Returns: the sink's result. Throws: the first failure; context_error if the context was done before the last of the work, whether
  /// that looked at it or not: what returns is whole, there is no partial result. Cost: an allocation for each task and each channel;
  /// none if all is fused.
  result_type run(const context& ctx = {}) const {
    auto result = new_result();
    if constexpr (channels == 0) {
      auto chain = bind_all<0>(source_.bind(), result);
      if constexpr (decltype(chain)::waits) {
        sync_wait(detail::chain_run<decltype(chain)>::run(chain, ctx));
      } else {
        detail::step_state s(ctx);
        chain.next(s);
        ctx.throw_if_done();  // as chain_run
      }
    } else {
      errgroup group(ctx);
      assembly parts(group, stages_, result);
      parts.template add<0, channels>(source_.bind());
      group.wait();
    }
    return answer(std::move(result));
  }
  /// The same for coroutines: `co_await p.async_run(ctx)`. A pipeline that is an lvalue must outlive it, and so must a scoped_context: a
  /// temporary one, `co_await p.async_run(with_timeout(ctx, 1s))`, does so if it is awaited where it is made.
  [[nodiscard]] task<result_type> async_run(const context& ctx = {}) const& { return run_here(*this, ctx); }
  [[nodiscard]] task<result_type> async_run(const context& ctx = {}) && { return run_moved(std::move(*this), ctx); }

  template <class... More>
  friend auto operator|(pipeline p, detail::stage_list<More...> more) {
    static_assert(!has_sink, "runnel: nothing can come after the sink of a pipeline");
    return pipeline<Source, Stages..., More...>(std::move(p.source_), std::tuple_cat(std::move(p.stages_), std::move(more.stages)));
  }

 private:
  static constexpr std::size_t channels = detail::channels_of<Stages...>;
  using assembly = detail::assembly<std::tuple<Stages...>, value_type, channels>;

  [[nodiscard]] value_type new_result() const {
    static_assert(has_sink, "runnel: a pipeline needs a sink at its end: for_each, collect or reduce");
    return std::get<sizeof...(Stages) - 1>(stages_).template result<typename outputs::input>();
  }
  static result_type answer(value_type&& result) {
    if constexpr (!std::is_void_v<result_type>) return std::move(result);
  }
  /// The steps of all stages, if they make one chain.
  template <std::size_t First, class Chain>
  auto bind_all(Chain chain, value_type& result) const {
    auto& stage = std::get<First>(stages_);
    if constexpr (First + 1 == sizeof...(Stages))
      return stage.bind(std::move(chain), result);
    else
      return bind_all<First + 1>(stage.bind(std::move(chain)), result);
  }

  static task<result_type> run_here(const pipeline& self, context ctx) {
    auto result = self.new_result();
    if constexpr (channels == 0) {
      auto chain = self.template bind_all<0>(self.source_.bind(), result);
      co_await detail::chain_run<decltype(chain)>::run(chain, ctx);
    } else {
      errgroup group(ctx);
      assembly parts(group, self.stages_, result);
      parts.template add<0, channels>(self.source_.bind());
      co_await group.async_wait();
    }
    if constexpr (std::is_void_v<result_type>)
      co_return;
    else
      co_return std::move(result);
  }
  static task<result_type> run_moved(pipeline self, context ctx) { co_return co_await run_here(self, std::move(ctx)); }

  // A run changes neither, but for what the functions keep, and the place in a source that can be gone through only once.
  mutable Source source_;
  mutable std::tuple<Stages...> stages_;
};

namespace detail {

struct from_function {
  /// A pipeline's source: a range, the end of a channel that receives, or a function that answers a std::optional, or a coroutine that
  /// does: an empty one ends it.
  template <class S>
  [[nodiscard]] auto operator()(S&& source) const {
    using kept = std::remove_cvref_t<S>;
    if constexpr (receiving_end<S>) {
      using source_type = channel_source<typename kept::value_type>;
      return pipeline<source_type>(source_type(std::forward<S>(source)), {});
    } else if constexpr (std::ranges::input_range<S>) {
      if constexpr (std::is_lvalue_reference_v<S> && !std::ranges::view<kept>) {
        using source_type = range_source<std::remove_reference_t<S>*>;
        return pipeline<source_type>(source_type(std::in_place, std::addressof(source)), {});
      } else {
        using source_type = range_source<kept>;
        return pipeline<source_type>(source_type(std::in_place, std::forward<S>(source)), {});
      }
    } else {
      static_assert(generator_function<kept>,
                    "runnel::from: neither a range, nor a channel, nor a function that answers a std::optional");
      using source_type = generator_source<kept>;
      return pipeline<source_type>(source_type(std::in_place, std::forward<S>(source)), {});
    }
  }
};
struct map_function {
  template <class F>
  [[nodiscard]] auto operator()(F&& f) const {
    return detail::list_of(map_stage<std::decay_t<F>>{std::forward<F>(f)});
  }
  template <class F>
  [[nodiscard]] auto operator()(F&& f, unordered_t /*order*/) const {
    return (*this)(std::forward<F>(f));  // one worker has one order
  }
  template <class F>
  [[nodiscard]] auto operator()(F&& f, workers n) const {
    return detail::list_of(parallel_map_stage<std::decay_t<F>>{std::forward<F>(f), n.count, true});
  }
  template <class F>
  [[nodiscard]] auto operator()(F&& f, workers n, unordered_t /*order*/) const {
    return detail::list_of(parallel_map_stage<std::decay_t<F>>{std::forward<F>(f), n.count, false});
  }
};
struct filter_function {
  template <class F>
  [[nodiscard]] auto operator()(F&& keeps) const {
    return detail::list_of(look_stage<std::decay_t<F>, true>{std::forward<F>(keeps)});
  }
};
struct tap_function {
  template <class F>
  [[nodiscard]] auto operator()(F&& f) const {
    return detail::list_of(look_stage<std::decay_t<F>, false>{std::forward<F>(f)});
  }
};
struct flat_map_function {
  template <class F>
  [[nodiscard]] auto operator()(F&& f) const {
    return detail::list_of(flat_map_stage<std::decay_t<F>>{std::forward<F>(f)});
  }
};
struct take_function {
  [[nodiscard]] auto operator()(std::size_t count) const { return detail::list_of(take_stage{count}); }
};
struct batch_function {
  [[nodiscard]] auto operator()(std::size_t count) const {
    return detail::list_of(batch_stage<stage_kind::step>{checked(count), duration::max()});
  }
  template <class Rep, class Period>
  [[nodiscard]] auto operator()(std::size_t count, std::chrono::duration<Rep, Period> longest) const {
    return detail::list_of(batch_stage<stage_kind::step_below_channel>{checked(count), detail::saturate(longest)});
  }

 private:
  static std::size_t checked(std::size_t count) {
    if (count == 0) throw std::invalid_argument("runnel::batch: batches of no values");
    return count;
  }
};
struct buffer_function {
  [[nodiscard]] auto operator()(std::size_t capacity) const { return detail::list_of(buffer_stage{capacity}); }
};
struct through_function {
  template <class F>
  [[nodiscard]] auto operator()(F&& stage) const {
    return detail::list_of(through_stage<std::decay_t<F>>{std::forward<F>(stage)});
  }
};
struct for_each_function {
  template <class F>
  [[nodiscard]] auto operator()(F&& f) const {
    return detail::list_of(each_sink<std::decay_t<F>>{std::forward<F>(f)});
  }
  template <class F>
  [[nodiscard]] auto operator()(F&& f, workers n) const {
    return detail::list_of(parallel_each_sink<std::decay_t<F>>{{std::forward<F>(f)}, n.count});
  }
};
struct reduce_function {
  template <class Value, class F>
  [[nodiscard]] auto operator()(Value&& init, F&& f) const {
    return detail::list_of(reduce_sink<std::decay_t<Value>, std::decay_t<F>>{std::forward<Value>(init), std::forward<F>(f)});
  }
};

}  // namespace detail

/// The source of a pipeline: `from(range)`, `from(channel)`, or `from(f)`, where f() answers a std::optional, empty at the end.
///
/// Values are copied out of a range, moved where they cannot be copied, and received from a channel, one at a time as they are asked for.
/// Those of a map are pair<K, V>: a coroutine that takes a reference takes it to that, as what it was converted to is gone when it runs.
/// A function that waits takes the context, f(const context&), and returns when that is done: else a failure further down waits for it.
/// To end a run with all that was read, end its source; a context that ends cuts it short.
inline constexpr detail::from_function from{};

/// `map(f)`: f(value) in place of each value. `map(f, workers(n))`: n at a time, answers in the order of their values; with `unordered`
/// too, as they come. At most 4 * 64 + n values are at such a stage, with a buffer(b) before it 3 * 64 + b + n.
inline constexpr detail::map_function map{};
/// `filter(keeps)`: the values for which keeps(value) is true.
inline constexpr detail::filter_function filter{};
/// `flat_map(f)`: all values of the range f(value), in place of each value.
inline constexpr detail::flat_map_function flat_map{};
/// `tap(f)`: calls f(value), and passes the value on.
inline constexpr detail::tap_function tap{};
/// `take(n)`: the first n values; then it ends what stands before it.
inline constexpr detail::take_function take{};
/// `batch(n)`: std::vectors of n values, at the end of fewer. `batch(n, duration)`: of fewer also when the first of them has been there for
/// so long. Throws: std::invalid_argument for n = 0.
inline constexpr detail::batch_function batch{};
/// `buffer(n)`: what stands before it runs ahead, in a task of its own, by up to n values more than are asked for.
/// run() throws std::length_error for an n without meaning, as from a negative number.
inline constexpr detail::buffer_function buffer{};
/// `through(stage)`: a stage of your own: stage(errgroup&, recv_channel<T>) starts tasks of the group and answers a recv_channel, as the
/// functions of fan.hpp do.
inline constexpr detail::through_function through{};

/// `for_each(f)`: calls f(value) with each; an error that it answers is a failure, as of a task. `for_each(f, workers(n))`: n at a time.
inline constexpr detail::for_each_function for_each{};
/// `reduce(init, f)`: init = f(init, value) for each value; answers the last.
inline constexpr detail::reduce_function reduce{};
/// `collect<std::vector>()`: a container of all values; of pairs, also a map. `collect<C>()`: a C of all values.
template <template <class...> class Container>
[[nodiscard]] auto collect() {
  return detail::list_of(detail::collect_sink<detail::into_template<Container>>{});
}
template <class Container>
[[nodiscard]] auto collect() {
  return detail::list_of(detail::collect_sink<detail::into_type<Container>>{});
}

}  // namespace runnel::inline RUNNEL_ABI
