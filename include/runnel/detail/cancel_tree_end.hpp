// How contexts end: by a call, by their parents, by their deadlines. The invariants stand in detail/cancel_tree.hpp.
#pragma once

#include <runnel/detail/cancel_tree.hpp>
#include <runnel/detail/thread_cache.hpp>

#include <memory>

namespace runnel::inline RUNNEL_ABI::detail {

RUNNEL_NOINLINE inline void context_node::destroy_elsewhere(context_node* node) noexcept {
  try {
    start_task([node]() noexcept { destroy(node); });
  } catch (...) {
    destroy(node);  // no thread to be had: better late timers than a leak
  }
}

inline void cancel_scope::end(status how, std::exception_ptr cause, bool keep_cause) noexcept {
  if (settled_.load(acquire)) return;  // [cancel_scope.settled] acquire: the whole subtree has ended
  add_ref();
  const node_ref keep(this);  // whoever is woken may drop the scope
  claimed_waiters claimed;
  scoped_lock lock(mutex_);
  if (!ended() && children_ != nullptr) {
    lock.unlock();
    end_tree(how, cause, keep_cause);
  } else if (!ended()) {
    if (!keep_cause) std::swap(cause_, cause);
    mark(how, *this);
    settled_.store(true, release);  // [cancel_scope.settled] release: it has no children
    claim_waiters(how, claimed);
    lock.unlock();
    leave_parents();
    on_end();
    claimed.resume_all();
  } else {
    lock.unlock();
    const scoped_lock tree(tree_mutex);  // until whoever ends it is through
  }
}

RUNNEL_NOINLINE inline void cancel_scope::end_tree(status how, std::exception_ptr& cause, bool keep_cause) noexcept {
  claimed_waiters claimed;
  cancel_scope* finished = nullptr;
  {
    const scoped_lock tree(tree_mutex);
    {
      // Another call may have ended it meanwhile, and all below it: the chain that it is on is that call's.
      const scoped_lock lock(mutex_);
      if (ended()) return;
    }
    add_ref();
    chain_ = nullptr;
    visited_ = true;
    cancel_scope* pending = this;
    while (pending != nullptr) {
      cancel_scope& scope = *std::exchange(pending, static_cast<cancel_scope*>(pending->chain_));
      scope.chain_ = finished;
      finished = &scope;
      const scoped_lock lock(scope.mutex_);
      if (scope.ended()) continue;  // somebody was first: it has no children, or all of them have ended
      if (&scope == this && !keep_cause) std::swap(cause_, cause);
      scope.mark(how, *this);
      scope.claim_waiters(how, claimed);
      while (child_link* const l = scope.children_) {
        scope.unlink(*l);
        cancel_scope& child = *l->child;
        if (child.visited_ || !child.try_ref()) continue;  // it has two parents here, or is being dropped
        child.visited_ = true;
        child.chain_ = pending;
        pending = &child;
      }
    }
    for (cancel_scope* s = finished; s != nullptr; s = static_cast<cancel_scope*>(s->chain_))
      s->settled_.store(true, release);  // [cancel_scope.settled] release: all below it has ended
  }
  for (cancel_scope* s = finished; s != nullptr; s = static_cast<cancel_scope*>(s->chain_)) {
    if (s == this || s->second_parent() != nullptr) s->leave_parents();  // the others had one parent, and are off its list
    s->on_end();
  }
  claimed.resume_all();
  while (finished != nullptr) drop_ref(std::exchange(finished, static_cast<cancel_scope*>(finished->chain_)));
}

RUNNEL_NOINLINE inline bool cancel_scope::look() noexcept {
  if (now() >= deadline_) {
    owner_->expire();
    return true;
  }
  try {
    owner_->arm();
  } catch (...) {
    return false;  // no thread to be had: whoever looks again compares with the clock again
  }
  std::uint32_t seen = unarmed;
  // [cancel_scope.state] acquire: as in done(), should it have ended meanwhile; nothing is published.
  return !state_.compare_exchange(seen, live, acquire, acquire) && seen > unarmed;
}

inline status cancel_scope::reason() noexcept {
  const std::uint32_t seen = state_.load(acquire);  // [cancel_scope.state] as in done
  if (seen > unarmed) return static_cast<status>(seen);
  if (deadline_ == never || now() < deadline_) return status::ok;
  owner_->expire();
  return outcome();
}

inline void cancel_scope::arm_deadline() {
  if (owner_ != nullptr) owner_->arm();
}

inline std::exception_ptr cancel_scope::cause() noexcept {
  cancel_scope& origin = *origin_;
  {
    const scoped_lock lock(origin.mutex_);
    if (origin.cause_ != nullptr) return origin.cause_;
  }
  std::exception_ptr made = make_context_error(origin.outcome(), "runnel::context");
  const scoped_lock lock(origin.mutex_);
  if (origin.cause_ == nullptr) origin.cause_ = std::move(made);
  return origin.cause_;
}

template <class Make>
scope_attachment& cancel_scope::attach(const void* kind, Make make) {
  const auto find = [&]() noexcept {
    scope_attachment* a = attachments_;
    while (a != nullptr && a->kind_ != kind) a = a->next_;
    return a;
  };
  {
    const scoped_lock lock(mutex_);
    if (scope_attachment* const there = find()) return *there;
  }
  std::unique_ptr<scope_attachment> fresh = make();
  arm_deadline();
  static_cast<void>(reason());  // a deadline that has passed ends it now
  for (bool told = false;; told = true) {
    scoped_lock lock(mutex_);  // `fresh` outlives it: it is destroyed under no lock
    if (scope_attachment* const there = find()) return *there;
    if (told || !ended()) {
      scope_attachment& a = *fresh.release();
      a.next_ = std::exchange(attachments_, &a);
      if (!told) (a.calls_user_ ? callbacks_ : waiters_).push(a.node_);
      return a;
    }
    lock.unlock();
    fresh->resume();  // it is told of the end before anybody else knows it
  }
}

inline std::pair<std::size_t, std::size_t> cancel_scope::linked() noexcept {
  const scoped_lock lock(mutex_);
  std::pair<std::size_t, std::size_t> count{0, 0};
  for (const child_link* l = children_; l != nullptr; l = l->next) ++count.first;
  for (const wait_queue* queue : {&waiters_, &callbacks_})
    for (const wait_node* w = queue->front(); w != nullptr; w = w->behind()) ++count.second;
  return count;
}

inline deadline_scope::deadline_scope(context_node* parent, time_point at, std::exception_ptr cause) noexcept
    : cancel_scope(parent), timer_entry(&due) {
  set_deadline(at, *this);
  set_cause(std::move(cause));
}

inline void deadline_scope::arm() {
  if (ended()) return;  // needs no timer, and so no thread for it
  timer_queue& queue = timer_queue::instance();
  queue.start();
  const scoped_lock lock(mutex_);
  if (armed_ || ended()) return;
  armed_ = true;
  queue.arm(*this, deadline());
}

inline void deadline_scope::on_end() noexcept {
  if (armed_) timer_queue::instance().disarm(*this);  // read after the end was seen under the lock
}

inline void deadline_scope::detach() noexcept {
  cancel_scope::detach();
  if (armed_) timer_queue::instance().cancel(*this);
}

inline void deadline_scope::due(timer_entry& entry) noexcept {
  auto& self = static_cast<deadline_scope&>(entry);
  if (!self.try_ref()) return;  // it is being dropped
  const node_ref keep(&self);
  self.expire();
}

}  // namespace runnel::inline RUNNEL_ABI::detail
