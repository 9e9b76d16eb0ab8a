// What ties the operations of asio.hpp to the execution contexts in which they go on.
//
// 1. An operation is one frame, which is owned by one of: the list of its context while it waits, the step that an executor is to make of
//    it, whoever runs it.
// 2. A context that ends destroys what waits to go on in it, which leaves the channels where it waits, and waits for those who are about
//    to post a step to it. Steps that it has not made destroy what they own.
// 3. Whoever posts a step touches nothing of it afterwards, and nothing of the context after end_post().
#pragma once

#include <runnel/detail/resume.hpp>

#include <coroutine>
#include <memory>
#include <system_error>
#include <utility>

#if defined(RUNNEL_STANDALONE_ASIO)
#include <asio/associated_allocator.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/execution/context.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/system_executor.hpp>
#if __has_include(<asio/associated_cancellation_slot.hpp>)
#include <asio/associated_cancellation_slot.hpp>
#define RUNNEL_ASIO_HAS_SLOTS 1
#endif
#define RUNNEL_ASIO_KIND of_asio  // programs may mix the two, in different files
namespace runnel::inline RUNNEL_ABI::detail::inline RUNNEL_ASIO_KIND {
namespace net = ::asio;
}
#else
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/system_executor.hpp>
#if __has_include(<boost/asio/associated_cancellation_slot.hpp>)
#include <boost/asio/associated_cancellation_slot.hpp>
#define RUNNEL_ASIO_HAS_SLOTS 1
#endif
#define RUNNEL_ASIO_KIND of_boost
namespace runnel::inline RUNNEL_ABI::detail::inline RUNNEL_ASIO_KIND {
namespace net = ::boost::asio;
}
#endif

namespace runnel::inline RUNNEL_ABI::detail::inline RUNNEL_ASIO_KIND {

/// An operation that goes on in an execution context.
class pending_operation {
 public:
  pending_operation(const pending_operation&) = delete;
  pending_operation& operator=(const pending_operation&) = delete;

  /// Ends it without calling its handler.
  void destroy() noexcept { frame_.destroy(); }

 protected:
  pending_operation() noexcept = default;
  ~pending_operation() = default;

  std::coroutine_handle<> frame_;

 private:
  friend class pending_operations;
  pending_operation* next_ = nullptr;
  pending_operation* previous_ = nullptr;
  bool linked_ = false;
};

/// What goes on in one execution context: part of that.
class pending_operations final : public net::execution_context::service {
 public:
  using key_type = pending_operations;
  static inline net::execution_context::id id;

  explicit pending_operations(net::execution_context& owner) : service(owner) {}

  /// Where coroutines are that go on at an executor.
  template <class Executor>
  static pending_operations& of(const Executor& executor) {
    if constexpr (net::can_query<Executor, net::execution::context_t>::value)
      return net::use_service<pending_operations>(net::query(executor, net::execution::context));
    else
      return net::use_service<pending_operations>(executor.context());
  }

  /// From here on the context destroys it when it ends. Throws: std::system_error if it has ended.
  void link(pending_operation& op) {
    const scoped_lock lock(mutex_);
    if (ended_) throw std::system_error(std::make_error_code(std::errc::operation_canceled), "runnel::asio: the context has ended");
    op.next_ = first_;
    op.previous_ = nullptr;
    if (first_ != nullptr) first_->previous_ = &op;
    first_ = &op;
    op.linked_ = true;
  }
  /// From here on the caller owns it, until end_post(). False: it is not linked, and nothing has begun.
  bool unlink_to_post(pending_operation& op) noexcept {
    const scoped_lock lock(mutex_);
    if (!op.linked_) return false;
    remove(op);
    posting_.fetch_add(1, relaxed);  // relaxed: under the lock
    return true;
  }
  void unlink(pending_operation& op) noexcept {
    const scoped_lock lock(mutex_);
    if (op.linked_) remove(op);
  }
  /// False: the context is ending.
  bool begin_post() noexcept {
    const scoped_lock lock(mutex_);
    if (!ended_) posting_.fetch_add(1, relaxed);  // relaxed: under the lock
    return !ended_;
  }
  /// The last access to the context of one who has posted to it.
  void end_post() noexcept { posting_.fetch_sub(1, release); }  // [pending_operations.posting] release: with shutdown

 private:
  void shutdown() override {
    for (;;) {
      pending_operation* op = nullptr;
      {
        const scoped_lock lock(mutex_);
        ended_ = true;
        op = first_;
        if (op != nullptr) remove(*op);
      }
      if (op == nullptr) break;
      op->destroy();
    }
    // [pending_operations.posting] acquire: all that they did in the context is done.
    for (backoff pause; posting_.load(acquire) != 0;) pause.pause();
  }
  void remove(pending_operation& op) noexcept {
    (op.previous_ == nullptr ? first_ : op.previous_->next_) = op.next_;
    if (op.next_ != nullptr) op.next_->previous_ = op.previous_;
    op.linked_ = false;
  }

  mutex mutex_;
  pending_operation* first_ = nullptr;
  bool ended_ = false;
  atomic<std::uint32_t> posting_{0};
};

/// What is posted to an executor, first come first served: its own steps, which may find nothing, for an item that was taken back.
template <class Executor, class Allocator>
struct posted_items {
  posted_items(Executor e, const Allocator& a, pending_operations& p) : executor(std::move(e)), allocator(a), home(&p) {}

  Executor executor;
  Allocator allocator;
  pending_operations* home;
  mutex lock;
  work_item* first = nullptr;
  work_item* last = nullptr;

  void push(work_item& item) noexcept {
    const scoped_lock hold(lock);
    item.next = nullptr;
    item.previous = last;
    (last == nullptr ? first : last->next) = &item;
    last = &item;
  }
  bool remove(work_item& item) noexcept {
    const scoped_lock hold(lock);
    for (const work_item* at = first; at != &item; at = at->next)
      if (at == nullptr) return false;
    detach(item);
    return true;
  }
  work_item* pop() noexcept {
    const scoped_lock hold(lock);
    work_item* const item = first;
    if (item != nullptr) detach(*item);
    return item;
  }
  void detach(work_item& item) noexcept {
    (item.previous == nullptr ? first : item.previous->next) = item.next;
    (item.next == nullptr ? last : item.next->previous) = item.previous;
  }

  class step {
   public:
    using allocator_type = Allocator;
    explicit step(std::shared_ptr<posted_items> items) noexcept : items_(std::move(items)), allocator_(items_->allocator) {}
    step(step&&) noexcept = default;
    step& operator=(step&&) = delete;
    ~step() {
      if (items_ == nullptr) return;
      if (work_item* const item = items_->pop()) item->drop();
    }
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_; }
    void operator()() {
      const auto items = std::move(items_);
      if (work_item* const item = items->pop()) item->run();
    }

   private:
    std::shared_ptr<posted_items> items_;
    Allocator allocator_;
  };
};

/// A place at an executor. Its steps, which the allocator is for, may find nothing, for an item that was taken back.
template <class Executor, class Allocator>
class executor_place : public resume_place {
  using items = posted_items<Executor, Allocator>;

 public:
  explicit executor_place(const Executor& executor, const Allocator& allocator = Allocator())
      : items_(std::make_shared<items>(executor, allocator, pending_operations::of(executor))) {}

  [[nodiscard]] const Executor& get_executor() const noexcept { return items_->executor; }
  [[nodiscard]] pending_operations& home() const noexcept { return *items_->home; }

  void post(work_item& item) noexcept override {
    auto to = items_;  // the place may be gone once the item is in the list
    pending_operations& home = *to->home;
    if (!home.begin_post()) return item.drop();
    to->push(item);
    net::post(to->executor, typename items::step(to));
    to.reset();
    home.end_post();
  }
  bool retract(work_item& item) noexcept override { return items_->remove(item); }

 protected:
  ~executor_place() = default;

 private:
  std::shared_ptr<items> items_;  // of the heap: whoever posts may be the last who has them, when the allocator has gone
};

}  // namespace runnel::inline RUNNEL_ABI::detail::inline RUNNEL_ASIO_KIND
