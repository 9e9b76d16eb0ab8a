// treesum: prints the SHA-256 of every regular file under some folders, as sha256sum does, with several files in work at a time.
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <runnel/runnel.hpp>
#include <thread>

#include "files.hpp"

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

struct job {
  std::string path;
  rn::send_channel<answer> reply;
};

class screen {  // stdout and stderr, which may be the same terminal
 public:
  void print(const answer& what) {
    erase_progress();
    std::fputs(what.line.c_str(), what.failed ? stderr : stdout);
  }
  void show_progress() {
    const double megabytes = static_cast<double>(bytes_read) / 1e6;
    const std::chrono::duration<double> passed = rn::clock::now() - begin_;
    std::fprintf(stderr, "\r\033[K%ju files, %.1f MB, %.1f MB/s", std::uintmax_t{files_read}, megabytes,
                 megabytes / passed.count());
    shown_ = true;
  }
  void erase_progress() {
    if (std::exchange(shown_, false)) std::fputs("\r\033[K", stderr);
  }

 private:
  rn::time_point begin_ = rn::clock::now();
  bool shown_ = false;
};

// Prints the sums of all files. Returns whether all could be read; throws context_error if it was stopped.
bool treesum(const rn::context& parent, std::size_t workers, const std::vector<std::string>& folders) {
  rn::guarded<screen> output;
  rn::channel<job> jobs(16 * workers);
  rn::channel<rn::recv_channel<answer>> in_order(64 * workers);
  std::optional<rn::ticker> ticker;
  bool all_read = true;
  rn::errgroup group(parent);  // declared last: what its tasks use outlives it

  group.go([&](const rn::context& ctx) {  // the walker: each file goes to a worker, and where its answer will be to the printer
    const rn::close_on_exit no_more_jobs(jobs), no_more_answers(in_order);
    const auto visit = [&](const fs::path& path, const std::error_code& error) {
      auto reply = rn::make_channel<answer>(1);  // with room for the answer: no worker waits for the printer
      if (!in_order.send(ctx, std::move(reply.recv))) return false;
      if (!error) return static_cast<bool>(jobs.send(ctx, {path, std::move(reply.send)}));
      return static_cast<bool>(reply.send.send(ctx, problem(path, error)));
    };
    for (const std::string& folder : folders) {
      std::error_code error;
      const fs::file_type type = fs::status(folder, error).type();  // what the command line names may be a link
      if (!error && type == fs::file_type::directory ? !walk(folder, visit) : !visit(folder, error)) return;
    }
  });
  for (std::size_t i = 0; i < workers; ++i)
    group.go([&](const rn::context& ctx) {
      while (auto next = jobs.recv(ctx)) {
        auto answer = digest(ctx, next->path);
        if (!answer || !next->reply.send(ctx, *std::move(answer))) return;
      }
    });
  if (::isatty(STDERR_FILENO) != 0)
    group.go([&output, ticks = ticker.emplace(100ms).channel()](const rn::context& ctx) {
      while (ticks.recv(ctx)) output.lock()->show_progress();
    });

  const rn::context running = group.ctx();
  while (auto reply = in_order.recv(running)) {
    const auto answer = reply->recv(running);
    if (!answer) break;
    all_read = all_read && !answer->failed;
    output.lock()->print(*answer);
  }
  ticker.reset();  // closes its channel, which ends its task
  output.lock()->erase_progress();
  group.wait();
  return all_read;
}

int usage(std::FILE* to, int status) {
  std::fputs("usage: treesum [-j N] FOLDER...\nPrints the SHA-256 of every regular file under the folders, N at a time.\n", to);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t workers = std::max(1U, std::thread::hardware_concurrency());
  for (int option = 0; (option = ::getopt(argc, argv, "j:h")) != -1;) {  // NOLINT(concurrency-mt-unsafe): no threads yet
    if (option != 'j') return option == 'h' ? usage(stdout, 0) : usage(stderr, 2);
    const char* const end = optarg + std::string_view(optarg).size();
    const auto parsed = std::from_chars(optarg, end, workers);
    if (parsed.ec != std::errc() || parsed.ptr != end || workers < 1 || workers > 1024) return usage(stderr, 2);
  }
  const std::vector<std::string> folders(argv + optind, argv + argc);
  if (folders.empty()) return usage(stderr, 2);

  int status = 0;
  const rn::scoped_context ctx = rn::with_signals(rn::context(), {SIGINT, SIGTERM});
  try {
    status = treesum(ctx, workers, folders) ? 0 : 1;
  } catch (const rn::context_error&) {
    try {
      std::rethrow_exception(ctx.cause());
    } catch (const rn::signal_error& signal) {
      status = 128 + signal.number();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "treesum: %s\n", error.what());
    status = 1;
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fputs("treesum: cannot write\n", stderr);
  return 1;
}
