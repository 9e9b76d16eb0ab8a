// The scheduler of a runtime: a fixed number of places, in which threads run tasks.
//
// 1. At most one thread is in a place; only it puts into the place's queue and its next slot. As many threads run tasks as there are
//    places, but for those that have come back from a wait and found no place: they finish the step that they are in.
// 2. A place is held by a thread, or handed to one that is about to come, or on the list of idle places, which the lock guards.
// 3. What a task resumes goes into its place's next slot, runs there next, and wakes nobody. What was there before goes into the place's
//    queue, as what it starts; what comes from elsewhere goes into the inbox, and from there into the shared queue. Others take from a
//    queue what was offered: what was started, at once; what was resumed, if more than a few wait, if steps last, or if it has waited for a
//    period of the watch. So tasks that hand values to each other in short steps stay together, and wake nobody.
// 4. A thread that is about to sleep in a wait gives its place up: to another thread if there is work, else to the idle list.
// 5. No work is forgotten: who puts in, or offers, work looks for an idle place afterwards; who makes a place idle looks for work
//    afterwards; all four are seq_cst. While somebody searches nobody is woken: the last searcher to find something wakes another if there
//    is more; and who sees that there is work once its place is idle searches for it. What is not offered its place runs: whoever gives a
//    place up looks into its queue.
// 6. What stays in a next slot, or in a queue without an offer, because the step before it takes long is found by the watch, which the
//    first hand-off starts, and which ends when all places are idle.
// 7. Abandoned, its coroutines are destroyed by the thread that ends it, and by others where that has to wait: see root_destroyer.hpp.
// 8. Schedulers are never freed, but used again: whoever posts the last step of a runtime may still be in post() when that has ended.
#pragma once

#include <runnel/detail/root_destroyer.hpp>
#include <runnel/detail/wait.hpp>

#include <cstddef>
#include <new>

namespace runnel::inline RUNNEL_ABI::detail {

class start_ticket;

class scheduler final : public resume_place, private destroyed_places {
  /// A thread while it runs tasks.
  struct thread final : scheduled_thread {
    thread(scheduler& s, place& p) noexcept : scheduled_thread(&s, &p) {}

   private:
    void give_place_up() noexcept override { owner->leave(*this); }
    void take_place_again() noexcept override { owner->come_back(*this); }
  };

 public:
  /// A scheduler for a new runtime, or one whose runtime has ended. Throws: std::bad_alloc.
  static scheduler& acquire_scheduler(unsigned places) {
    pool& all = immortal<pool>();
    const scoped_lock lock(all.lock);
    for (scheduler* known = all.first; known != nullptr; known = known->next_scheduler_)
      if (known->count_ == places && known->try_use_again()) return *known;
    static_assert(sizeof(scheduler) % alignof(place) == 0);
    constexpr std::size_t alignment = alignof(scheduler) > alignof(place) ? alignof(scheduler) : alignof(place);
    auto* const memory = static_cast<std::byte*>(immortal_storage(sizeof(scheduler) + places * sizeof(place), alignment));
    auto* const fresh = ::new (memory) scheduler(places, memory + sizeof(scheduler));
    fresh->next_scheduler_ = std::exchange(all.first, fresh);
    return *fresh;
  }
  /// The runtime has ended: the scheduler may be used again once nobody is in it.
  void release_scheduler() noexcept {
    const scoped_lock lock(mutex_);
    in_use_ = false;
  }
  /// The scheduler of the global runtime.
  static scheduler& global() { return *immortal<global_scheduler>().instance; }
  /// The scheduler whose task this thread runs, or the global one. Not inlined: as current_place().
  RUNNEL_NOINLINE static scheduler& current() {
    scheduler* const here = here_or_null();
    return here != nullptr ? *here : global();
  }
  RUNNEL_NOINLINE static scheduler* here_or_null() noexcept {
    const auto* const t = static_cast<const scheduled_thread*>(this_thread().tasks);
    return t == nullptr ? nullptr : t->owner;
  }

  using destroyed_places::enter_wait;
  using destroyed_places::leave_wait;
  using task_places::places;

  void post(work_item& item) noexcept override {
    place* const here = place_of_this_thread();
    if (here == nullptr || ended_.load(acquire) == abandoned) return put(item, false);  // [scheduler.ended] acquire: as in put
    if (here->next.load(relaxed) != nullptr)
      return post_before(*here, item);  // [place.next] relaxed: only this thread puts one there
    here->next.store(&item, release);   // [place.next] release: whoever takes it sees the item
    if (count_ > 1 && !is_watched()) start_watch();
  }
  bool retract(work_item& item) noexcept override { return take_back(place_of_this_thread(), item); }
  /// For a step that goes on for long: runs the item after what is queued at this place. False: there are idle places, or this is none.
  bool give_way(work_item& item) noexcept {
    if (idle_.load(relaxed) != 0 || place_of_this_thread() == nullptr) return false;  // relaxed: a hint
    put(item, true);
    return true;
  }

  /// For the coroutine that runs here, after operations_per_look of its operations. Whether it is to suspend: its step has lasted for
  /// longest_turn and something else waits at its place, which goes before what this step resumes; or its runtime was abandoned. One that a
  /// function runs belongs to that: it goes on.
  RUNNEL_NOINLINE static bool turn_is_over() noexcept {
    thread_slot& self = this_thread();
    self.operations_left = operations_per_look;
    const auto* const t = static_cast<const scheduled_thread*>(self.tasks);
    // [thread.in_function] relaxed: this thread wrote it
    if (t == nullptr || t->here == nullptr || t->in_function.load(relaxed) != 0) return false;
    place& here = *t->here;
    // [place.next] relaxed: a hint
    if (here.has_lasted(longest_turn) && (here.next.load(relaxed) != nullptr || !here.queue.empty() || t->owner->has_injected())) {
      here.others_after = 1;
      return true;
    }
    return t->owner->is_abandoned();
  }

  /// Where a task that begins on this thread is to be entered.
  [[nodiscard]] root_list& roots() noexcept {
    place* const here = place_of_this_thread();
    return (here != nullptr ? *here : places_[0]).roots;
  }

  /// Says that this thread is in a function and not in a coroutine, which can be destroyed when it does not run.
  class function_scope {
   public:
    function_scope() noexcept : thread_(static_cast<scheduled_thread*>(this_thread().tasks)) {
      if (thread_ != nullptr) thread_->in_function.store(1, release);  // [thread.in_function] release: the step before it has ended
    }
    function_scope(const function_scope&) = delete;
    function_scope& operator=(const function_scope&) = delete;
    ~function_scope() {
      if (thread_ != nullptr) thread_->in_function.store(0, seq_cst);  // [thread.in_function] seq_cst: before the look at ended_
    }

   private:
    scheduled_thread* thread_;
  };

  /// Waits until nothing runs, waits or is queued here, or the deadline has passed. True: nothing does, and nothing can be started
  /// any more.
  bool drain(time_point deadline) noexcept {
    for (;;) {
      thread_waiter self(false);
      wait_node node;
      node.owner = &self;
      {
        const scoped_lock lock(mutex_);
        if (ended_.load(relaxed) != open) return true;  // relaxed: under the lock
        if (is_drained()) {
          ended_.store(drained, release);  // [scheduler.ended] release: as in try_use_again
          return true;
        }
        drainers_.push(node);
        draining_.fetch_add(1, seq_cst);  // [scheduler.draining] seq_cst: with notify_drain
      }
      notify_drain();  // for what has ended since it was looked at
      const bool told = self.wait(deadline);
      bool left = false;
      {
        const scoped_lock lock(mutex_);
        draining_.fetch_sub(1, relaxed);  // relaxed: a hint for notify_drain
        if (node.queued) {
          drainers_.remove(node);
          left = true;
        }
      }
      if (!told && left) return false;
      if (!told) self.wait();
    }
  }
  /// Drops what has not begun, destroys what is suspended, and leaves alone what is in a function. Waits for steps of coroutines.
  void abandon() noexcept {
    {
      const scoped_lock lock(mutex_);
      if (ended_.load(relaxed) != open) return;  // relaxed: under the lock
      ended_.store(abandoned, seq_cst);          // [scheduler.ended] seq_cst: whoever begins a step has seen it, or is seen in it
    }
    destroy_all(here_or_null());
  }

 private:
  friend class start_ticket;

  enum ending : std::uint32_t { open, drained, abandoned };

  struct pool {
    mutex lock;
    scheduler* first = nullptr;
  };
  struct global_scheduler {
    scheduler* instance = &acquire_scheduler(cpu_count());
  };

  scheduler(unsigned places, void* memory) noexcept : destroyed_places(places, memory) {
    for (unsigned i = 0; i < places; ++i) {
      places_[i].run = &run_place;
      places_[i].owner = this;
      places_[i].roots.set_owner(this, [](void* owner) noexcept { static_cast<scheduler*>(owner)->notify_drain(); });
    }
  }

  bool try_use_again() noexcept {
    const scoped_lock lock(mutex_);
    if (in_use_ || !is_drained()) return false;
    in_use_ = true;
    begin_again();
    ended_.store(open, release);  // [scheduler.ended] release: whoever posts here sees what it was prepared with
    return true;
  }

  [[nodiscard]] place* place_of_this_thread() const noexcept {
    const auto* const t = static_cast<const scheduled_thread*>(this_thread().tasks);
    return t != nullptr && t->owner == this ? t->here : nullptr;
  }

  [[nodiscard]] bool should_wake() const noexcept {
    // [scheduler.idle, searching] seq_cst: after the work was put in (5).
    return idle_.load(seq_cst) != 0 && searching_.load(seq_cst) == 0;
  }
  void wake_one() noexcept {
    if (!should_wake()) return;
    if (place* const p = take_idle(true)) run_elsewhere(*p);
  }
  /// For a ticket. Returns: an idle place, with a thread for it, or null: others run, or will come.
  thread_task* reserve(thread_cache::worker*& worker) {
    // [scheduler.ended] acquire: as in put
    if (ended_.load(acquire) != open) throw std::logic_error("runnel::runtime: a task is started after it was shut down");
    if (!should_wake()) return nullptr;
    place* const p = take_idle(true);
    if (p == nullptr) return nullptr;
    try {
      worker = &thread_cache::instance().acquire_worker();
    } catch (...) {
      stop_searching(*p, false);
      if (become_idle(*p) && idle_.load(seq_cst) == count_) throw;  // [scheduler.idle] seq_cst: nobody runs
      return nullptr;
    }
    return p;
  }

  // Work.

  /// Puts it into the next slot, and what is there into the queue.
  RUNNEL_NOINLINE void post_before(place& here, work_item& item) noexcept {
    work_item* const before =
        here.next.exchange(&item, acq_rel);  // [place.next] acq_rel: somebody else may have taken what was there
    if (before == nullptr) return;
    if (!here.queue.push(*before)) {
      overflow(here, *before);
    } else {
      // relaxed: a hint. What is kept has run here before anybody has woken up.
      if (here.queue.size() <= here.keeps.load(relaxed)) return;
      here.queue.offer();
    }
    wake_one();
  }
  /// `woken`: a thread is on its way.
  void put(work_item& item, bool woken) noexcept {
    place* const here = place_of_this_thread();
    if (ended_.load(acquire) == abandoned) return item.drop();  // [scheduler.ended] acquire: nobody runs it any more
    if (here == nullptr) {
      put_in(item);
    } else if (here->queue.push(item)) {
      here->queue.offer();
    } else {
      overflow(*here, item);
    }
    if (!woken) wake_one();
  }

  void destroy_rest(const destroyer& me) noexcept override {
    for (backoff pause;; pause.pause()) {
      drop_work(me);
      if (!me.goes_on() || steps_have_ended()) break;
    }
    if (me.goes_on() && blocked_steps_.load(seq_cst) == 0) {  // [scheduler.blocked_steps] seq_cst: as [thread.in_function]
      end_waits();                                            // first: a frame may wait for a function that is in such a wait
      destroy_roots(me);
    }
    drop_work(me);
  }
  void put_found(work_item& item) noexcept override { put(item, false); }
  void wake_for_offer() noexcept override { wake_one(); }

  // Threads.

  static void run_place(thread_task* task) noexcept {
    place& p = *static_cast<place*>(task);
    scheduler& self = *static_cast<scheduler*>(p.owner);
    thread me(self, p);
    self.enter(me);
    this_thread().tasks = &me;
    work_item* item = nullptr;
    while (me.here != nullptr && item == nullptr && !self.is_abandoned()) {
      item = self.find_work(*me.here, me);
      if (item != nullptr && !self.is_abandoned()) std::exchange(item, nullptr)->run();
    }
    if (me.here != nullptr) self.drop_rest(me, item);
    this_thread().tasks = nullptr;
    self.exit(me);
  }
  // [scheduler.ended] seq_cst: as [thread.in_function]
  [[nodiscard]] bool is_abandoned() const noexcept { return ended_.load(seq_cst) == abandoned; }
  /// Drops what a place has taken, unless null, and what it finds: until it is idle the end waits for it.
  RUNNEL_NOINLINE void drop_rest(thread& me, work_item* item) noexcept {
    begin_destroying();  // before it takes something: in a function it was at rest, and nobody waits for it
    for (;;) {
      if (item != nullptr) {
        const function_scope at_rest;  // it may wait for what the end destroys
        item->drop();
      }
      if (me.here == nullptr) break;
      item = find_work(*me.here, me);
    }
    end_destroying();
  }
  void enter(thread& me) noexcept {
    const scoped_lock lock(mutex_);
    ++threads_;
    me.here->inside = &me;
  }
  void exit(const thread& me) noexcept {
    if (me.loose) blocked_steps_.fetch_sub(1, seq_cst);  // [scheduler.blocked_steps] seq_cst: as [thread.in_function]
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      --threads_;
      if (is_drained()) wakes.add_all(drainers_, status::ok);
    }
    wakes.resume_all();
  }
  /// The next item, searched for everywhere. Null: there is none, and the place is idle.
  RUNNEL_ALWAYS_INLINE work_item* find_work(place& p, thread& me) noexcept {
    for (;;) {
      work_item* item = next_item(p);
      if (item == nullptr) item = search(p);
      if (item != nullptr) {
        stop_searching(p, true);
        p.steps.store(p.turns, relaxed);  // relaxed: for the watch, which compares it
        return item;
      }
      stop_searching(p, false);
      if (!become_idle(p)) {
        start_searching(p);  // for what has come meanwhile, and woke nobody since somebody searched (5)
        continue;
      }
      me.here = nullptr;
      return nullptr;
    }
  }
  work_item* search(place& p) noexcept {
    if (!p.searching) {
      if (2 * searching_.load(relaxed) >= count_ && count_ > 1) return nullptr;  // relaxed: a hint, so that not all search at once
      start_searching(p);
    }
    for (int i = 0;;) {
      if (work_item* const item = steal(p)) return item;
      if (++i >= pauses_before_park) break;
      spin_hint();
    }
    // To sleep between two starts from elsewhere costs more than they do.
    work_item* item = nullptr;
    yield_until([&] { return (item = steal(p)) != nullptr; });
    return item;
  }
  void start_searching(place& p) noexcept {
    p.searching = true;
    searching_.fetch_add(1, seq_cst);  // [scheduler.searching] seq_cst: as in take_idle
  }
  void stop_searching(place& p, bool found) noexcept {
    if (!p.searching) return;
    p.searching = false;
    // [scheduler.searching] seq_cst: before the last look for work (5)
    if (searching_.fetch_sub(1, seq_cst) == 1 && found && has_work()) wake_one();
  }
  /// False: there is work after all, and the place is held.
  bool become_idle(place& p) noexcept {
    task_thread* inside = nullptr;
    {
      const scoped_lock lock(mutex_);
      inside = std::exchange(p.inside, nullptr);
      push_idle(p);
    }
    // [scheduler.searching] seq_cst: whoever searches looks once more before it gives up, or wakes another if it finds something (5).
    if (searching_.load(seq_cst) != 0 || !has_work()) return true;
    const scoped_lock lock(mutex_);
    if (!take_idle(p)) return true;  // somebody has taken it meanwhile
    p.inside = inside;
    return false;
  }
  void leave(thread& t) noexcept {
    if (t.in_function.load(relaxed) == 0 && !t.loose) {  // relaxed: this thread wrote it
      t.loose = true;
      blocked_steps_.fetch_add(1, seq_cst);  // [scheduler.blocked_steps] seq_cst: as [thread.in_function]
    }
    place* const p = std::exchange(t.here, nullptr);
    if (p == nullptr) return;
    const bool more = p->next.load(relaxed) != nullptr;  // relaxed: this thread put it there; the watch may have taken it
    if (!more && p->queue.empty() && !has_work() && become_idle(*p)) return;
    {
      const scoped_lock lock(mutex_);
      p->inside = nullptr;
    }
    run_elsewhere(*p);
  }
  void come_back(thread& t) noexcept {
    t.here = take_idle(false);
    if (t.here == nullptr) return;
    {
      const scoped_lock lock(mutex_);
      t.here->inside = &t;
    }
    if (!t.loose) return;
    t.loose = false;
    blocked_steps_.fetch_sub(1, seq_cst);  // [scheduler.blocked_steps] seq_cst: as [thread.in_function]
  }

  // The end.

  /// Under the lock.
  [[nodiscard]] bool is_drained() const noexcept {
    bool all_done = threads_ == 0 && idle_.load(seq_cst) == count_ && !has_injected();
    for (unsigned i = 0; all_done && i < count_; ++i) all_done = places_[i].roots.empty();
    return all_done;
  }
  void notify_drain() noexcept {
    if (draining_.load(seq_cst) == 0) return;  // [scheduler.draining] seq_cst: after what has ended
    wake_list wakes;
    {
      const scoped_lock lock(mutex_);
      if (is_drained()) wakes.add_all(drainers_, status::ok);
    }
    wakes.resume_all();
  }
  /// Whether every place is idle, or its thread in a function.
  [[nodiscard]] bool steps_have_ended() noexcept {
    const scoped_lock lock(mutex_);
    unsigned at_rest = idle_.load(seq_cst);
    for (unsigned i = 0; i < count_; ++i) {
      const auto* const t = static_cast<const thread*>(places_[i].inside);
      if (t != nullptr && t->in_function.load(seq_cst) != 0) ++at_rest;  // [thread.in_function] seq_cst: see abandon
    }
    return at_rest == count_;
  }

  atomic<std::uint32_t> ended_{open};  // changed under the lock
  atomic<std::uint32_t> draining_{0};
  atomic<std::uint32_t> blocked_steps_{0};  // of coroutines, whose thread has given its place up
  std::size_t threads_ = 0;                 // in places, or on their way back from a wait
  bool in_use_ = true;
  scheduler* next_scheduler_ = nullptr;  // under the lock of all
  wait_queue drainers_;
};

inline resume_place& current_place() { return scheduler::current(); }

}  // namespace runnel::inline RUNNEL_ABI::detail
