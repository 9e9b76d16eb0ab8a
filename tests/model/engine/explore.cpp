#include "explore.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "ledger.hpp"
#include "trace.hpp"
#include "weak.hpp"

namespace model {
namespace {

verdict* running = nullptr;

void run_body(void* s) { static_cast<const scenario*>(s)->body(); }

template <std::size_t n>
void copy_text(char (&to)[n], const std::string& from) {
  std::snprintf(to, n, "%s", from.c_str());
}

#if defined(RUNNEL_MODEL_TSAN) || defined(RUNNEL_MODEL_ASAN)

void catch_signals() {}  // the sanitizer says more about a crash

#else

/// A crash is a failure like any other, but the last one of its process.
void on_crash(int number) {
  ledger::close();
  if (running != nullptr) {
    copy_text(running->message,
              std::string("the program crashes: ") + ::strsignal(number) + ", " + trace_position(running_thread()));
    copy_text(running->decisions, choices_so_far());
    running->failed = running->finished = true;
  }
  std::_Exit(3);
}

void catch_signals() {
  static char stack[64 << 10];
  stack_t alternative{};
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof stack;
  ::sigaltstack(&alternative, nullptr);
  struct sigaction action{};
  action.sa_handler = &on_crash;
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND);
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::sigaction(number, &action, nullptr);
}

#endif

void catch_crashes() {
  static bool done = false;
  if (done) return;
  done = true;
  catch_signals();
  std::set_terminate([] { fail("std::terminate: an exception escapes"); });
}

/// False: it failed.
bool run(const scenario& s, const limits& limit, strategy& choices, std::uint64_t most, const char* name, verdict& v,
         void (*progress)(), known_states* ends = nullptr) {
  std::uint64_t count = 0;
  copy_text(v.strategy, name);
  for (bool more = true; more && count < most; more = choices.next()) {
    ++count;
    ++v.executions;
    const outcome& o = execute(&run_body, const_cast<scenario*>(&s), choices, limit);
    if (o.failed) {
      v.failed = true;
      copy_text(v.message, o.message);
      copy_text(v.decisions, choices.decisions());
      return false;
    }
    if (ends != nullptr && !o.abandoned) ends->add(o.end, 0);
    if (count % 65536 == 0) progress();
  }
  return true;
}

}  // namespace

std::vector<scenario>& scenarios() {
  static std::vector<scenario> all;
  return all;
}
void add_scenario(scenario s) { scenarios().push_back(std::move(s)); }

namespace {
language spoken{};
}
void set_language(const language& l) { spoken = l; }
const language* known_language() noexcept { return spoken.make == nullptr ? nullptr : &spoken; }

void explore(const scenario& s, const plan& p, verdict& v, void (*progress)()) {
  catch_crashes();
  running = &v;
  const auto start = std::chrono::steady_clock::now();
  const auto finish = [&] {
    v.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    v.finished = true;
    running = nullptr;
  };
#if defined(RUNNEL_MODEL_TSAN)
  constexpr bool addresses_are_ours = false;  // nor do they hang on the order of the steps alone
#else
  constexpr bool addresses_are_ours = true;
#endif
  const bool prunes = p.pruned && addresses_are_ours && !weak::is_used();
  v.bound = p.bound;
  const std::uint64_t most = s.most_executions == 0 ? p.most_executions : std::min(s.most_executions, p.most_executions);
  for (unsigned bound = 0; bound <= v.bound; ++bound) {
    limits limit = s.limit;
    limit.far_timers = limit.far_timers && bound <= s.far_timers_up_to;
    strategy search = strategy::depth_first(bound, prunes);
    const std::uint64_t before = v.executions;
    known_states ends;
    if (!run(s, limit, search, most, "depth-first", v, progress, &ends)) return finish();
    v.exhaustive = v.executions - before;
    v.states = search.states();
    v.ends = ends.size();
    if (!p.compares) continue;
    strategy full = strategy::depth_first(bound, false);
    known_states all;
    const std::uint64_t first = v.executions;
    if (!run(s, limit, full, most, "depth-first, unpruned", v, progress, &all)) return finish();
    if (all.size() == ends.size() || v.executions - first == most) continue;
    v.failed = true;
    copy_text(v.message, "the pruned search comes to " + std::to_string(ends.size()) + " ends, the full one to " +
                             std::to_string(all.size()) + " (bound " + std::to_string(bound) + ")");
    return finish();
  }
  v.exhausted = v.exhaustive < most;
  strategy uniform = strategy::uniform(p.seed);
  if (!run(s, s.limit, uniform, p.uniform, "uniform", v, progress)) return finish();
  strategy priorities = strategy::priorities(p.seed, 3);
  if (!run(s, s.limit, priorities, p.priorities, "priorities", v, progress)) return finish();
  finish();
}

void shrink(const scenario& s, verdict& v) {
  if (known_language() == nullptr || !s.name.starts_with("program ")) return;
  const plan quick{.bound = 2, .most_executions = 300'000, .uniform = 20'000, .priorities = 20'000};
  std::string text = s.name;
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const std::string& candidate : known_language()->smaller(text)) {
      verdict found;
      explore(known_language()->make(candidate), quick, found, [] {});
      if (!found.failed) continue;
      text = candidate;
      copy_text(v.smallest, candidate);
      copy_text(v.message, found.message);
      copy_text(v.decisions, found.decisions);
      smaller = true;
      break;
    }
  }
}

bool replay(const scenario& s, std::string_view decisions) {
  catch_crashes();
  verdict v;
  running = &v;
  strategy choices = strategy::replay(decisions);
  set_tracing(true);
  const outcome& o = execute(&run_body, const_cast<scenario*>(&s), choices, s.limit);
  set_tracing(false);
  std::printf("%s\n", o.failed ? o.message.c_str() : "passes");
  running = nullptr;
  return o.failed;
}

}  // namespace model
