// The contract between whatever can be waited for and whoever waits: the one extension point of the library.
#pragma once

#include <runnel/detail/waiter.hpp>

namespace runnel::inline RUNNEL_ABI {

/// How a case stands when it is tried.
enum class attempt {
  done,     ///< it has happened, now
  not_yet,  ///< it may happen later: join and wait
  never     ///< it can never happen (any more)
};

using detail::claim;
using detail::wait_node;

/// One thing that a call waits for: a receive, a send, a context's end, a future's. A waiting call has one or several of
/// these and lets exactly one of them happen.
///
/// The engine goes in three passes: it tries the cases; if none is done it joins each to its queue and waits; then every
/// case that joined leaves. A counterparty that finds a joined node takes it off the queue and, if claim(node) is true, writes
/// node.outcome, all under the queue's lock, and then, under no lock, calls node.owner->resume(): its last access to the node.
/// All calls of the members are made by the waiting thread, one at a time. Use this when you have an event of your own that
/// select should be able to wait for: on_event makes a case of it. Example: examples/selectable.cpp
class selectable {
 public:
  /// The stamp of an event that has none.
  static constexpr std::uint64_t no_stamp = ~std::uint64_t{0};

  selectable() noexcept = default;
  selectable(const selectable&) = delete;
  selectable& operator=(const selectable&) = delete;

  /// Makes the case happen if it can happen at once. Blocks: never.
  virtual attempt try_now() = 0;
  /// Queues the node; if the case became ready since try_now, claims the node's waiter itself and resumes it, like any
  /// counterparty. Blocks: never for long. Throws: then the node is not in the queue; it comes out of the call, unless another of its
  /// cases has happened.
  virtual void join(wait_node& node) = 0;
  /// Takes the node off the queue. True: it still was there. False: somebody has taken it, and resumes its owner.
  virtual bool leave(wait_node& node) noexcept = 0;
  /// Takes over the outcome of a node that was claimed. False: what happened does not complete the case (the channel
  /// closed under a case that wants a value): the engine goes round again.
  virtual bool finish(wait_node& node) noexcept = 0;
  /// A number that is another one whenever the case may have become ready. So that a select which does not wait can tell,
  /// without queueing, that none of its cases was ready at one instant. An event without one costs it a turn in the queue.
  [[nodiscard]] virtual std::uint64_t stamp() const noexcept { return no_stamp; }

 protected:
  ~selectable() = default;
};

}  // namespace runnel::inline RUNNEL_ABI
