// treesum: prints the SHA-256 of every regular file under some folders, as sha256sum does, with several files in work at a time.
//
// One walker sends each file to two channels: to the workers as a job, and to the printer as the receiving end of that job's
// answer. The printer takes the answers in the order of the walk, whichever worker is done first. All channels are bounded, so
// is the memory. The order: each folder's entries by the bytes of their names, a folder's content at the place of its name.
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/guarded.hpp>
#include <runnel/timer.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace fs = std::filesystem;
namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

struct answer {  // one whole line for stdout, or for stderr if there was a problem
  std::string text;
  bool failed = false;
};
struct job {
  std::string path;
  rn::send_channel<answer> reply;
};

std::atomic<std::uint64_t> files_read = 0, bytes_read = 0;  // what the progress line shows

answer problem(const std::string& path, const std::error_code& why) {
  return {"treesum: " + path + ": " + why.message() + "\n", true};
}

answer line(std::span<const unsigned char> digest, std::string_view path) {
  std::string text, name;
  for (const char c : path) {  // as sha256sum: a name with one of these is escaped, and a backslash opens the line
    if (c == '\n' || c == '\r' || c == '\\')
      name += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\\\";
    else
      name += c;
  }
  if (name.size() != path.size()) text += '\\';
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return {text + "  " + name + "\n"};
}

class hasher {  // what a worker keeps from file to file
 public:
  std::optional<answer> digest(const rn::context& ctx, const std::string& path) {  // nothing: canceled
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return problem(path, last_error());
    const std::unique_ptr<const int, decltype([](const int* fd) { ::close(*fd); })> closing(&file);
    check(EVP_DigestInit_ex(state_.get(), sha256_.get(), nullptr));
    for (;;) {
      if (ctx.done()) return std::nullopt;
      const ssize_t got = ::read(file, buffer_.data(), buffer_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return problem(path, last_error());
      if (got == 0) break;
      check(EVP_DigestUpdate(state_.get(), buffer_.data(), static_cast<std::size_t>(got)));
      bytes_read += static_cast<std::uint64_t>(got);
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    check(EVP_DigestFinal_ex(state_.get(), digest.data(), &size));
    ++files_read;
    return line(std::span(digest).first(size), path);
  }

 private:
  static std::error_code last_error() { return {errno, std::generic_category()}; }
  static void check(int ok) {
    if (ok != 1) throw std::runtime_error("libcrypto failed");
  }
  std::unique_ptr<EVP_MD, decltype([](EVP_MD* md) { EVP_MD_free(md); })> sha256_{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  std::unique_ptr<EVP_MD_CTX, decltype([](EVP_MD_CTX* state) { EVP_MD_CTX_free(state); })> state_{EVP_MD_CTX_new()};
  std::vector<char> buffer_ = std::vector<char>(64 * 1024);
};

class walker {
 public:
  walker(rn::context ctx, rn::send_channel<job> jobs, rn::send_channel<rn::recv_channel<answer>> in_order)
      : ctx_(std::move(ctx)), jobs_(std::move(jobs)), in_order_(std::move(in_order)) {}

  bool start(const fs::path& named) {  // false: canceled. What the command line names may be a link
    std::error_code ec;
    const fs::file_type type = fs::status(named, ec).type();
    if (ec) return report(problem(named, ec));
    if (type == fs::file_type::directory) return visit_folder(named);
    return type != fs::file_type::regular || submit(named);
  }

 private:
  bool visit_folder(const fs::path& folder) {
    std::error_code ec;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) entries.push_back(*it);
    if (ec && !report(problem(folder, ec))) return false;
    std::ranges::sort(entries, {}, [](const auto& entry) -> const std::string& { return entry.path().native(); });
    return std::ranges::all_of(entries, [this](const auto& entry) { return visit(entry); });
  }
  bool visit(const fs::directory_entry& entry) {
    if (ctx_.done()) return false;
    std::error_code ec;
    if (entry.is_symlink(ec)) return true;
    if (!ec && entry.is_directory(ec)) return visit_folder(entry.path());
    if (!ec && entry.is_regular_file(ec)) return submit(entry.path());
    return !ec || report(problem(entry.path(), ec));
  }
  bool submit(const fs::path& path) {
    auto reply = rn::make_channel<answer>(1);  // a worker never waits for the printer
    return in_order_.send(ctx_, std::move(reply.recv)) && jobs_.send(ctx_, job{path, std::move(reply.send)});
  }
  bool report(answer what) {
    auto reply = rn::make_channel<answer>(1);
    reply.send.send(std::move(what));
    return static_cast<bool>(in_order_.send(ctx_, std::move(reply.recv)));
  }

  rn::context ctx_;
  rn::send_channel<job> jobs_;
  rn::send_channel<rn::recv_channel<answer>> in_order_;
};

class screen {  // stdout and stderr, which may be the same terminal
 public:
  void print(const answer& what) {
    clear();
    std::fwrite(what.text.data(), 1, what.text.size(), what.failed ? stderr : stdout);
  }
  void show_progress() {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
    const double megabytes = static_cast<double>(bytes_read) / 1e6;
    std::fprintf(stderr, "\r\033[K%llu files, %.1f MB, %.1f MB/s", static_cast<unsigned long long>(files_read), megabytes,
                 megabytes / passed.count());
    shown_ = true;
  }
  void clear() {
    if (std::exchange(shown_, false)) std::fputs("\r\033[K", stderr);
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  bool shown_ = false;
};

// Prints the sums of all files under the folders. Returns whether all could be read; throws context_error if it was ended early.
bool treesum(const rn::context& parent, std::size_t workers, const std::vector<std::string>& folders) {
  rn::guarded<screen> output;
  auto jobs = rn::make_channel<job>(16 * workers);
  auto in_order = rn::make_channel<rn::recv_channel<answer>>(64 * workers);
  std::optional<rn::ticker> ticker;
  bool all_read = true;
  rn::errgroup group(parent);  // declared last: what its tasks use outlives it

  group.go([&folders, jobs = std::move(jobs.send), in_order = std::move(in_order.send)](const rn::context& ctx) mutable {
    walker walk(ctx, std::move(jobs), std::move(in_order));  // its end closes both channels
    for (const std::string& folder : folders)
      if (!walk.start(folder)) return;
  });
  for (std::size_t i = 0; i < workers; ++i)
    group.go([jobs = jobs.recv](const rn::context& ctx) {
      hasher hash;
      while (auto next = jobs.recv(ctx)) {
        auto sum = hash.digest(ctx, next->path);
        if (!sum) return;
        if (!next->reply.try_send(std::move(*sum))) return;  // there is room for one: only a printer that has gone says no
      }
    });
  if (::isatty(STDERR_FILENO) != 0) {
    ticker.emplace(100ms);
    group.go([&output, ticks = ticker->channel()](const rn::context& ctx) {
      while (ticks.recv(ctx)) output.lock()->show_progress();
    });
  }

  const rn::context running = group.ctx();
  while (auto reply = in_order.recv.recv(running)) {
    auto sum = reply->recv(running);
    if (!sum || running.done()) break;
    all_read = all_read && !sum->failed;
    output.lock()->print(*sum);
  }
  ticker.reset();  // closes its channel, which ends its task
  output.lock()->clear();
  group.wait();
  return all_read;
}

int usage(std::FILE* to, int status) {
  std::fputs(
      "usage: treesum [-j N] FOLDER...\n"
      "Prints the SHA-256 of every regular file under the folders, as sha256sum does, reading N files at a time.\n",
      to);
  return status;
}

int signal_number(const rn::context& ctx) {
  try {
    std::rethrow_exception(ctx.cause());
  } catch (const rn::signal_error& signal) {
    return signal.number();
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t workers = std::max(1u, std::thread::hardware_concurrency());
  static const option long_options[] = {{"help", no_argument, nullptr, 'h'}, {nullptr, 0, nullptr, 0}};
  for (int option; (option = ::getopt_long(argc, argv, "j:h", long_options, nullptr)) != -1;) {
    if (option == 'h') return usage(stdout, 0);
    if (option != 'j') return usage(stderr, 2);
    const std::string_view text = optarg;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), workers);
    if (error != std::errc() || end != text.data() + text.size() || workers < 1 || workers > 1024) return usage(stderr, 2);
  }
  const std::vector<std::string> folders(argv + optind, argv + argc);
  if (folders.empty()) return usage(stderr, 2);

  int status = 0;
  const rn::scoped_context ctx = rn::with_signals(rn::context(), {SIGINT, SIGTERM});
  try {
    status = treesum(ctx, workers, folders) ? 0 : 1;
  } catch (const rn::context_error&) {
    status = 128 + signal_number(ctx);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "treesum: %s\n", error.what());
    status = 1;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fputs("treesum: cannot write\n", stderr);
    return 1;
  }
  return status;
}
