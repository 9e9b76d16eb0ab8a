// The handle of a context, and the event that a context ends. What makes contexts is in context.hpp.
#pragma once

#include <runnel/detail/cancel_tree_end.hpp>
#include <runnel/selectable.hpp>

#include <optional>
#include <stop_token>
#include <vector>

namespace runnel::inline RUNNEL_ABI {

template <class T>
class recv_channel;
class scoped_context;

/// The name of a value that contexts carry: `inline constexpr runnel::context_key<std::string> request_id;`. A key is its address.
template <class V>
class context_key {
 public:
  constexpr context_key() noexcept = default;
  context_key(const context_key&) = delete;
  context_key& operator=(const context_key&) = delete;

 private:
  char place_ = 0;  // no two keys share an address
};

namespace detail {
struct context_access;
struct scope_access;

inline const void* find_value(const context_node* node, const void* key) {
  std::vector<const context_node*> second_parents;  // those still to be searched; empty unless there are merged contexts
  for (;;) {
    if (node == nullptr) {
      if (second_parents.empty()) return nullptr;
      node = second_parents.back();
      second_parents.pop_back();
    }
    if (const void* const value = node->find(key)) return value;
    if (node->second_parent() != nullptr) second_parents.push_back(node->second_parent());
    node = node->first_parent();
  }
}
}  // namespace detail

/// A scope of work: when it ends, why, until when, and what those who work in it should know. Passed down as the first parameter.
///
/// States: live -> done. Done contexts stay so; a context is done when one above it is (all of them, once the cancel() that ends
/// them returns). The default is the background, which never is. A handle: cheap to copy, equal if it names the same context.
/// Make one with with_cancel, with_timeout and the like:
/// they answer a scoped_context, which ends at the end of its scope. Use this to stop work from outside, an errgroup to stop the
/// tasks of one piece of work when one of them fails.
/// Thread safety: all members but assignment, from any number of threads. Example: examples/context.cpp
/// Semantics: Go's package context. Differs: typed values and keys; a context that can be canceled is canceled by its scope.
class context {
 public:
  context() noexcept = default;
  context(const context&) noexcept = default;
  context(context&&) noexcept = default;
  context& operator=(const context&) noexcept = default;
  context& operator=(context&&) noexcept = default;
  ~context() = default;
  /// A handle of the same context, which ends with its scope.
  context(const scoped_context& scoped) noexcept;  // NOLINT(google-explicit-constructor): a kind of context
  context& operator=(const scoped_context& scoped) noexcept;
  /// A temporary would be canceled at the semicolon: give it a name, and let the handle refer to that.
  context(const scoped_context&&) = delete;
  context& operator=(const scoped_context&&) = delete;

  /// The root of all contexts: never done, without values.
  [[nodiscard]] static context background() noexcept { return {}; }

  /// Whether the work should stop. Blocks: never. Cost: one load; the first look at a deadline arms its timer.
  /// Synchronizes: all that was done before the context ended happens before a true.
  [[nodiscard]] bool done() const noexcept {
    detail::cancel_scope* const s = scope();
    return s != nullptr && s->done();
  }
  /// How it ended: empty while it is live, then status::canceled or status::timed_out.
  [[nodiscard]] std::error_code err() const noexcept { return done() ? make_error_code(scope()->outcome()) : detail::no_error(); }
  /// Why it ended: null while it is live, then what was given to cancel() or as the deadline's cause, else a context_error.
  [[nodiscard]] std::exception_ptr cause() const noexcept { return done() ? scope()->cause() : nullptr; }
  /// Throws: context_error if it is done: its code() is err(), its cause() is cause().
  void throw_if_done() const {
    if (done()) throw context_error(scope()->outcome(), "runnel::context", scope()->cause());
  }
  /// The earliest deadline up the tree.
  [[nodiscard]] std::optional<time_point> deadline() const noexcept {
    const detail::cancel_scope* const s = scope();
    return s == nullptr || s->deadline() == detail::never ? std::nullopt : std::optional(s->deadline());
  }
  /// The value of the nearest with_value for this key, or null. Valid while a handle of this context is.
  /// Cost: a step for each context up the tree.
  template <class V>
  [[nodiscard]] const V* value(const context_key<V>& key) const {
    return static_cast<const V*>(detail::find_value(node_.get(), &key));
  }
  template <class V>
  const V* value(const context_key<V>&&) const = delete;

  /// A token that stops when the context is done; one that never stops if it can never be done.
  /// Stop callbacks run in the thread that cancels, once all who wait have been resumed; at a deadline or a signal in a thread of
  /// the library's.
  /// Throws: std::bad_alloc; std::system_error if there is a deadline and no thread for its timer.
  [[nodiscard]] std::stop_token stop_token() const;
  /// Closes when the context is done; the same channel at each call; nil if it can never be done. Throws: as stop_token.
  [[nodiscard]] recv_channel<void> done_channel() const;

  friend bool operator==(const context& a, const context& b) noexcept { return a.node_.get() == b.node_.get(); }

 protected:
  explicit context(detail::node_ref node) noexcept : node_(std::move(node)) {}

 private:
  friend struct detail::context_access;
  [[nodiscard]] detail::cancel_scope* scope() const noexcept { return node_.get() == nullptr ? nullptr : node_.get()->scope(); }

  detail::node_ref node_;  // null: the background
};

namespace detail {

struct context_access {
  /// Where a context ends; null if it never does.
  static cancel_scope* scope(const context& ctx) noexcept { return ctx.scope(); }
  static context_node* node(const context& ctx) noexcept { return ctx.node_.get(); }
  static context make(node_ref node) noexcept { return context(std::move(node)); }
  /// Leaves its reference to the caller, and names the background.
  static void forget(context& ctx) noexcept { ctx.node_.release(); }
};

/// The event that a context is done. It refers to the context, which outlives it.
class done_event final : public selectable {
 public:
  explicit done_event(const context& ctx) noexcept : scope_(context_access::scope(ctx)) {}

  /// False: the context can never be done.
  [[nodiscard]] bool possible() const noexcept { return scope_ != nullptr; }
  /// When the context ends by itself; `never` if it does not.
  [[nodiscard]] time_point deadline() const noexcept { return scope_ == nullptr ? never : scope_->deadline(); }
  /// How it ended; ok while it is live. If its deadline has passed it ends now. Arms no timer: for who waits up to deadline().
  [[nodiscard]] status reason() const noexcept { return scope_ == nullptr ? status::ok : scope_->reason(); }

  /// A look at the deadline: once it has been tried, the event needs no help to happen.
  attempt try_now() override {
    if (scope_ == nullptr) return attempt::never;
    return scope_->done() ? attempt::done : attempt::not_yet;
  }
  void join(wait_node& node) override {
    if (scope_ == nullptr || scope_->try_join(node) || !claim(node)) return;
    node.outcome = status::canceled;
    node.owner->resume();
  }
  bool leave(wait_node& node) noexcept override { return scope_ == nullptr || scope_->leave(node); }
  bool finish(wait_node&) noexcept override { return true; }
  [[nodiscard]] std::uint64_t stamp() const noexcept override { return scope_ != nullptr && scope_->done() ? 1 : 0; }

 private:
  cancel_scope* scope_;
};

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
