// wordcount: how often each word stands in the files under some folders: map-reduce by hand, on channels, and again as a pipeline.
#include <getopt.h>

#include <charconv>
#include <csignal>
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>
#include <runnel/pipeline.hpp>
#include <thread>

#include "words.hpp"

namespace rn = runnel;

namespace {

// What could not be read: the rest goes on, and the status says that something is missing. All tasks share it.
class problems {
 public:
  void report(const fs::path& path, const std::error_code& why) {
    const auto any = any_.lock();
    *any = true;
    std::fprintf(stderr, "wordcount: %s: %s\n", path.c_str(), why.message().c_str());
  }
  bool any() { return *any_.lock(); }

 private:
  rn::guarded<bool> any_;
};

// Whether there are words to count in it.
bool is_file(const entry& found, problems& reported) {
  if (found.error) reported.report(found.path, found.error);
  return !found.error && found.type == fs::file_type::regular;
}
void count_file(const rn::context& ctx, const fs::path& path, table& words, problems& reported) {
  if (const std::error_code error = count_words(ctx, path, words)) reported.report(path, error);
}

// Each of these three answers the table of all words. Throws context_error if it was stopped: there is no table of some of them.

table sequential(const rn::context& ctx, tree next, problems& reported) {
  table words;
  while (const auto found = next()) {
    if (is_file(*found, reported)) count_file(ctx, found->path, words, reported);
    ctx.throw_if_done();
  }
  return words;
}

table by_hand(const rn::context& parent, std::size_t workers, tree next, problems& reported) {
  rn::channel<fs::path> paths(16 * workers);  // what bounds the memory: a walker that is ahead waits here
  auto [finished, tables] = rn::make_channel<table>();
  rn::errgroup group(parent);  // declared last: what its tasks use outlives it

  group.go([&](const rn::context& ctx) {  // the walker
    const rn::close_on_exit no_more(paths);
    while (auto found = next())
      if (ctx.done() || (is_file(*found, reported) && !paths.send(ctx, std::move(found->path)))) return;
  });
  for (std::size_t i = 0; i < workers; ++i)  // the counters: each fills a table of its own, and gives it away at the end
    group.go([&, to = finished](const rn::context& ctx) {
      table words;
      while (const auto path = paths.recv(ctx)) count_file(ctx, *path, words, reported);
      (void)to.send(ctx, std::move(words));  // if it fails the group is canceled, and wait() says so
    });
  finished = nullptr;  // the counters have the others: the channel closes when the last of them has ended

  table all;
  const rn::context running = group.ctx();
  while (auto words = tables.recv(running)) merge(all, *std::move(words));
  group.wait();
  return all;
}

table as_pipeline(const rn::context& ctx, std::size_t workers, tree next, problems& reported) {
  const auto count = [&](const rn::context& running, entry&& found) {
    table words;
    count_file(running, found.path, words, reported);
    return words;
  };
  const auto words = rn::from(std::move(next))                                                   //
                     | rn::filter([&](const entry& found) { return is_file(found, reported); })  //
                     | rn::map(count, rn::workers(workers), rn::unordered)                       // a sum is the same in any order
                     | rn::reduce(table(), [](table&& all, table&& some) {
                         merge(all, std::move(some));
                         return std::move(all);
                       });
  return words.run(ctx);
}

void print(const table& words, std::size_t most) {
  for (const auto& [word, count] : sorted(words)) {
    if (most-- == 0) return;
    std::printf("%ju %.*s\n", std::uintmax_t{count}, static_cast<int>(word.size()), word.data());
  }
}

int usage(std::FILE* to, int status) {
  std::fputs(
      "usage: wordcount [-j N] [-n K] [--by-hand | --pipeline | --sequential] FOLDER...\n"
      "Prints the words of all files under the folders, the K most frequent ones, with N files in work at a time.\n",
      to);
  return status;
}
bool parse(std::string_view text, std::size_t least, std::size_t most, std::size_t& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number >= least && number <= most;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t workers = std::max(1U, std::thread::hardware_concurrency());
  std::size_t most = SIZE_MAX;
  int mode = 'p';
  const option modes[] = {{"by-hand", no_argument, &mode, 'b'},
                          {"pipeline", no_argument, &mode, 'p'},
                          {"sequential", no_argument, &mode, 's'},
                          {"help", no_argument, nullptr, 'h'},
                          {}};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no threads yet
  for (int found = 0; (found = ::getopt_long(argc, argv, "j:n:h", modes, nullptr)) != -1;) {
    if (found == 'h') return usage(stdout, 0);
    if (found == '?' || (found == 'j' && !parse(optarg, 1, 1024, workers)) || (found == 'n' && !parse(optarg, 0, SIZE_MAX, most)))
      return usage(stderr, 2);
  }
  const std::vector<std::string> folders(argv + optind, argv + argc);
  if (folders.empty()) return usage(stderr, 2);

  problems reported;
  const rn::scoped_context ctx = rn::with_signals(rn::context(), {SIGINT, SIGTERM});
  try {
    print(mode == 's'   ? sequential(ctx, tree(folders), reported)
          : mode == 'b' ? by_hand(ctx, workers, tree(folders), reported)
                        : as_pipeline(ctx, workers, tree(folders), reported),
          most);
  } catch (const rn::context_error&) {
    try {
      std::rethrow_exception(ctx.cause());
    } catch (const rn::signal_error& signal) {
      return 128 + signal.number();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wordcount: %s\n", error.what());
    return 1;
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return reported.any() ? 1 : 0;
  std::fputs("wordcount: cannot write\n", stderr);
  return 1;
}
