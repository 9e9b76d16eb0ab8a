#include "weak.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "engine.hpp"
#include "ledger.hpp"
#include "trace.hpp"

namespace model::weak {
namespace {

constexpr std::size_t most_objects = 320;
constexpr std::size_t most_stores = 4096;
constexpr std::size_t most_locks = 16;
constexpr std::size_t most_cells = 1U << 14U;
constexpr std::uint16_t none = 0xFFFF;

struct view {
  std::array<std::uint16_t, max_threads> clocks{};
  std::array<std::uint16_t, most_objects> seen{};

  void join(const view& other, std::size_t objects) noexcept {
    for (std::size_t i = 0; i < max_threads; ++i) clocks[i] = std::max(clocks[i], other.clocks[i]);
    for (std::size_t i = 0; i < objects; ++i) seen[i] = std::max(seen[i], other.seen[i]);
  }
};

struct stored {
  std::uint64_t value;
  std::uint16_t previous;  // in the list of all stores: the one before of the same object
  std::uint16_t place;     // in the object's modification order
  std::uint16_t carries;   // a view, or none
};
struct history {
  std::uint16_t newest = none;
  std::uint16_t ordered = 0;  // no seq_cst load reads a store before this place
};
/// What was done to some of the eight bytes of a cell: who wrote them last and who has read them since, and how far each had come.
struct accesses {
  std::uint8_t bytes = 0;  // a mask
  std::uint8_t writer = 0;
  std::uint16_t written = 0;
  std::uint16_t readers = 0;  // a mask; `read` is set where it says so
  std::array<std::uint16_t, max_threads> read;
};
/// Eight bytes of plain data. Accesses of other bytes of them are other ones, though they may overlap.
struct cell {
  std::uint64_t execution = 0;
  std::uintptr_t place = 0;
  std::uint32_t count = 0;
  std::array<accesses, 20> of;
};

bool in_use = false;
bool alone = true;  // the main thread has started no other: all that it has done happens before all others
std::uint64_t execution = 0;
std::array<view, max_threads> threads;
std::array<history, most_objects> objects;
std::array<stored, most_stores> stores;
std::array<view, most_stores> views;
std::array<cell, most_cells> cells;
struct lock_view {
  const void* lock;
  view carries;
};
std::array<lock_view, most_locks> locks;
std::size_t object_count = 0;
std::size_t store_count = 0;
std::size_t view_count = 0;
std::size_t lock_count = 0;

view& own() noexcept { return threads[running_number()]; }
bool acquires(ordering order) noexcept {
  return order == ordering::acquire || order == ordering::acq_rel || order == ordering::seq_cst;
}
bool releases(ordering order) noexcept {
  return order == ordering::release || order == ordering::acq_rel || order == ordering::seq_cst;
}

/// What the running thread knows, for others. What it does from here on is not a part of it.
std::uint16_t publish() noexcept {
  require(view_count < most_stores, "an execution with too many release stores");
  views[view_count] = own();
  ++own().clocks[running_number()];
  return static_cast<std::uint16_t>(view_count++);
}
void append(history& h, std::uint64_t value, std::uint16_t carries) noexcept {
  require(store_count < most_stores, "an execution with too many stores");
  const auto place = static_cast<std::uint16_t>(h.newest == none ? 0 : stores[h.newest].place + 1);
  stores[store_count] = {value, h.newest, place, carries};
  h.newest = static_cast<std::uint16_t>(store_count++);
}
history& history_of(object& o, std::uint64_t first) noexcept {
  if (o.execution != execution) {
    require(object_count < most_objects, "an execution with too many atomic objects");
    o = {execution, static_cast<std::uint32_t>(object_count)};
    objects[object_count++] = {};
    append(objects[o.number], first, none);
  }
  return objects[o.number];
}
void read(object& o, history& h, const stored& s, ordering order) noexcept {
  own().seen[o.number] = s.place;
  if (order == ordering::seq_cst) h.ordered = std::max(h.ordered, s.place);
  if (acquires(order) && s.carries != none) own().join(views[s.carries], object_count);
}
void write(object& o, history& h, std::uint64_t value, ordering order, std::uint16_t carried) noexcept {
  const auto place = static_cast<std::uint16_t>(stores[h.newest].place + 1);
  own().seen[o.number] = place;
  if (releases(order) && !alone) {
    const std::uint16_t kept = publish();
    if (carried != none) views[kept].join(views[carried], object_count);
    carried = kept;
  }
  append(h, value, carried);
  if (order == ordering::seq_cst) h.ordered = place;
}
std::uint16_t oldest_visible(const object& o, const history& h, ordering order) noexcept {
  return order == ordering::seq_cst ? std::max(own().seen[o.number], h.ordered) : own().seen[o.number];
}

cell& cell_of(std::uintptr_t place) noexcept {
  std::size_t i = place * 0x9E3779B97F4A7C15U >> 50U;
  for (std::size_t tries = 0; tries < most_cells; ++tries, i = (i + 1) % most_cells) {
    cell& c = cells[i];
    if (c.execution != execution) {
      c.execution = execution;
      c.place = place;
      c.count = 0;
    }
    if (c.place == place) return c;
  }
  fail("an execution with too much plain data");
}
[[noreturn]] void race(const char* what, const void* address, unsigned other) {
  fail("a race: " + std::string(what) + " does not happen before: " + describe_object(address) + ", thread " +
       std::to_string(other));
}

/// An access of some bytes of a cell: against those before, then one of them.
void access(const void* address, cell& c, std::uint8_t bytes, bool writes) noexcept {
  const unsigned number = running_number();
  const view& self = threads[number];
  accesses* own_bytes = nullptr;
  for (std::uint32_t i = 0; i < c.count; ++i) {
    accesses& a = c.of[i];
    if ((a.bytes & bytes) == 0) continue;
    if (a.written > self.clocks[a.writer])
      race(writes ? "plain data is written, and an earlier write" : "plain data is read, and the write", address, a.writer);
    if (writes)
      for (std::uint32_t mask = a.readers; mask != 0; mask &= mask - 1) {
        const auto t = static_cast<unsigned>(std::countr_zero(mask));
        if (a.read[t] > self.clocks[t]) race("plain data is written, and an earlier read", address, t);
      }
    if (a.bytes == bytes) own_bytes = &a;
  }
  if (own_bytes == nullptr) {
    require(c.count < c.of.size(), "plain data that is accessed in too many ways");
    own_bytes = &c.of[c.count++];
    own_bytes->bytes = bytes;
    own_bytes->written = own_bytes->readers = 0;
  }
  if (writes) {
    own_bytes->writer = static_cast<std::uint8_t>(number);
    own_bytes->written = self.clocks[number];
    own_bytes->readers = 0;
  } else {
    own_bytes->readers = static_cast<std::uint16_t>(own_bytes->readers | 1U << number);
    own_bytes->read[number] = self.clocks[number];
  }
}
void access(const void* from, std::size_t size, bool writes) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(from);
  for (std::uintptr_t at = first; at < first + size;) {
    const std::uintptr_t end = std::min(first + size, (at | 7U) + 1);
    access(from, cell_of(at >> 3U), static_cast<std::uint8_t>(((1U << (end - at)) - 1U) << (at & 7U)), writes);
    at = end;
  }
}

}  // namespace

void use() noexcept { in_use = true; }
bool is_used() noexcept { return in_use; }

std::uint64_t load(object& o, std::uint64_t first, ordering order) noexcept {
  history& h = history_of(o, first);
  if (in_assertion()) return stores[h.newest].value;  // a release build does not have it: it may not teach the thread anything
  const std::uint16_t oldest = oldest_visible(o, h, order);
  const std::uint16_t newest_place = stores[h.newest].place;
  const auto count = static_cast<std::uint32_t>(newest_place - oldest + 1);
  std::uint32_t back = count > 1 ? choose(std::min(count, 8U), 1) : 0;
  std::uint16_t at = h.newest;
  for (; back > 0; --back) at = stores[at].previous;
  read(o, h, stores[at], order);
  return stores[at].value;
}
void store(object& o, std::uint64_t first, std::uint64_t value, ordering order) noexcept {
  write(o, history_of(o, first), value, order, none);
}
std::uint64_t newest(object& o, std::uint64_t first) noexcept { return stores[history_of(o, first).newest].value; }
std::uint64_t read_newest(object& o, std::uint64_t first, ordering order) noexcept {
  history& h = history_of(o, first);
  read(o, h, stores[h.newest], order);
  return stores[h.newest].value;
}
void store_modified(object& o, std::uint64_t value, ordering order) noexcept {
  history& h = objects[o.number];
  write(o, h, value, order, stores[h.newest].carries);
}
bool fail_on_older(object& o, std::uint64_t first, std::uint64_t expected, ordering failure, std::uint64_t& seen) noexcept {
  history& h = history_of(o, first);
  const std::uint16_t oldest = oldest_visible(o, h, failure);
  std::array<std::uint16_t, 7> others{};
  std::uint32_t count = 0;
  for (std::uint16_t at = h.newest; stores[at].place > oldest && count < others.size();) {
    at = stores[at].previous;
    if (stores[at].value != expected) others[count++] = at;
  }
  const std::uint32_t chosen = count == 0 ? 0 : choose(count + 1, 1);
  if (chosen == 0) return false;
  const stored& s = stores[others[chosen - 1]];
  read(o, h, s, failure);
  seen = s.value;
  return true;
}

void data_written(const void* address, std::size_t size) noexcept { access(address, size, true); }
void data_read(const void* address, std::size_t size) noexcept { access(address, size, false); }
bool is_watched(const void* address) noexcept {
  if (!in_use || alone || !ledger::is_open() || in_assertion()) return false;
  const char* whose = nullptr;
  return running_thread().stack.contains(address) || ledger::owns(address) || lives_on_a_stack(address, whose);
}

void execution_begins() noexcept {
  if (!in_use) return;
  ++execution;
  alone = true;
  threads.fill({});
  threads[0].clocks[0] = 1;
  object_count = store_count = view_count = lock_count = 0;
}
void thread_starts(unsigned parent, unsigned child) noexcept {
  if (!in_use) return;
  alone = false;
  threads[child] = threads[parent];
  threads[child].clocks[child] = 1;
  ++threads[parent].clocks[parent];
}
void thread_joined(unsigned waiter, unsigned ended) noexcept {
  if (in_use) threads[waiter].join(threads[ended], object_count);
}
void lock_acquired(const void* lock) noexcept {
  if (!in_use) return;
  for (std::size_t i = 0; i < lock_count; ++i)
    if (locks[i].lock == lock) own().join(locks[i].carries, object_count);
}
void lock_released(const void* lock) noexcept {
  if (!in_use) return;
  std::size_t i = 0;
  while (i < lock_count && locks[i].lock != lock) ++i;
  require(i < most_locks, "an execution with too many locks");
  locks[i] = {lock, own()};
  lock_count = std::max(lock_count, i + 1);
  ++own().clocks[running_number()];
}

}  // namespace model::weak
