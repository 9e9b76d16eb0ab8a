// logpipe: follows a log, and stores its lines in a database: each of them once, whenever and however it is stopped and started again.
#include <getopt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <runnel/pipeline.hpp>

#include "store.hpp"
#include "tail.hpp"

namespace rn = runnel;

namespace {

constexpr std::array<std::string_view, 6> levels = {"trace", "debug", "info", "warning", "error", "fatal"};

// The place of a level among all; behind the last if there is no such level.
std::size_t rank(std::string_view level) { return static_cast<std::size_t>(std::ranges::find(levels, level) - levels.begin()); }

struct line {
  std::string text;
  position end;
  bool ends_chunk;
};

std::vector<line> split(const chunk& read) {
  std::vector<line> lines;
  for (std::size_t begin = 0; begin < read.lines.size();) {
    const std::size_t end = std::min(read.lines.find('\n', begin), read.lines.size());
    const std::size_t next = std::min(end + 1, read.lines.size());
    lines.push_back({read.lines.substr(begin, end - begin),
                     {read.begin.file, read.begin.offset + static_cast<std::int64_t>(next)},
                     next == read.lines.size()});
    begin = next;
  }
  return lines;
}

// "2026-11-26T10:00:00Z warning the message": what is not of this form is a message without time and level, which nobody filters out.
record parse(line&& from, std::size_t least) {
  record made;
  made.end = from.end;
  made.ends_chunk = from.ends_chunk;
  const std::size_t first = from.text.find(' ');
  const std::size_t second = first == std::string::npos ? first : from.text.find(' ', first + 1);
  const std::string_view level =
      first == std::string::npos ? std::string_view() : std::string_view(from.text).substr(first + 1, second - first - 1);
  const std::size_t importance = rank(level);
  made.is_wanted = importance >= least;
  if (importance == levels.size()) {
    made.message = std::move(from.text);
  } else {
    made.time = from.text.substr(0, first);
    made.level = level;
    if (second != std::string::npos) made.message = from.text.substr(second + 1);
  }
  return made;
}

struct settings {
  std::size_t level = 0;
  std::size_t batch = 1000;
  std::size_t milliseconds = 200;
  bool until_end = false;
};

void logpipe(const settings& set, const fs::path& log, const fs::path& path) {
  // Ctrl-C ends the source, and not the run: what has been read goes through all stages before run() returns.
  const rn::scoped_context stop = rn::with_signals(rn::context(), {SIGINT, SIGTERM});
  store stored(path, log);
  const auto pipeline =
      rn::from(tail(log, stored.at(), stop, set.until_end))  //
      | rn::flat_map(split)                                  //
      | rn::map([&](line&& text) { return parse(std::move(text), set.level); })
      // The last line of a read passes in any case: with it, the position gets ahead of those that were dropped.
      | rn::filter([](const record& parsed) { return parsed.is_wanted || parsed.ends_chunk; }) |
      rn::batch(set.batch, std::chrono::milliseconds(set.milliseconds))  // and here is the channel that bounds what waits
      | rn::for_each([&](const std::vector<record>& batch) { stored.add(batch); });
  pipeline.run();
}

int usage(std::FILE* to, int status) {
  std::fputs(
      "usage: logpipe [--level LEVEL] [--batch N] [--every MILLISECONDS] [--until-end] LOG DATABASE\n"
      "Stores the lines of LOG that are at least of a level in DATABASE, and follows it; --until-end: up to its end.\n",
      to);
  return status;
}
bool parse_number(std::string_view text, std::size_t least, std::size_t& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number >= least && number <= 1'000'000;
}

}  // namespace

int main(int argc, char** argv) {
  settings set;
  const option options[] = {{"level", required_argument, nullptr, 'l'}, {"batch", required_argument, nullptr, 'b'},
                            {"every", required_argument, nullptr, 'e'}, {"until-end", no_argument, nullptr, 'u'},
                            {"help", no_argument, nullptr, 'h'},        {}};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no threads yet
  for (int found = 0; (found = ::getopt_long(argc, argv, "h", options, nullptr)) != -1;) {
    if (found == 'h') return usage(stdout, 0);
    if (found == 'u') set.until_end = true;
    if (found == 'l') set.level = rank(optarg);
    if (found == '?' || set.level == levels.size() || (found == 'b' && !parse_number(optarg, 1, set.batch)) ||
        (found == 'e' && !parse_number(optarg, 0, set.milliseconds)))
      return usage(stderr, 2);
  }
  if (argc - optind != 2) return usage(stderr, 2);
  try {
    logpipe(set, fs::absolute(argv[optind]).lexically_normal(), argv[optind + 1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "logpipe: %s\n", error.what());
    return 1;
  }
  return 0;
}
