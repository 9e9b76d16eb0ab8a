// The places of a runtime, and the work that waits in them and for them.
//
// 1. A place is held by one thread, which alone puts into its queue and its next slot, or is on the list of idle places.
// 2. The idle list and the shared queue are changed under the lock only. What comes from elsewhere is put into the inbox under none, and
//    goes from there into the shared queue, in order, when somebody looks for work.
// 3. An item is in one of: a next slot, a place's queue, the inbox, the shared queue; whoever takes it out runs it, or puts it elsewhere.
#pragma once

#include <runnel/detail/root_list.hpp>
#include <runnel/detail/run_queue.hpp>
#include <runnel/detail/thread_cache.hpp>
#include <runnel/detail/work_inbox.hpp>

#include <new>

namespace runnel::inline RUNNEL_ABI::detail {

class task_thread;

struct alignas(cache_line) task_place : thread_task {
  task_place() noexcept : thread_task(nullptr) {}

  static constexpr std::uint32_t most_before_others = 61;

  /// Whether the step that runs here goes on since a look at it that was so long ago.
  bool has_lasted(duration length) noexcept {
    const time_point at = now();
    if (std::exchange(looked_at_turn, turns) == turns) return at - first_look >= length;
    first_look = at;
    return false;
  }

  void* owner = nullptr;
  std::uint32_t turns = 0;                          // steps that were run here
  std::uint32_t others_after = most_before_others;  // how many of them before what waits elsewhere goes first, once
  std::uint32_t looked_at_turn = 0;
  time_point first_look;
  bool searching = false;           // whoever comes here counts as a searcher
  task_place* next_idle = nullptr;  // under the lock
  task_thread* inside = nullptr;    // who is in it, once it has come; under the lock
  atomic<std::uint32_t> steps{0};   // changes with each step; these four for the watch
  std::uint32_t watched_steps = 0;
  work_item* watched_item = nullptr;
  std::uint64_t watched_position = 0;
  atomic<std::uint64_t> keeps{tasks_kept_together};  // how many that were resumed may wait without an offer
  atomic<work_item*> next{nullptr};                  // what runs next
  run_queue queue;
  root_list roots;
};

class task_places {
 public:
  using place = task_place;

  task_places(const task_places&) = delete;
  task_places& operator=(const task_places&) = delete;

  [[nodiscard]] unsigned places() const noexcept { return count_; }

 protected:
  task_places(unsigned count, void* memory) noexcept : count_(count), places_(::new(memory) place[count]) {
    for (unsigned i = count; i-- > 0;) push_idle(places_[i]);
  }
  ~task_places() = default;

  // The idle places.

  void push_idle(place& p) noexcept {
    p.next_idle = std::exchange(idle_places_, &p);
    idle_.fetch_add(1, seq_cst);  // [scheduler.idle] seq_cst: before the last look for work (5)
  }
  place* take_idle(bool searching) noexcept {
    const scoped_lock lock(mutex_);
    place* const p = idle_places_;
    if (p == nullptr) return nullptr;
    idle_places_ = p->next_idle;
    idle_.fetch_sub(1, seq_cst);  // [scheduler.idle] seq_cst: as in push_idle
    p->searching = searching;
    if (searching) searching_.fetch_add(1, seq_cst);  // [scheduler.searching] seq_cst: whoever puts work in need not wake another
    return p;
  }
  /// Takes a place back that this thread has put on the list. False: somebody else has it.
  bool take_idle(place& p) noexcept {
    place** at = &idle_places_;
    while (*at != nullptr && *at != &p) at = &(*at)->next_idle;
    if (*at == nullptr) return false;
    *at = p.next_idle;
    idle_.fetch_sub(1, seq_cst);  // [scheduler.idle] seq_cst: as in push_idle
    return true;
  }

  // Work.

  /// Under no lock, by a thread that is in no place here.
  void put_in(work_item& item) noexcept { inbox_.push(item); }

  // Under the lock.

  void append(work_item& item) noexcept {
    item.next = nullptr;
    item.previous = last_;
    (last_ == nullptr ? first_ : last_->next) = &item;
    last_ = &item;
    injected_.fetch_add(1, seq_cst);  // [scheduler.injected] seq_cst: before the look whether anybody is idle (5)
  }
  /// Moves what was put in to the shared queue.
  void empty_inbox() noexcept {
    if (inbox_.looks_empty()) return;  // whoever has to see an item looks by has_work
    // [scheduler.injected] seq_cst: first, so that whoever becomes idle meanwhile sees in one of the two that there is work.
    injected_.fetch_add(1, seq_cst);
    const std::uint64_t count = inbox_.move_to(first_, last_, [](work_item&) noexcept {});
    injected_.fetch_add(count - 1, seq_cst);  // [scheduler.injected] seq_cst: as in append
  }
  void detach(work_item& item) noexcept {
    (item.previous == nullptr ? first_ : item.previous->next) = item.next;
    (item.next == nullptr ? last_ : item.next->previous) = item.previous;
    injected_.fetch_sub(1, relaxed);  // relaxed: under the lock, which whoever sees work takes
  }
  work_item* detach_first() noexcept {
    empty_inbox();
    work_item* const item = first_;
    if (item != nullptr) detach(*item);
    return item;
  }

  // Under no lock.

  /// The place's queue is full: half of it goes to the shared queue.
  RUNNEL_NOINLINE void overflow(place& p, work_item& item) noexcept {
    const scoped_lock lock(mutex_);
    empty_inbox();  // what came before goes first
    p.queue.take_half([this](work_item& moved) noexcept { append(moved); });
    append(item);
  }
  /// Takes from the shared queue one item, and this place's share of the others into its own.
  work_item* take_injected(place& p) noexcept {
    if (!has_injected()) return nullptr;
    const scoped_lock lock(mutex_);
    work_item* const item = detach_first();
    const std::uint64_t share = injected_.load(relaxed) / count_;  // relaxed: under the lock
    for (std::uint64_t i = 0; i < share && i < run_queue::capacity / 2 && first_ != nullptr; ++i) {
      work_item& moved = *first_;
      detach(moved);  // first: whoever takes it from the queue owns its links
      if (p.queue.push(moved)) {
        p.queue.offer();
        continue;
      }
      append(moved);
      break;
    }
    return item;
  }
  work_item* next_item(place& p) noexcept {
    ++p.turns;
    if (--p.others_after == 0) {  // now and then: what waits elsewhere, and what waits behind a next slot that is always full
      p.others_after = place::most_before_others;
      if (work_item* const item = take_injected(p)) return item;
      if (work_item* const item = p.queue.pop()) return item;
    }
    // [place.next] relaxed: a hint; acq_rel: sees the item, whoever put it there.
    if (p.next.load(relaxed) != nullptr)
      if (work_item* const item = p.next.exchange(nullptr, acq_rel)) return item;
    if (work_item* const item = p.queue.pop()) return item;
    return take_injected(p);
  }
  work_item* steal(place& p) noexcept {
    const unsigned start = random_below(count_);
    for (unsigned i = 0; i < count_; ++i) {
      place& victim = places_[(start + i) % count_];
      if (&victim == &p || !victim.queue.has_offer()) continue;
      work_item* first = nullptr;
      victim.queue.take_half([&](work_item& item) noexcept {
        if (first == nullptr)
          first = &item;
        else
          p.queue.push(item);  // there is room: it was empty
      });
      if (first == nullptr) continue;
      p.queue.offer();
      return first;
    }
    return take_injected(p);
  }
  /// Whether there may be something in the shared queue, or the inbox.
  [[nodiscard]] bool has_injected() const noexcept {
    return !inbox_.empty() || injected_.load(seq_cst) != 0;  // [scheduler.injected] seq_cst: as in append
  }
  [[nodiscard]] bool has_work() const noexcept {
    if (has_injected()) return true;
    for (unsigned i = 0; i < count_; ++i)
      if (places_[i].queue.has_offer()) return true;
    return false;
  }
  /// Takes an item back. `here`: the place that this thread holds, or null. False: it is neither there nor in the shared queue.
  bool take_back(place* here, work_item& item) noexcept {
    if (here != nullptr) {
      work_item* seen = &item;
      if (here->next.compare_exchange(seen, nullptr, acq_rel, acquire)) return true;  // [place.next] as in post
      if (here->queue.retract(item)) return true;
    }
    const scoped_lock lock(mutex_);
    empty_inbox();
    for (work_item* at = first_; at != nullptr; at = at->next) {
      if (at != &item) continue;
      detach(item);
      return true;
    }
    return false;
  }

  /// Takes out what is queued anywhere, one after the other: nobody runs it any more. Null: nothing is.
  work_item* take_any() noexcept {
    for (unsigned i = 0; i < count_; ++i) {
      place& p = places_[i];
      if (p.next.load(relaxed) != nullptr)  // [place.next] relaxed, acq_rel: as in next_item
        if (work_item* const item = p.next.exchange(nullptr, acq_rel)) return item;
      if (work_item* const item = p.queue.pop()) return item;
    }
    const scoped_lock lock(mutex_);
    return detach_first();
  }

  // For the watch.

  [[nodiscard]] std::uint32_t sum_of_steps() const noexcept {
    std::uint32_t sum = 0;
    for (unsigned i = 0; i < count_; ++i) sum += places_[i].steps.load(relaxed);  // relaxed: compared, not used
    return sum;
  }
  void look_at_places() noexcept {
    for (unsigned i = 0; i < count_; ++i) {
      place& p = places_[i];
      p.watched_steps = p.steps.load(relaxed);  // relaxed: compared, not used
      p.watched_item = p.next.load(acquire);    // [place.next] acquire: of use only if it can be taken
      p.watched_position = p.queue.oldest();
    }
  }
  /// Takes what has been in the next slot since the look, while one step has taken all the time. Null: there is no such thing.
  static work_item* take_stuck(place& p) noexcept {
    work_item* item = p.watched_item;
    if (item == nullptr || p.steps.load(relaxed) != p.watched_steps) return nullptr;   // relaxed: compared, not used
    return p.next.compare_exchange(item, nullptr, acq_rel, acquire) ? item : nullptr;  // [place.next] acq_rel: as in next_item
  }

  const unsigned count_;
  place* const places_;
  alignas(cache_line) work_inbox inbox_;
  alignas(cache_line) atomic<unsigned> idle_{0};
  atomic<unsigned> searching_{0};
  alignas(cache_line) mutable mutex mutex_;
  place* idle_places_ = nullptr;
  work_item* first_ = nullptr;  // the shared queue
  work_item* last_ = nullptr;
  atomic<std::uint64_t> injected_{0};
};

}  // namespace runnel::inline RUNNEL_ABI::detail
