// The program: takes the scenarios that are linked in through their plan, in several processes, and says what came of it.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "explore.hpp"
#include "invariants.hpp"
#include "states.hpp"

namespace {

using model::plan;
using model::scenario;
using model::verdict;

struct options {
  plan what;
  unsigned jobs = 2;
  std::uint32_t from = 1;  // the number of the first scenario that is run
  std::vector<std::string> filters;
  bool list = false;
  bool invariants = false;
  bool expect_failure = false;  // a planted bug: the first failure is what is asked for
  bool table = false;
  std::uint64_t generated = 0;
};

constexpr std::uint64_t most_of_generated = 100'000;  // programs at random are many rather than exhausted

struct shared_state {
  std::atomic<std::uint32_t> next{0};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> executions{0};
  verdict verdicts[1];
};

[[noreturn]] void usage() {
  std::puts(
      "usage: runnel_model [options] [name, or part of a name, or the text of a program ...]\n"
      "  --bound N        preemptions of the exhaustive search (2)\n"
      "  --random N       schedules at random, and as many by random priorities (10000)\n"
      "  --most N         executions after which the exhaustive search of a scenario is cut off (50000000)\n"
      "  --seed N         of the random schedules (1)\n"
      "  --generate N     so many programs of the seed, too (0); --seed 0 takes a new seed\n"
      "  --jobs N         processes (2)\n"
      "  --from N         begins with the N-th of the scenarios (1): to go on where a long run was stopped\n"
      "  --unpruned       the exhaustive search makes choices again that it has made in the same state\n"
      "  --compare        searches pruned and unpruned, and fails unless both come to the same ends\n"
      "  --list           the scenarios\n"
      "  --invariants     which scenarios prove which invariant\n"
      "  --table          a line for each scenario, when it ends\n"
      "  --expect-failure ends well if a scenario fails, and says after how many executions\n"
      "--replay 'name:decisions', or RUNNEL_MODEL_REPLAY='name:decisions' replays one schedule with a trace.");
  std::exit(2);
}

options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto number = [&](auto& to) {
      if (++i == argc) usage();
      const char* const end = argv[i] + std::strlen(argv[i]);
      if (std::from_chars(argv[i], end, to).ptr != end) usage();
    };
    if (word == "--bound")
      number(o.what.bound);
    else if (word == "--random")
      number(o.what.uniform);
    else if (word == "--most")
      number(o.what.most_executions);
    else if (word == "--seed")
      number(o.what.seed);
    else if (word == "--generate")
      number(o.generated);
    else if (word == "--jobs")
      number(o.jobs);
    else if (word == "--from")
      number(o.from);
    else if (word == "--unpruned")
      o.what.pruned = false;
    else if (word == "--compare")
      o.what.compares = true;
    else if (word == "--list")
      o.list = true;
    else if (word == "--invariants")
      o.invariants = true;
    else if (word == "--table")
      o.table = true;
    else if (word == "--expect-failure")
      o.expect_failure = true;
    else if (word.starts_with("-"))
      usage();
    else
      o.filters.emplace_back(word);
  }
  o.what.priorities = o.what.uniform;
  if (o.what.seed == 0)
    o.what.seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) % 1'000'000'007U;
  return o;
}

/// A scenario by its name, or the program that the name is the text of; null if there is none.
scenario* named(std::string_view name) {
  for (scenario& s : model::scenarios())
    if (s.name == name) return &s;
  if (model::known_language() == nullptr) return nullptr;
  try {
    static std::deque<scenario> made;
    return &made.emplace_back(model::known_language()->make(name));
  } catch (const std::invalid_argument&) {
    return nullptr;
  }
}

std::vector<const scenario*> selected(const options& o) {
  std::vector<const scenario*> list;
  const auto all = [&](std::string_view part) {
    bool known = false;
    for (const scenario& s : model::scenarios()) {
      if (s.name.find(part) == std::string::npos) continue;
      known = true;
      if (std::ranges::find(list, &s) == list.end()) list.push_back(&s);  // several parts may select it
    }
    if (known) return;
    if (const scenario* const one = named(part)) list.push_back(one);
  };
  if (o.filters.empty() && o.generated == 0) all("");
  for (const std::string& filter : o.filters) all(filter);
  for (std::uint64_t i = 0; i < o.generated && model::known_language() != nullptr; ++i) {
    scenario* const s = named(model::known_language()->generate(o.what.seed, i));
    s->most_executions = most_of_generated;
    list.push_back(s);
  }
  return list;
}

/// The table in README.md: run.py compares them.
void print_invariants(const std::vector<const scenario*>& list) {
  std::puts("| invariant | scenarios, by family |\n|---|---|");
  for (int number = 1; number <= static_cast<int>(model::invariants.size()); ++number) {
    std::map<std::string, unsigned> families;
    for (const scenario* s : list)
      if (std::ranges::find(s->proves, number) != s->proves.end())
        ++families[s->name.starts_with("program ") ? "program" : s->name.substr(0, s->name.find('/'))];
    std::printf("| %d. %s |", number, model::invariants[static_cast<std::size_t>(number - 1)]);
    const char* separator = " ";
    for (const auto& [family, count] : families) std::printf("%s%s %u", std::exchange(separator, ", "), family.c_str(), count);
    std::puts(families.empty() ? " NONE |" : " |");
  }
}

shared_state* shared = nullptr;
std::uint64_t reported = 0;
const verdict* current = nullptr;

void note_progress() {
  shared->executions.fetch_add(current->executions - reported, std::memory_order_relaxed);
  reported = current->executions;
}

/// Whether its exhaustive search was ended before it was through, and that was not meant.
bool is_cut(const scenario& s, const verdict& v) { return !v.failed && !v.exhausted && s.most_executions == 0; }
/// The line of `--table`.
void print_line(const scenario& s, const verdict& v) {
  const char* const how = v.failed ? "FAILED   " : v.exhausted ? "exhausted" : is_cut(s, v) ? "CUT OFF  " : "sampled  ";
  std::printf("%-44s bound %u %s %12llu executions %10llu states %8llu ends %8.2f s\n", s.name.c_str(), v.bound, how,
              static_cast<unsigned long long>(v.exhaustive), static_cast<unsigned long long>(v.states),
              static_cast<unsigned long long>(v.ends), v.seconds);
  std::fflush(stdout);
}

[[noreturn]] void work(const std::vector<const scenario*>& list, const options& o) {
  for (;;) {
    const std::uint32_t i = shared->next.fetch_add(1, std::memory_order_relaxed);
    if (i >= list.size() || shared->stop.load(std::memory_order_relaxed)) std::_Exit(0);
    verdict& v = shared->verdicts[i];
    v.taken = true;
    reported = 0;
    current = &v;
    model::explore(*list[i], o.what, v, &note_progress);
    note_progress();
    if (o.table) print_line(*list[i], v);
    if (v.failed && !o.expect_failure) model::shrink(*list[i], v);
    if (v.failed && o.expect_failure) shared->stop.store(true, std::memory_order_relaxed);
  }
}

int run_all(const std::vector<const scenario*>& list, const options& o) {
  const std::size_t size = sizeof(shared_state) + list.size() * sizeof(verdict);
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  shared = ::new (memory) shared_state;
  shared->next.store(o.from - 1);
  for (std::size_t i = 0; i < list.size(); ++i) ::new (&shared->verdicts[i]) verdict;
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto launch = [&] {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) work(list, o);
    return child;
  };
  unsigned running = 0;
  while (running < o.jobs && running < list.size()) {
    launch();
    ++running;
  }
  const bool terminal = ::isatty(1) != 0;
  double last_line = 0;
  while (running != 0) {
    int status = 0;
    const pid_t child = ::waitpid(-1, &status, WNOHANG);
    if (child > 0) {
      --running;
      if (status != 0 && shared->next.load() < list.size() && !shared->stop.load()) {  // it crashed: another takes its place
        launch();
        ++running;
      }
      continue;
    }
    ::usleep(20'000);
    if (seconds() - last_line > (terminal ? 0.5 : 20.0)) {
      last_line = seconds();
      std::printf("%smodel: %u of %zu scenarios, %.1f million executions, %.0f s%s", terminal ? "\r" : "",
                  std::min<std::uint32_t>(shared->next.load(), static_cast<std::uint32_t>(list.size())), list.size(),
                  static_cast<double>(shared->executions.load()) / 1e6, seconds(), terminal ? "" : "\n");
      std::fflush(stdout);
    }
  }
  if (terminal) std::printf("\r\033[K");

  std::uint64_t executions = 0;
  unsigned taken = 0;
  unsigned failed = 0;
  unsigned cut_off = 0;
  double work_seconds = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    verdict& v = shared->verdicts[i];
    if (!v.taken) continue;
    ++taken;
    executions += v.executions;
    work_seconds += v.seconds;
    if (!v.finished) {
      v.failed = true;
      std::snprintf(v.message, sizeof v.message, "the process ended");
    }
    if (v.failed) ++failed;
    const bool is_cut_off = v.finished && is_cut(*list[i], v);
    if (is_cut_off) ++cut_off;
    if (is_cut_off && !o.table) print_line(*list[i], v);
    if (v.failed) {
      const char* const name = *v.smallest != 0 ? v.smallest : list[i]->name.c_str();
      std::printf("\n%s fails (%s, execution %llu)%s%s:\n  %s\n  replay: RUNNEL_MODEL_REPLAY='%s:%s' runnel_model\n",
                  list[i]->name.c_str(), v.strategy, static_cast<unsigned long long>(v.executions),
                  *v.smallest != 0 ? "; shrunk to " : "", v.smallest, v.message, name, v.decisions);
    }
  }
  std::printf("model: %u scenarios, %llu executions, %.0f/s; %u failed, %u cut off; seed %llu\n", taken,
              static_cast<unsigned long long>(executions), static_cast<double>(executions) / (work_seconds > 0 ? work_seconds : 1),
              failed, cut_off, static_cast<unsigned long long>(o.what.seed));
  if (o.expect_failure) return failed != 0 ? 0 : 1;
  return failed != 0 || cut_off != 0 ? 1 : 0;
}

/// "name:decisions": one schedule, with a trace.
int replay(std::string_view request) {
  const std::size_t colon = request.rfind(':');
  if (const scenario* const s = named(request.substr(0, colon))) return model::replay(*s, request.substr(colon + 1)) ? 1 : 0;
  std::fprintf(stderr, "no such scenario\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (const char* const text = std::getenv("RUNNEL_MODEL_REPLAY")) return replay(text);
  if (argc == 3 && std::string_view(argv[1]) == "--replay") return replay(argv[2]);
  const options o = parse(argc, argv);
  const auto list = selected(o);
  if (o.list) {
    for (const scenario* s : list) std::puts(s->name.c_str());
    return 0;
  }
  if (o.invariants) return print_invariants(list), 0;
  model::known_states::share_memory(std::max(o.jobs, 1U));
  if (o.from == 0 || list.size() < o.from) {
    std::fprintf(stderr, "no such scenario\n");
    return 2;
  }
  return run_all(list, o);
}
