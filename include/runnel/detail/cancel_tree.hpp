// The tree of contexts: who is done with whom, who has which value, and who waits for an end.
//
// A `context_node` is what a handle names. A `cancel_scope` is a node that can end; other nodes (values) end with the scope
// they stand in, so that done() is one load wherever it is asked.
//
// 1. A node holds its parents, so its scope, and the scope that ended it (`origin_`), live while it does.
// 2. A scope's end, children, waiters and attachments change under its own lock. A scope ends once. A parent's lock is taken
//    alone or under tree_mutex: no thread ever holds two scopes' locks.
// 3. A scope that has children ends under tree_mutex, which is held until the whole subtree has ended (`settled_`). A second
//    call that finds it ended but not settled waits for tree_mutex. A scope without children ends under its own lock alone.
// 4. A child is on its parent's list until it or the parent ends or it is dropped; one that is being dropped is skipped (try_ref).
//    Whoever ends a scope takes it off the lists that it still is on: one that has ended and has no reference left is on none.
// 5. Waiters are claimed under the lock, and resumed once all of the subtree has ended and nothing is locked; those that call
//    the user's code (`callbacks_`) after all others: it may block until the others go on.
// 6. Nothing here recurses: chains of any length end, and are destroyed, in a loop.
// 7. The timer thread ends scopes and may drop the last reference to one; what is the user's in it is destroyed elsewhere.
#pragma once

#include <runnel/detail/timer_queue.hpp>
#include <runnel/detail/waiter.hpp>

#include <exception>
#include <utility>

namespace runnel::inline RUNNEL_ABI::detail {

class cancel_scope;
class deadline_scope;

class context_node {
 public:
  /// Takes its own references to the parents.
  context_node(context_node* first, context_node* second, cancel_scope* scope) noexcept
      : first_(first), second_(second), scope_(scope) {
    if (first_ != nullptr) first_->add_ref();
    if (second_ != nullptr) second_->add_ref();
  }
  context_node(const context_node&) = delete;
  context_node& operator=(const context_node&) = delete;

  void add_ref() noexcept { refs_.fetch_add(1, relaxed); }  // [context_node.refs] relaxed: whoever adds one has one
  /// The second one, while nobody else knows the node.
  void add_first_ref() noexcept { refs_.store(2, relaxed); }  // relaxed: see above
  /// False: the last reference is gone already.
  bool try_ref() noexcept {
    std::uint32_t seen = refs_.load(relaxed);  // relaxed: as add_ref; the caller's lock keeps the memory
    while (seen != 0)
      if (refs_.compare_exchange(seen, seen + 1, relaxed, relaxed)) return true;
    return false;
  }
  /// Drops a reference, or several, and destroys what nobody refers to any more, up the tree. Under no lock.
  static void drop_ref(context_node* node) noexcept { drop_refs(node, 1); }
  static void drop_refs(context_node* node, std::uint32_t count) noexcept {
    if (!node->is_last_ref(count)) return;
    timer_queue::on_thread() ? destroy_elsewhere(node) : destroy(node);
  }

  [[nodiscard]] cancel_scope* scope() const noexcept { return scope_; }
  [[nodiscard]] const context_node* first_parent() const noexcept { return first_; }
  [[nodiscard]] const context_node* second_parent() const noexcept { return second_; }
  /// The value that this node itself has for a key, or null.
  [[nodiscard]] virtual const void* find(const void* /*key*/) const noexcept { return nullptr; }

 protected:
  virtual ~context_node() = default;
  /// Leaves the tree: the last reference is gone.
  virtual void detach() noexcept {}

  context_node* chain_ = nullptr;  // the next one that ends, for whoever ends them, or that is destroyed, for whoever dropped it

 private:
  // [context_node.refs] acq_rel: whoever destroys it sees all that was done through other references.
  bool is_last_ref(std::uint32_t count = 1) noexcept { return refs_.fetch_sub(count, acq_rel) == count; }
  static void destroy(context_node* node) noexcept {
    node->chain_ = nullptr;
    context_node* dead = node;
    const auto drop = [&dead](context_node* n) {
      if (n == nullptr || !n->is_last_ref()) return;
      n->chain_ = dead;
      dead = n;
    };
    while (dead != nullptr) {
      context_node* const n = std::exchange(dead, dead->chain_);
      n->detach();
      context_node* const first = n->first_;
      context_node* const second = n->second_;
      delete n;
      drop(first);
      drop(second);
    }
  }
  static void destroy_elsewhere(context_node* node) noexcept;

  context_node* first_;
  context_node* second_;
  cancel_scope* scope_;  // where this node ends: itself, an ancestor, or null if it never does
  atomic<std::uint32_t> refs_{1};
};

/// Holds a reference to a node.
class node_ref {
 public:
  node_ref() noexcept = default;
  /// Adopts a reference.
  explicit node_ref(context_node* node) noexcept : node_(node) {}
  node_ref(const node_ref& other) noexcept : node_(other.node_) {
    if (node_ != nullptr) node_->add_ref();
  }
  node_ref(node_ref&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  node_ref& operator=(node_ref other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~node_ref() {
    if (node_ != nullptr) context_node::drop_ref(node_);
  }
  [[nodiscard]] context_node* get() const noexcept { return node_; }
  /// Gives its reference up to the caller.
  context_node* release() noexcept { return std::exchange(node_, nullptr); }

 private:
  context_node* node_ = nullptr;
};

/// Something that is made once for a scope, on demand, lives as long, and is told of its end: a waiter that never leaves.
class scope_attachment : public waiter {
 public:
  scope_attachment(const void* kind, resume_function on_end, bool calls_user) noexcept
      : waiter(on_end, false), kind_(kind), calls_user_(calls_user) {
    node_.owner = this;
  }
  virtual ~scope_attachment() = default;

 protected:
  /// How the scope has ended; when it is told of it.
  [[nodiscard]] status outcome() const noexcept { return node_.outcome; }

 private:
  friend class cancel_scope;
  const void* kind_;
  bool calls_user_;
  wait_node node_;
  scope_attachment* next_ = nullptr;
};

/// Held while a subtree ends.
inline constinit mutex tree_mutex;

class cancel_scope : public context_node {
 public:
  explicit cancel_scope(context_node* first, context_node* second = nullptr) noexcept : context_node(first, second, this) {
    inherit(first);
    inherit(second);
  }

  /// Enters the parents' lists, or ends as they did. Once, when the scope is complete.
  void link_to_parents() noexcept {
    cancel_scope* const a = scope_of(first_parent());
    cancel_scope* const b = scope_of(second_parent());
    if (a != nullptr && !link(*a, links_[0])) return;
    if (b == nullptr || b == a) return;
    link(*b, links_[1]);
    if (ended()) leave_parents();  // one of them ended it meanwhile, perhaps before it was on the other's list
  }

  /// One load, unless there is a deadline that nobody has looked at: that is looked at now, and armed.
  [[nodiscard]] bool done() noexcept {
    // [cancel_scope.state] acquire: sees what happened before the end, and its cause
    const std::uint32_t seen = state_.load(acquire);
    if (seen != unarmed) return seen != live;
    return look();
  }
  /// How it ended; ok while it lives. Arms nothing: a deadline that has passed ends it now.
  [[nodiscard]] status reason() noexcept;
  /// How it ended; only once it is done.
  [[nodiscard]] status outcome() const noexcept {
    return static_cast<status>(state_.load(acquire));  // [cancel_scope.state] as in done
  }
  /// Why it ended; only once it is done.
  [[nodiscard]] std::exception_ptr cause() noexcept;
  /// The earliest deadline up the tree, or `never`.
  [[nodiscard]] time_point deadline() const noexcept { return deadline_; }
  /// Sees to it that the deadline will end it. Throws: std::system_error if there is no thread for timers.
  void arm_deadline();

  /// Ends it and all below it, unless it has ended; all of it has when this returns. A cause is ignored with `keep_cause`.
  void end(status how, std::exception_ptr cause, bool keep_cause = false) noexcept;

  /// Queues a waiter until the end. False: it has ended.
  bool try_join(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (ended()) return false;
    waiters_.push(node);
    return true;
  }
  bool leave(wait_node& node) noexcept {
    const scoped_lock lock(mutex_);
    if (!node.queued) return false;
    waiters_.remove(node);
    return true;
  }

  /// The attachment of this kind, made by `make` if there is none. Arms the deadline.
  template <class Make>
  scope_attachment& attach(const void* kind, Make make);

  /// How many children and waiters are on its lists: for tests.
  [[nodiscard]] std::pair<std::size_t, std::size_t> linked() noexcept;

 protected:
  ~cancel_scope() override {
    while (attachments_ != nullptr) delete std::exchange(attachments_, attachments_->next_);
  }
  /// Called when it has ended, under no lock, perhaps more than once: takes back what was registered elsewhere.
  virtual void on_end() noexcept {}
  void detach() noexcept override {
    RUNNEL_ASSERT(waiters_.empty() && children_ == nullptr);
    if (!ended()) leave_parents();
  }

  /// Under the lock, or for a hint.
  [[nodiscard]] bool ended() const noexcept { return state_.load(relaxed) > unarmed; }  // relaxed: ends under the lock

  void set_deadline(time_point at, deadline_scope& owner) noexcept {
    deadline_ = at;
    owner_ = &owner;
    state_.store(unarmed, relaxed);  // relaxed: nobody else knows the scope yet
  }

  /// The cause of an end that keeps it; before anybody else knows the scope.
  void set_cause(std::exception_ptr&& cause) noexcept { cause_ = std::move(cause); }

  mutex mutex_;

 private:
  // A state of live or unarmed is before the end, else it is the status. In a live scope the deadline, if any, is armed.
  static constexpr std::uint32_t live = 0;
  static constexpr std::uint32_t unarmed = 1;
  static_assert(static_cast<std::uint32_t>(status::canceled) > unarmed && static_cast<std::uint32_t>(status::timed_out) > unarmed);

  /// A child's place on one parent's list, under the parent's lock.
  struct child_link {
    cancel_scope* child = nullptr;
    child_link* next = nullptr;
    child_link* previous = nullptr;
    bool linked = false;
  };

  static cancel_scope* scope_of(const context_node* node) noexcept { return node == nullptr ? nullptr : node->scope(); }

  void inherit(const context_node* parent) noexcept {
    const cancel_scope* const scope = scope_of(parent);
    if (scope != nullptr && scope->deadline_ < deadline_) set_deadline(scope->deadline_, *scope->owner_);
  }

  /// False: the parent has ended, and so has this scope.
  bool link(cancel_scope& parent, child_link& l) noexcept {
    scoped_lock lock(parent.mutex_);
    if (!parent.ended()) {
      l.child = this;
      l.next = parent.children_;
      if (l.next != nullptr) l.next->previous = &l;
      parent.children_ = &l;
      l.linked = true;
      return true;
    }
    const status how = parent.outcome();
    cancel_scope& origin = *parent.origin_;
    lock.unlock();
    const scoped_lock own(mutex_);  // its other parent may be ending it
    if (!ended()) mark(how, origin);
    settled_.store(true, release);  // [cancel_scope.settled] release: it has no children
    return false;
  }
  /// Under no lock: the parents' are taken.
  void leave_parents() noexcept {
    cancel_scope* const parents[2] = {scope_of(first_parent()), scope_of(second_parent())};
    for (int i = 0; i < 2; ++i) {
      if (parents[i] == nullptr) continue;
      const scoped_lock lock(parents[i]->mutex_);
      if (links_[i].linked) parents[i]->unlink(links_[i]);
    }
  }
  /// Under this scope's lock.
  void unlink(child_link& l) noexcept {
    (l.previous == nullptr ? children_ : l.previous->next) = l.next;
    if (l.next != nullptr) l.next->previous = l.previous;
    l.next = l.previous = nullptr;
    l.linked = false;
  }

  /// Under the lock.
  void mark(status how, cancel_scope& origin) noexcept {
    RUNNEL_ASSERT(!ended() && how > status::closed);
    origin_ = &origin;
    state_.store(static_cast<std::uint32_t>(how), release);  // [cancel_scope.state] release: the end happens before whoever sees it
  }
  /// Those who were claimed under locks, to be resumed under none.
  struct claimed_waiters {
    wake_list waiters;
    wake_list callbacks;
    void resume_all() noexcept {
      waiters.resume_all();
      callbacks.resume_all();
    }
  };
  /// Under the lock.
  void claim_waiters(status how, claimed_waiters& claimed) noexcept {
    claimed.waiters.add_all(waiters_, how);
    claimed.callbacks.add_all(callbacks_, how);
  }
  void end_tree(status how, std::exception_ptr& cause, bool keep_cause) noexcept;
  bool look() noexcept;

  atomic<std::uint32_t> state_{live};
  atomic<bool> settled_{false};
  bool visited_ = false;  // by an end of an ancestor; under tree_mutex
  wait_queue waiters_;
  wait_queue callbacks_;  // the attachments that call the user's code
  child_link* children_ = nullptr;
  child_link links_[2];
  time_point deadline_ = never;
  deadline_scope* owner_ = nullptr;  // whose timer ends this scope at its deadline: itself or an ancestor
  cancel_scope* origin_ = nullptr;   // once ended: where the end began, itself or an ancestor
  std::exception_ptr cause_;         // given, or made when somebody asks; of use in an origin only
  scope_attachment* attachments_ = nullptr;
};

/// A scope with a deadline earlier than those above it.
class deadline_scope final : public cancel_scope, private timer_entry {
 public:
  deadline_scope(context_node* parent, time_point at, std::exception_ptr cause) noexcept;
  /// Arms the timer unless it is armed or the scope has ended. Throws: std::system_error if there is no thread for timers.
  void arm();
  void expire() noexcept { end(status::timed_out, nullptr, true); }

 private:
  // inline here already: with a function that is not, g++ would make the table of virtual functions in every file.
  inline void on_end() noexcept override;
  inline void detach() noexcept override;
  static void due(timer_entry& entry) noexcept;

  bool armed_ = false;  // written under the lock, before the end
};

}  // namespace runnel::inline RUNNEL_ABI::detail
