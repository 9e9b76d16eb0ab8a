// fan: values that go from one channel to several, through several workers, and from several channels to one.
#pragma once

#include <runnel/detail/fan_tasks.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace runnel::inline RUNNEL_ABI {

/// How parallel_map works.
struct parallel_options {
  std::size_t workers = 0;   ///< how many tasks call f at a time; 0: as many as there are cores
  std::size_t capacity = 0;  ///< how many results may wait in the output; in order, as many more for an earlier one
  bool ordered = true;       ///< whether the results come in the order of the values; else as they are ready
};

namespace detail {

/// An end that receives, or a whole channel.
template <class Input>
concept receiving_end = requires { typename std::remove_cvref_t<Input>::value_type; } &&
                        std::convertible_to<Input, recv_channel<typename std::remove_cvref_t<Input>::value_type>>;
template <class Input>
using received_t = typename std::remove_cvref_t<Input>::value_type;

/// What f(T&&) answers in the end: it is a function, or returns what is to be awaited.
template <class F, class T>
using mapped_t = std::decay_t<typename answer_of<std::invoke_result_t<std::decay_t<F>&, T>>::type>;
template <class F, class T>
concept mapping = std::invocable<std::decay_t<F>&, T> && !std::is_void_v<mapped_t<F, T>>;

template <class T, class Inputs>
recv_channel<T> start_forwarding(errgroup& group, const char* stage, Inputs&& inputs) {
  auto out = make_channel<T>();
  stage_starter tasks(group, stage, std::size(inputs));
  for (auto& in : inputs) tasks.start(forwarding_task<T>{std::move(in), out.send});
  tasks.begin();
  return out.recv;
}

inline void refuse_none(const char* stage, const char* of_what, std::size_t n) {
  if (n == 0) throw std::invalid_argument(std::string("runnel::") + stage + ": to no " + of_what);
}

}  // namespace detail

// What all of these have in common. Their tasks are tasks of the group: all of them run at once, so std::logic_error is thrown, and nothing
// begins, if its limit leaves no room for them. They wait without threads. Read the outputs while the group runs, and wait for it then: its
// wait() says whether an output that has ended is complete. An output ends when its input is drained, the group's context is done, or
// something failed. Who drops an output ends its task, without a failure, at its next value. A task holds one value at a time, and what
// it holds when it is canceled or its output is dropped is lost. A channel<T> and a subscription<T> are accepted as inputs too.

/// Calls f for each value, several at a time, and sends the results.
///
/// f(T&&) is a function, or returns what is to be awaited, such as a task<R>; its result is not void. All workers share one f. A failing
/// f, which throws, cancels the group. With collect_all, which cancels nothing, it ends its worker, in order all of them.
/// Memory: in order, a value is taken when fewer than workers + capacity before it are unsent; capacity more wait in the output. So one
/// that takes long lets the others get so far ahead, and no further. Use this where f is what takes long, fan_out to have each worker's
/// results for themselves. Tasks: `workers`. Throws: as above. Example: examples/fan.cpp
template <detail::receiving_end Input, class F>
  requires detail::mapping<F, detail::received_t<Input>>
[[nodiscard]] auto parallel_map(errgroup& group, Input&& in, F&& f, parallel_options options = {}) {
  using T = detail::received_t<Input>;
  using R = detail::mapped_t<F, T>;
  using function = std::decay_t<F>;
  const std::size_t workers = options.workers != 0 ? options.workers : std::max(1U, detail::cpu_count());
  recv_channel<T> from(std::forward<Input>(in));
  auto out = make_channel<R>(options.capacity);
  auto shared = std::make_shared<function>(std::forward<F>(f));
  detail::stage_starter tasks(group, "parallel_map", workers);
  if (options.ordered && workers > 1) {
    using stage = detail::ordered_mapping<T, R, function>;
    auto state = std::make_shared<stage>(std::move(from), std::move(out.send), std::move(shared), workers + options.capacity);
    for (std::size_t i = 0; i < workers; ++i) tasks.start(detail::ordered_mapping_task<stage>{state});
  } else {
    for (std::size_t i = 0; i < workers; ++i) tasks.start(detail::mapping_task<T, R, function>{from, out.send, shared});
  }
  tasks.begin();
  return std::move(out.recv);
}

/// Calls f for each value, on the first of n workers that is free, and sends the result to that worker's own output.
///
/// f as for parallel_map. A failing f cancels the group; with collect_all it ends its worker alone, and its output.
/// Returns: the n outputs, which hold nothing: a worker waits until its result is taken. Tasks: n.
/// Throws: std::invalid_argument if n is 0; as above.
template <detail::receiving_end Input, class F>
  requires detail::mapping<F, detail::received_t<Input>>
[[nodiscard]] auto fan_out(errgroup& group, Input&& in, std::size_t n, F&& f) {
  using T = detail::received_t<Input>;
  using R = detail::mapped_t<F, T>;
  using function = std::decay_t<F>;
  detail::refuse_none("fan_out", "worker", n);
  const recv_channel<T> from(std::forward<Input>(in));
  const auto shared = std::make_shared<function>(std::forward<F>(f));
  std::vector<recv_channel<R>> outputs;
  outputs.reserve(n);
  detail::stage_starter tasks(group, "fan_out", n);
  for (std::size_t i = 0; i < n; ++i) {
    auto out = make_channel<R>();
    tasks.start(detail::mapping_task<T, R, function>{from, std::move(out.send), shared});
    outputs.push_back(std::move(out.recv));
  }
  tasks.begin();
  return outputs;
}

/// Sends the values of all inputs to one output, each input's in their order, and none at the expense of another.
///
/// Returns: the output, which holds nothing; it ends when all inputs are drained, at once if there are none. Tasks: one for each input.
/// Throws: as above. Use a select to do something else for each of them.
template <detail::receiving_end Input>
[[nodiscard]] recv_channel<detail::received_t<Input>> fan_in(errgroup& group, std::vector<Input> inputs) {
  using T = detail::received_t<Input>;
  std::vector<recv_channel<T>> ends(inputs.begin(), inputs.end());
  inputs.clear();
  return detail::start_forwarding<T>(group, "fan_in", ends);
}
template <detail::receiving_end First, detail::receiving_end... Rest>
  requires(std::same_as<detail::received_t<First>, detail::received_t<Rest>> && ...)
[[nodiscard]] recv_channel<detail::received_t<First>> fan_in(errgroup& group, First&& first, Rest&&... rest) {
  using T = detail::received_t<First>;
  recv_channel<T> ends[] = {recv_channel<T>(std::forward<First>(first)), recv_channel<T>(std::forward<Rest>(rest))...};
  return detail::start_forwarding<T>(group, "fan_in", ends);
}

/// Sends a copy of each value to each of n outputs; the last one gets the value itself.
///
/// The outputs hold nothing and may be read in any order: whoever is there gets the next value, but none gets the one after it before all
/// have this one: the slowest sets the pace. Who cannot keep up drops its output, and holds up nobody any more. Tasks: one.
/// Throws: std::invalid_argument if n is 0; as above. A copy that throws is a failure: the group is canceled.
/// Use a broadcast for receivers that come and go, or that may miss values.
template <detail::receiving_end Input>
  requires std::copy_constructible<detail::received_t<Input>>
[[nodiscard]] auto tee(errgroup& group, Input&& in, std::size_t n) {
  using T = detail::received_t<Input>;
  detail::refuse_none("tee", "output", n);
  std::vector<recv_channel<T>> outputs;
  outputs.reserve(n);
  detail::tee_task<T> work{recv_channel<T>(std::forward<Input>(in)), {}};
  work.outs.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    auto out = make_channel<T>();
    work.outs.push_back(std::move(out.send));
    outputs.push_back(std::move(out.recv));
  }
  detail::stage_starter tasks(group, "tee", 1);
  tasks.start(std::move(work));
  tasks.begin();
  return outputs;
}

/// Sends on what comes, until the group's context is done: for a loop over a channel of somebody who does not know the group.
/// Returns: the output, which holds nothing. Tasks: one. Throws: as above.
template <detail::receiving_end Input>
[[nodiscard]] recv_channel<detail::received_t<Input>> or_done(errgroup& group, Input&& in) {
  using T = detail::received_t<Input>;
  recv_channel<T> ends[] = {recv_channel<T>(std::forward<Input>(in))};
  return detail::start_forwarding<T>(group, "or_done", ends);
}

}  // namespace runnel::inline RUNNEL_ABI
