// Scheduling. A thread is ready, or waits for a lock, a wake, the parts' end. Masks of thread numbers say who is what.
//
// 1. One thread runs: `current`. All others stand at a point, or wait.
// 2. `ready` holds those that could run, the current one included; `timed` those that are parked with a deadline.
// 3. A thread that gave way is in `yielding` until another one makes a step: those that spin for each other's sake do not
//    hide those that they wait for. One that has done so often waits until all who were ready then have made one (`owed`).
#include "engine.hpp"

#include <bit>
#include <cstdio>
#include <exception>

#include "ledger.hpp"
#include "states.hpp"
#include "trace.hpp"
#include "weak.hpp"

#if defined(RUNNEL_MODEL_TSAN)
extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace model {
namespace {

bool race_reported = false;  // by ThreadSanitizer, in this execution

constexpr std::size_t stack_size = std::size_t{256} << 10;
constexpr std::uint32_t any_step = ~0U;
constexpr std::uint32_t loose_yields = 3;
constexpr std::uint32_t most_lonely_yields = 100;
constexpr std::int64_t near_time = 1'000'000'000;
constexpr std::int64_t first_time = 3'600'000'000'000;  // an hour after the clock's epoch

struct {
  std::array<thread, max_threads> threads;
  fiber host;
  thread* current = nullptr;
  std::uint32_t used = 0;
  std::uint32_t ready = 0;
  std::uint32_t timed = 0;
  std::uint32_t yielding = 0;
  std::uint32_t parts_left = 0;
  std::uint32_t stuck = 0;
  bool may_stick = false;
  bool draining = false;     // the main thread has ended: daemons run on until all of them are parked
  bool undisturbed = false;  // there are no choices, and no timer goes off
  bool running = false;
  bool leaks = false;
  std::uint32_t lonely = 0;
  std::uint32_t assertions = 0;  // being evaluated
  std::uint64_t execution = 0;
  std::uint64_t parks = 0;
  std::int64_t clock = first_time;
  past allocations;
  std::uint64_t returned = 0;  // the pasts of those whose operations have returned
  strategy* choices = nullptr;
  limits limit;
  outcome result;
  struct immortal_object {
    const void* key;
    void* memory;
  };
  std::array<immortal_object, 8> objects;
  std::uint32_t objects_used = 0;
  char start_token = 0;
  char end_token = 0;
  char help_token = 0;
} engine;

std::uint32_t number_of(const thread& t) noexcept { return static_cast<std::uint32_t>(&t - engine.threads.data()); }
std::uint32_t bit_of(const thread& t) noexcept { return 1U << number_of(t); }

/// What the thread has done, or has learned, goes into its past.
enum class event : std::uint64_t { goes_on = 1, read, is_woken, is_late, has_chosen, has_joined, starts, calls };
void note(thread& t, event what, std::uint64_t with) noexcept { t.past = mixed(t.past + static_cast<std::uint64_t>(what), with); }

void run(thread& next) noexcept {
  thread* const from = engine.current;
  if (from == &next) return;
  engine.current = &next;
  from->stack.switch_to(next.stack);
}

void fire(thread& t) noexcept {
  engine.clock = std::max(engine.clock, t.deadline);
  for (std::uint32_t mask = engine.timed; mask != 0; mask &= mask - 1) {
    thread& due = engine.threads[static_cast<std::size_t>(std::countr_zero(mask))];
    if (due.deadline > engine.clock) continue;
    engine.timed &= ~bit_of(due);
    engine.ready |= bit_of(due);
    due.now = thread::state::ready;
    due.timed_out = true;
    note(due, event::is_late, static_cast<std::uint64_t>(engine.clock));
  }
}

/// The state in which the current thread makes a choice.
std::uint64_t state() noexcept {
  std::uint64_t all = mixed(number_of(*engine.current) << 16U | engine.yielding, static_cast<std::uint64_t>(engine.clock));
  for (std::uint32_t i = 0; i < engine.used; ++i) {
    const thread& t = engine.threads[i];
    const std::uint64_t owed = (engine.yielding >> i & 1U) != 0 ? t.owed : 0;
    all += mixed(t.past, owed << 16U | i << 8U | static_cast<std::uint64_t>(t.now));
  }
  return all;
}
/// Ends the execution here. All stacks are left as they are, this one too, as are their objects, which are in the ledger; exceptions
/// that somebody has kept are not, and stay where they are: some bytes.
[[noreturn]] void leave_all() noexcept {
  engine.running = false;
  ledger::close();
  for (thread& t : engine.threads) t.now = thread::state::none;
  engine.current->stack.switch_to(engine.host);
  std::abort();
}
bool may_abandon() noexcept {
#if defined(RUNNEL_MODEL_TSAN) || defined(RUNNEL_MODEL_ASAN)
  return false;  // the sanitizers follow what is on a stack
#else
  if (fiber::handles_exceptions()) return false;  // the C++ runtime counts those that are on their way
  for (std::uint32_t i = 0; i < engine.used; ++i)
    if (&engine.threads[i] != engine.current && engine.threads[i].stack.has_exceptions()) return false;
  return true;
#endif
}
std::uint32_t choose_alternative(std::uint32_t count, std::uint32_t free, const alternative* list) noexcept {
  if (engine.choices->asks_for_states()) {
    engine.choices->enters(state());
    if (engine.choices->is_pruned() && may_abandon()) {
      engine.result.abandoned = true;
      leave_all();
    }
  }
  return engine.choices->choose(count, free, list);
}

bool makes_no_choices() noexcept { return engine.draining || engine.undisturbed; }
std::uint32_t far_timers() noexcept {
  std::uint32_t far = 0;
  for (std::uint32_t mask = engine.timed; mask != 0; mask &= mask - 1) {
    const thread& t = engine.threads[static_cast<std::size_t>(std::countr_zero(mask))];
    if (t.deadline - engine.clock > near_time) far |= bit_of(t);
  }
  return far;
}

/// Lets somebody run: the current thread, if it may go on, or one of `others`; or the first of the timers that go off.
void choose_thread(bool self, std::uint32_t others) noexcept {
  if (makes_no_choices()) {
    if (self) return;
    if (others != 0) return run(engine.threads[static_cast<std::size_t>(std::countr_zero(others))]);
  }
  alternative list[2 * max_threads];
  std::uint32_t count = 0;
  if (self) list[count++] = {static_cast<std::uint8_t>(number_of(*engine.current)), false};
  std::uint32_t free = count;
  for (std::uint32_t mask = others; mask != 0; mask &= mask - 1)
    list[count++] = {static_cast<std::uint8_t>(std::countr_zero(mask)), false};
  if (!self) free = count;
  const std::uint32_t far = far_timers();
  for (const std::uint32_t timers : {engine.timed & ~far, count == 0 || engine.limit.far_timers ? far : 0})
    for (std::uint32_t mask = timers; mask != 0; mask &= mask - 1)
      list[count++] = {static_cast<std::uint8_t>(std::countr_zero(mask)), true};
  if (free == 0) free = count;
  std::uint32_t chosen = 0;
  if (engine.draining) {
    for (std::uint32_t i = 1; i < count; ++i)
      if (engine.threads[list[i].thread].deadline < engine.threads[list[chosen].thread].deadline) chosen = i;
  } else if (count > 1) {
    chosen = choose_alternative(count, free, list);
  }
  thread& next = engine.threads[list[chosen].thread];
  if (list[chosen].timer) fire(next);
  run(next);
}

/// Nobody can run, and no timer is left.
void nobody_can_run() noexcept {
  thread& main = engine.threads[0];
  if (engine.draining) {
    engine.current->stack.switch_to(engine.host);
    return;
  }
  if (main.now == thread::state::joining && (engine.may_stick || engine.undisturbed)) {
    for (std::uint32_t i = 1; i < engine.used; ++i)
      if (!engine.threads[i].daemon && engine.threads[i].now != thread::state::finished) engine.stuck |= 1U << i;
    main.now = thread::state::ready;
    engine.ready |= 1U;
    note(main, event::has_joined, state());
    return run(main);
  }
  fail("deadlock: nobody can run");
}

/// The current thread cannot go on.
void leave() noexcept {
  std::uint32_t others = engine.ready & ~engine.yielding;
  if (others == 0) {
    others = engine.ready;
    engine.yielding = 0;
  }
  if (others == 0 && (engine.timed == 0 || engine.undisturbed)) return nobody_can_run();
  choose_thread(false, others);
}

void block(thread::state how) noexcept {
  thread& t = *engine.current;
  t.now = how;
  engine.ready &= ~bit_of(t);
  leave();
}
void make_ready(thread& t) noexcept {
  t.now = thread::state::ready;
  engine.ready |= bit_of(t);
  engine.timed &= ~bit_of(t);
}

void count_step(const void* object, const char* what, const place& at) noexcept {
  thread& t = *engine.current;
  t.object = object;
  t.step = what;
  t.at = at;
  if (++engine.result.steps > engine.limit.steps) fail("livelock: more steps than the limit");
}

void note_progress() noexcept {
  const std::uint32_t self = bit_of(*engine.current);
  for (std::uint32_t mask = engine.yielding & ~self; mask != 0; mask &= mask - 1) {
    thread& t = engine.threads[static_cast<std::size_t>(std::countr_zero(mask))];
    if (t.owed != any_step) t.owed &= ~self;
    if (t.owed == any_step || (t.owed & engine.ready) == 0) engine.yielding &= ~bit_of(t);
  }
}

void finish() noexcept {
  thread& t = *engine.current;
  order_before(&engine.end_token);
  if (t.locks_held != 0) fail("a thread ends with a lock held");
  t.now = thread::state::finished;
  engine.ready &= ~bit_of(t);
  if (number_of(t) == 0) {
    engine.draining = true;
    engine.result.end = mixed(engine.result.end, state());
  } else if (!t.daemon && --engine.parts_left == 0) {
    make_ready(engine.threads[0]);
  }
  leave();
}

void thread_loop(void* self) {
  auto& t = *static_cast<thread*>(self);
  for (;;) {
    order_after(&engine.start_token);
    if (engine.execution % 16 == 0) fiber::collect();  // it costs as much as a short execution
    t.body(t.argument);
    finish();
  }
}

thread& start_thread(const char* name, void (*body)(void*), void* argument, bool daemon) noexcept {
  if (engine.used == max_threads) fail("more threads than the engine has");
  thread& t = engine.threads[engine.used++];
  const bool waits_in_loop = t.entered && t.now == thread::state::finished;
  if (!waits_in_loop) {
    if (!t.entered) t.stack.create(stack_size);
    t.stack.reset(&thread_loop, &t);
    t.entered = true;
  }
  t.now = thread::state::ready;
  t.daemon = daemon;
  t.timed_out = false;
  t.locks_held = t.yields = t.owed = 0;
  t.name = name;
  t.body = body;
  t.argument = argument;
  t.step = "start";
  t.object = nullptr;
  t.storage.fill(0);
  t.past = number_of(t);
  if (engine.current != nullptr) {
    note(t, event::starts, engine.current->past);
    note(*engine.current, event::goes_on, 0);
  }
  engine.ready |= bit_of(t);
  order_before(&engine.start_token);
  if (engine.current != nullptr) weak::thread_starts(number_of(*engine.current), number_of(t));
  return t;
}

void start_parts(const part* parts, unsigned count) noexcept {
  require(engine.current == &engine.threads[0] && engine.parts_left == 0, "parts are started by the main thread, once at a time");
  for (unsigned i = 0; i < count; ++i) start_thread(parts[i].name, parts[i].body, parts[i].argument, false);
  engine.parts_left = count;
}
void join_parts(bool may_stick) noexcept {
  engine.may_stick = may_stick;
  if (engine.parts_left != 0) block(thread::state::joining);
  engine.may_stick = false;
  order_after(&engine.end_token);
  for (std::uint32_t i = 1; i < engine.used; ++i) {
    if (engine.threads[i].daemon) continue;
    weak::thread_joined(0, i);
    note(engine.threads[0], event::has_joined, engine.threads[i].past);
  }
}

const char* state_text(const thread& t) noexcept {
  switch (t.now) {
    case thread::state::ready: return "could run, at";
    case thread::state::locked_out: return "waits for the lock at";
    case thread::state::parked: return "is parked at";
    case thread::state::joining: return "waits for the parts";
    default: return "has ended";
  }
}

std::string report(const std::string& what) {
  std::string text = what;
  for (std::uint32_t i = 0; i < engine.used; ++i) {
    const thread& t = engine.threads[i];
    text += "\n    " + std::string(&t == engine.current ? "> " : "  ") + t.name + " " + state_text(t);
    if (t.now != thread::state::finished && t.now != thread::state::joining) text += " " + trace_position(t);
  }
  return text;
}

void check_memory() {
  const ledger::verdict memory = ledger::check();
  const auto number = [](const ledger::block& b) {
    return "allocation #" + std::to_string(b.number) + " of " + std::to_string(b.size) + " bytes";
  };
  if (memory.leaks != 0 && !engine.leaks) {
    engine.result.failed = true;
    engine.result.message = std::to_string(memory.leaks) + " leaks, the first " + number(memory.first_leak);
  } else if (memory.written_after_free.number != 0) {
    engine.result.failed = true;
    engine.result.message = "written after it was freed: " + number(memory.written_after_free);
  }
}

}  // namespace

void fail(const std::string& what) {
  const ledger::pause engines_own;
  if (!engine.running) {
    std::fprintf(stderr, "model: %s\n", what.c_str());
    std::abort();
  }
  engine.result.failed = true;
  engine.result.message = report(what);
  if (tracing()) std::printf("  FAILURE %s\n", engine.result.message.c_str());
  leave_all();
}

const outcome& execute(void (*body)(void*), void* argument, strategy& choices, const limits& limit) {
  for (std::uint32_t i = 0; i < engine.used; ++i) {
    thread& t = engine.threads[i];
    if (t.now != thread::state::finished) t.now = thread::state::none;  // its stack is abandoned
  }
  engine.used = engine.ready = engine.timed = engine.yielding = engine.parts_left = engine.stuck = engine.lonely =
      engine.objects_used = engine.assertions = 0;
  engine.draining = engine.undisturbed = engine.leaks = engine.may_stick = false;
  engine.parks = engine.returned = 0;
  cpus = 1;
  engine.clock = first_time;
  engine.choices = &choices;
  engine.limit = limit;
  engine.result.failed = engine.result.abandoned = false;
  engine.result.steps = engine.result.most_locks_held = 0;
  engine.result.end = 0;
  ++engine.execution;
  race_reported = false;
  forget_names();
  weak::execution_begins();
  choices.begin();
  engine.running = true;
  engine.current = nullptr;
  ledger::open();
  thread& main = start_thread("main", body, argument, false);
  engine.current = &main;
  engine.host.switch_to(main.stack);
  ledger::close();
  order_after(&engine.end_token);
  engine.running = false;
  if (!engine.result.failed && !engine.result.abandoned) check_memory();
  if (race_reported) {
    engine.result.failed = true;
    engine.result.message = "ThreadSanitizer reports a race: see above";
  }
  return engine.result;
}
void note_race() noexcept { race_reported = true; }

void run_parts(const part* parts, unsigned count) noexcept {
  start_parts(parts, count);
  join_parts(false);
}
bool run_parts_or_stick(const part* parts, unsigned count) noexcept {
  start_parts(parts, count);
  join_parts(true);
  return engine.stuck != 0;
}
bool is_stuck(unsigned part_index) noexcept { return (engine.stuck >> (part_index + 1) & 1U) != 0; }
void run_stuck_parts() noexcept {
  order_before(&engine.help_token);
  join_parts(false);
}

undisturbed::undisturbed() noexcept { engine.undisturbed = true; }
undisturbed::~undisturbed() { engine.undisturbed = false; }
void undisturbed::settle() noexcept {
  require(engine.current == &engine.threads[0] && engine.parts_left == 0, "the main thread waits until all is quiet");
  block(thread::state::joining);
}

std::uint32_t most_locks_held() noexcept { return engine.result.most_locks_held; }
std::uint32_t steps_made() noexcept { return engine.result.steps; }
void leaks_are_expected() noexcept { engine.leaks = true; }
void note_seen(std::uint64_t what) noexcept { engine.result.end = what; }

assertion_scope::assertion_scope() noexcept { engine.assertions += engine.limit.points_in_assertions ? 0U : 1U; }
assertion_scope::~assertion_scope() { engine.assertions -= engine.limit.points_in_assertions ? 0U : 1U; }
void assertion_failed(const char* expression, const char* file, int line) noexcept {
  const std::string_view path = file;
  fail("an assertion fails: " + std::string(expression) + " (" + std::string(path.substr(path.rfind('/') + 1)) + ":" +
       std::to_string(line) + ")");
}

void point(const void* object, const char* what, const place& at) noexcept {
  if (engine.assertions != 0) return;
  count_step(object, what, at);
  const std::uint32_t others = engine.ready & ~bit_of(*engine.current) & ~engine.yielding;
  if ((others | engine.timed) != 0) choose_thread(true, others);
  note(*engine.current, event::goes_on, 0);
  if (engine.yielding != 0) note_progress();
}

void give_way(const char* what, const place& at) noexcept {
  count_step(nullptr, what, at);
  if (tracing()) trace("", "", 0);
  thread& t = *engine.current;
  const std::uint32_t self = bit_of(t);
  const std::uint32_t all_others = engine.ready & ~self;
  if (all_others == 0 && (engine.timed == 0 || engine.undisturbed)) {
    if (++engine.lonely > most_lonely_yields) fail("livelock: a thread gives way for ever, and nobody else can run");
    return;
  }
  engine.lonely = 0;
  t.owed = ++t.yields > loose_yields ? all_others : any_step;
  engine.yielding |= self;
  std::uint32_t others = all_others & ~engine.yielding;
  if (others == 0) {
    engine.yielding = self;
    others = all_others;
  }
  choose_thread(false, others);
  engine.yielding &= ~self;
  note(t, event::goes_on, 0);
}

void touched_dead(const void* object) noexcept { fail("used where no object lives: " + describe_object(object)); }

void park_here(const void* word, std::int64_t deadline) noexcept {
  thread& t = *engine.current;
  note(t, event::goes_on, static_cast<std::uint64_t>(engine.clock));
  if (deadline <= engine.clock) return;
  if (engine.limit.spurious_wakes && !makes_no_choices() && choose_alternative(2, 1, nullptr) == 1)
    return note(t, event::has_chosen, 1);
  t.waits_for = word;
  t.deadline = deadline;
  t.timed_out = false;
  t.parked_at = ++engine.parks;
  if (deadline != no_deadline) engine.timed |= bit_of(t);
  order_before(&engine.end_token);  // for who outlives it: the main thread, if this one is stuck, and the next execution
  block(thread::state::parked);
  if (engine.stuck != 0) order_after(&engine.help_token);
  if (tracing()) trace("", t.timed_out ? "wakes: it is time" : "wakes", 0);
}

void wake_parked(const void* word, int count) noexcept {
  for (int woken = 0; woken < count; ++woken) {
    thread* first = nullptr;
    for (std::uint32_t i = 0; i < engine.used; ++i) {
      thread& t = engine.threads[i];
      if (t.now == thread::state::parked && t.waits_for == word && (first == nullptr || t.parked_at < first->parked_at)) first = &t;
    }
    if (first == nullptr) return;
    make_ready(*first);
    note(*first, event::is_woken, engine.current->past);
  }
}

void acquire_lock(lock_state& lock, const place& at) noexcept {
  point(&lock, "lock", at);
  thread& t = *engine.current;
  while (lock.execution == engine.execution && lock.owner != 0) {
    if (lock.owner == number_of(t) + 1) fail("a thread locks what it has locked");
    t.waits_for = &lock;
    block(thread::state::locked_out);
  }
  lock.execution = engine.execution;
  lock.owner = number_of(t) + 1;
  has_written(lock.done);
  weak::lock_acquired(&lock);
  if (++t.locks_held > engine.result.most_locks_held) engine.result.most_locks_held = t.locks_held;
  if (tracing()) trace("", "has it", 0);
}
bool try_acquire_lock(lock_state& lock, const place& at) noexcept {
  point(&lock, "try_lock", at);
  if (lock.execution == engine.execution && lock.owner != 0) {
    has_read(lock.done);
    return false;
  }
  acquire_lock(lock, at);
  return true;
}
void release_lock(lock_state& lock, const place& at) noexcept {
  point(&lock, "unlock", at);
  thread& t = *engine.current;
  if (lock.execution != engine.execution || lock.owner != number_of(t) + 1) fail("a thread unlocks what it has not locked");
  lock.owner = 0;
  has_written(lock.done);
  weak::lock_released(&lock);
  --t.locks_held;
  for (std::uint32_t i = 0; i < engine.used; ++i) {
    thread& other = engine.threads[i];
    if (other.now == thread::state::locked_out && other.waits_for == &lock) make_ready(other);
  }
  if (tracing()) trace("", "", 0);
}

void start_daemon(void (*body)(void*), void* argument, const place& at) noexcept {
  point(nullptr, "start_thread", at);
  thread& t = start_thread("", body, argument, true);
  static constexpr const char* names[max_threads] = {"",         "daemon 1", "daemon 2", "daemon 3", "daemon 4",  "daemon 5",
                                                     "daemon 6", "daemon 7", "daemon 8", "daemon 9", "daemon 10", "daemon 11"};
  t.name = names[number_of(t)];
  if (tracing()) trace("", t.name, 0);
}

std::int64_t read_clock() noexcept {
  note(*engine.current, event::goes_on, static_cast<std::uint64_t>(engine.clock));
  return engine.clock;
}
std::uint32_t choose_below(std::uint32_t n, const place& at) noexcept {
  count_step(nullptr, "random", at);
  if (n < 2 || makes_no_choices()) return 0;
  constexpr std::uint32_t most = 4;
  const std::uint32_t branches = std::min(n, most);
  const std::uint32_t chosen = choose_alternative(branches, branches, nullptr);
  note(*engine.current, event::has_chosen, chosen);
  const std::uint32_t value = chosen + 1 == branches ? n - 1 : chosen;
  if (tracing()) trace("", (value == 0 ? "is 0" : value == 1 ? "is 1" : value == 2 ? "is 2" : "is more"), value);
  return value;
}

void has_read(past& of) noexcept {
  if (of.execution != engine.execution) of = {0, 0, engine.execution};
  thread& t = *engine.current;
  note(t, event::read, of.written);
  of.read += mixed(t.past, 0);
}
void has_written(past& of) noexcept {
  if (of.execution != engine.execution) of = {0, 0, engine.execution};
  thread& t = *engine.current;
  t.past = mixed(t.past, of.written + of.read);
  of.written = mixed(t.past, 1);
  of.read = 0;
}
void has_allocated() noexcept {
  if (engine.running && engine.current != nullptr) has_written(engine.allocations);
}
void has_called() noexcept { note(*engine.current, event::calls, engine.returned); }
void has_returned() noexcept {
  note(*engine.current, event::goes_on, 1);
  engine.returned += mixed(engine.current->past, 0);
}

void* thread_storage() noexcept { return engine.current->storage.data(); }
void* storage_of_execution(std::size_t size, std::size_t alignment) { return ledger::allocate_forever(size, alignment); }
void* object_of_execution(const void* key, std::size_t size, std::size_t alignment, void (*make)(void* memory)) {
  for (std::uint32_t i = 0; i < engine.objects_used; ++i) {
    if (engine.objects[i].key != key) continue;
    order_after(engine.objects[i].memory);
    weak::lock_acquired(engine.objects[i].memory);
    return engine.objects[i].memory;
  }
  if (engine.objects_used == engine.objects.size()) fail("more immortal objects than the engine has room for");
  void* const memory = ledger::allocate_forever(size, alignment);
  make(memory);
  engine.objects[engine.objects_used++] = {key, memory};
  order_before(memory);
  weak::lock_released(memory);
  return memory;
}

void order_before([[maybe_unused]] void* object) noexcept {
#if defined(RUNNEL_MODEL_TSAN)
  __tsan_release(object);
#endif
}
void order_after([[maybe_unused]] void* object) noexcept {
#if defined(RUNNEL_MODEL_TSAN)
  __tsan_acquire(object);
#endif
}

thread& running_thread() noexcept { return *engine.current; }
unsigned running_number() noexcept { return number_of(*engine.current); }
std::uint32_t choose(std::uint32_t count, std::uint32_t free) noexcept {
  return makes_no_choices() || engine.assertions != 0 ? 0 : choose_alternative(count, free, nullptr);
}
bool in_assertion() noexcept { return engine.assertions != 0; }
bool lives_on_a_stack(const void* address, const char*& whose) noexcept {
  for (std::uint32_t i = 0; i < engine.used; ++i) {
    if (!engine.threads[i].stack.contains(address)) continue;
    whose = engine.threads[i].name;
    return true;
  }
  return false;
}
std::string choices_so_far() { return engine.choices == nullptr ? std::string() : engine.choices->decisions(); }

}  // namespace model

#if defined(RUNNEL_MODEL_TSAN)
extern "C" void __tsan_on_report(void*) { model::note_race(); }
#endif
