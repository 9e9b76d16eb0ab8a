// The parts of a pipeline's description: what the functions of pipeline.hpp make, and what becomes of it in a run.
#pragma once

#include <runnel/detail/pipeline_run.hpp>
#include <runnel/fan.hpp>

#include <memory>

namespace runnel::inline RUNNEL_ABI::detail {

// Sources

/// Where a range is: in the description, if it can be gone through again and again; shared by its copies, with the place where it stands,
/// if it can be gone through only once; or elsewhere, if it was given as an lvalue.
template <class Range>
class range_source {
  using range = std::remove_pointer_t<Range>;
  struct single_pass {
    template <class R>
    explicit single_pass(R&& r) : values(std::forward<R>(r)) {}
    Range values;
    range_cursor<range> cursor;
  };
  static constexpr bool again = std::ranges::forward_range<range>;

 public:
  using value_type = range_value<range>;

  template <class R>
  explicit range_source(std::in_place_t /*tag*/, R&& values) {
    if constexpr (again)
      values_.emplace(std::forward<R>(values));
    else
      values_ = std::make_shared<single_pass>(std::forward<R>(values));
  }
  [[nodiscard]] auto bind() {
    if constexpr (again)
      return range_step<range>(whole(*values_));
    else
      return single_pass_step<range>(whole(values_->values), values_->cursor);
  }

 private:
  static range& whole(Range& values) noexcept {
    if constexpr (std::is_pointer_v<Range>)
      return *values;
    else
      return values;
  }

  std::conditional_t<again, std::optional<Range>, std::shared_ptr<single_pass>> values_;
};
template <class T>
class channel_source {
 public:
  using value_type = T;

  explicit channel_source(recv_channel<T> from) : from_(std::move(from)) {}
  [[nodiscard]] channel_step<T> bind() const noexcept { return channel_step<T>(from_); }

 private:
  recv_channel<T> from_;
};
template <class F>
class generator_source {
 public:
  using value_type = typename generator_step<F>::value_type;

  template <class G>
  explicit generator_source(std::in_place_t, G&& f) : f_(std::forward<G>(f)) {}
  [[nodiscard]] generator_step<F> bind() noexcept { return generator_step<F>(f_); }

 private:
  F f_;
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class F>
concept generator_function = stage_function<F> && is_optional<value_of_answer_t<stage_answer_t<F>>>;

// Stages. Each says what its values are for values of T, and how it becomes a step.

template <class F, class T>
struct map_answer {
  using answer = stage_answer_t<F, T&&>;
  static_assert(!std::is_void_v<answer>, "runnel::map: the function answers nothing; tap and for_each take such a one");
  using type = value_of_answer_t<answer>;
};
template <class F, class T>
using map_answer_t = typename map_answer<F, T>::type;

template <class F>
struct map_stage {
  static constexpr stage_kind kind = stage_kind::step;
  template <class T>
  static constexpr bool takes = stage_function<F, T&&>;
  template <class T>
  using output = map_answer_t<F, T>;
  template <class Up>
  auto bind(Up up) {
    return map_step<Up, F>(std::move(up), f);
  }
  F f;
};
template <class F, class T>
class worker_function {
 public:
  worker_function(F& f, context ctx) : f_(&f), ctx_(std::move(ctx)) {}
  decltype(auto) operator()(T&& value) const { return detail::call_stage(*f_, ctx_, std::move(value)); }

 private:
  F* f_;
  context ctx_;
};
template <class F>
struct parallel_map_stage {
  static constexpr stage_kind kind = stage_kind::stream;
  template <class T>
  static constexpr bool takes = stage_function<F, T&&>;
  template <class T>
  using output = map_answer_t<F, T>;
  [[nodiscard]] std::size_t capacity() const noexcept { return between_tasks; }
  template <class T>
  auto start(errgroup& group, recv_channel<T> values, const context& ctx) {
    return runnel::parallel_map(group, std::move(values), worker_function<F, T>(f, ctx),
                                parallel_options{.workers = count, .capacity = between_tasks, .ordered = ordered});
  }
  F f;
  std::size_t count;
  bool ordered;
};
template <class F, bool Keeps>
struct look_stage {
  static constexpr stage_kind kind = stage_kind::step;
  template <class T>
  static constexpr bool takes = stage_function<F, const T&>;
  template <class T>
  using output = T;
  template <class Up>
  auto bind(Up up) {
    return look_step<Up, F, Keeps>(std::move(up), f);
  }
  F f;
};
template <class F>
struct flat_map_stage {
  static constexpr stage_kind kind = stage_kind::step;
  template <class T>
  static constexpr bool takes = stage_function<F, T&&>;
  template <class T>
  using output = range_value<value_of_answer_t<stage_answer_t<F, T&&>>>;
  template <class Up>
  auto bind(Up up) {
    return flat_map_step<Up, F>(std::move(up), f);
  }
  F f;
};
struct take_stage {
  static constexpr stage_kind kind = stage_kind::step;
  template <class T>
  static constexpr bool takes = true;
  template <class T>
  using output = T;
  template <class Up>
  auto bind(Up up) const {
    return take_step<Up>(std::move(up), count);
  }
  std::size_t count;
};
template <stage_kind Kind>
struct batch_stage {
  static constexpr stage_kind kind = Kind;
  template <class T>
  static constexpr bool takes = true;
  template <class T>
  using output = std::vector<T>;
  [[nodiscard]] std::size_t capacity() const noexcept { return between_tasks; }
  template <class Up>
  auto bind(Up up) const {
    return batch_step<Up>(std::move(up), count, longest);
  }
  std::size_t count;
  duration longest;
};
struct buffer_stage {
  static constexpr stage_kind kind = stage_kind::buffer;
  template <class T>
  static constexpr bool takes = true;
  template <class T>
  using output = T;
  [[nodiscard]] std::size_t capacity() const noexcept { return size; }
  template <class Up>
  auto bind(Up up) const {
    return up;
  }
  std::size_t size;
};
template <class F>
struct through_stage {
  static constexpr stage_kind kind = stage_kind::stream;
  template <class T>
  static constexpr bool takes = std::invocable<F&, errgroup&, recv_channel<T>>;
  template <class T>
  using output = typename std::invoke_result_t<F&, errgroup&, recv_channel<T>>::value_type;
  [[nodiscard]] std::size_t capacity() const noexcept { return between_tasks; }
  template <class T>
  auto start(errgroup& group, recv_channel<T> values, const context& /*ctx*/) {
    return std::invoke(f, group, std::move(values));
  }
  F f;
};

// Sinks. They also say what a run answers.

template <class F>
struct each_sink {
  static constexpr stage_kind kind = stage_kind::sink;
  template <class T>
  static constexpr bool takes = stage_function<F, T&&>;
  template <class T>
  using output = nothing;
  template <class T>
  [[nodiscard]] nothing result() const noexcept {
    return {};
  }
  template <class Up>
  auto bind(Up up, nothing& /*result*/) {
    return each_step<Up, F>(std::move(up), f);
  }
  F f;
};
template <class F>
struct parallel_each_sink : each_sink<F> {
  static constexpr stage_kind kind = stage_kind::parallel_sink;
  [[nodiscard]] std::size_t capacity() const noexcept { return between_tasks; }
  [[nodiscard]] std::size_t count() const noexcept { return size; }
  std::size_t size;
};
template <class Into>
struct collect_sink {
  static constexpr stage_kind kind = stage_kind::sink;
  template <class T>
  static constexpr bool takes = true;
  template <class T>
  using output = typename Into::template container<T>;
  template <class T>
  [[nodiscard]] output<T> result() const {
    return {};
  }
  template <class Up, class Container>
  auto bind(Up up, Container& result) const {
    return collect_step<Up, Container>(std::move(up), result);
  }
};
template <template <class...> class C>
struct into_template {
  template <class T>
  struct of {
    using type = C<T>;
  };
  template <class K, class V>
    requires(!requires { typename C<std::pair<K, V>>; })
  struct of<std::pair<K, V>> {
    using type = C<std::remove_const_t<K>, V>;
  };
  template <class T>
  using container = typename of<T>::type;
};
template <class C>
struct into_type {
  template <class T>
  using container = C;
};
template <class Value, class F>
struct reduce_sink {
  static constexpr stage_kind kind = stage_kind::sink;
  template <class T>
  static constexpr bool takes = stage_function<F, Value&&, T&&>;
  template <class T>
  using output = Value;
  template <class T>
  [[nodiscard]] Value result() const {
    return init;
  }
  template <class Up>
  auto bind(Up up, Value& result) {
    return reduce_step<Up, F, Value>(std::move(up), f, result);
  }
  Value init;
  F f;
};

// Descriptions

/// Stages that are not yet behind a source.
template <class... Stages>
struct stage_list {
  std::tuple<Stages...> stages;

  template <class... More>
  friend auto operator|(stage_list first, stage_list<More...> more) {
    return stage_list<Stages..., More...>{std::tuple_cat(std::move(first.stages), std::move(more.stages))};
  }
};
template <class Stage>
stage_list<Stage> list_of(Stage stage) {
  return {std::tuple<Stage>(std::move(stage))};
}

/// The values that reach the last of the stages, and those that come out of it, for values of T.
template <class T, class... Stages>
struct output_of_stages {
  using type = T;
};
template <class T, class Last>
struct output_of_stages<T, Last> {
  static_assert(Last::template takes<T>, "runnel: a stage's function does not take what comes out of the stage before it");
  using input = T;
  using type = typename Last::template output<T>;
};
template <class T, class First, class Second, class... Rest>
struct output_of_stages<T, First, Second, Rest...> : output_of_stages<typename output_of_stages<T, First>::type, Second, Rest...> {
  static_assert(!ends_pipeline(First::kind), "runnel: nothing can come after the sink of a pipeline");
};
template <class... Stages>
inline constexpr bool ends_with_sink = (false || ... || ends_pipeline(Stages::kind));
template <class... Stages>
inline constexpr std::size_t channels_of = (std::size_t{0} + ... + (needs_channel(Stages::kind) ? 1 : 0));

}  // namespace runnel::inline RUNNEL_ABI::detail
