// One scenario through all strategies.
#pragma once

#include "scenario.hpp"

#include <cstdint>
#include <string_view>

namespace model {

struct plan {
  unsigned bound = 2;
  std::uint64_t most_executions = 50'000'000;  // of the depth-first search; one that is cut off there is not exhausted
  std::uint64_t uniform = 10'000;
  std::uint64_t priorities = 10'000;
  std::uint64_t seed = 1;
  bool pruned = true;     // the depth-first search: see states.hpp
  bool compares = false;  // and the whole one comes to the same ends
};

/// Plain memory: it is written by one process and read by another.
struct verdict {
  bool taken = false;
  bool finished = false;
  bool exhausted = false;
  bool failed = false;
  unsigned bound = 0;
  std::uint64_t executions = 0;
  std::uint64_t exhaustive = 0;  // those of the depth-first search
  std::uint64_t states = 0;      // in which it had a choice
  std::uint64_t ends = 0;        // in which an execution ended
  double seconds = 0;
  char strategy[24] = "";  // the last one, which failed if it failed
  char decisions[1024] = "";
  char smallest[256] = "";  // the text that a failing program was shrunk to; message and decisions are that one's
  char message[4096] = "";
};

/// Explores it until something fails. `progress` is called now and then.
void explore(const scenario& s, const plan& p, verdict& v, void (*progress)());
/// Looks for the smallest program that fails like this one, if it is a program.
void shrink(const scenario& s, verdict& v);
/// Runs one schedule with a trace. Returns: whether it failed.
bool replay(const scenario& s, std::string_view decisions);

}  // namespace model
