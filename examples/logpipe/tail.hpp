// The log as a source for a pipeline: it answers whole lines, a read at a time, and waits for more at the end.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <runnel/context.hpp>
#include <runnel/task.hpp>
#include <string>
#include <system_error>
#include <utility>

namespace fs = std::filesystem;

// A place in a log: the file, which keeps its number when it is renamed, and the offset in it.
struct position {
  std::int64_t file = 0;
  std::int64_t offset = 0;
};
struct chunk {
  std::string lines;  // whole ones
  position begin;
};

class opened_file {
 public:
  opened_file() = default;
  explicit opened_file(const fs::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ == -1 && errno != ENOENT) fail(path);
  }
  opened_file(opened_file&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  opened_file& operator=(opened_file&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~opened_file() {
    if (fd_ != -1) ::close(fd_);
  }

  explicit operator bool() const noexcept { return fd_ != -1; }
  [[nodiscard]] struct stat status() const {
    struct stat is = {};
    if (::fstat(fd_, &is) != 0) fail("the log");
    return is;
  }
  [[nodiscard]] std::string read(std::int64_t offset, std::size_t most) const {
    std::string text(most, '\0');
    const ssize_t got = ::pread(fd_, text.data(), most, offset);
    if (got < 0) fail("the log");
    text.resize(static_cast<std::size_t>(got));
    return text;
  }

 private:
  [[noreturn]] static void fail(const fs::path& path) { throw std::system_error(errno, std::generic_category(), path.string()); }

  int fd_ = -1;
};

// Follows a log as `tail -F` does: it may grow, be cut, be renamed and made anew, and it need not be there yet.
class tail {
 public:
  // Starts at a position. Ends when `stop` is done, or at the end of the log: with that the pipeline ends like any other whose source
  // is exhausted, and all that was read before is stored. (The context of a run is for the other way: it drops what is under way.)
  tail(fs::path log, position start, runnel::context stop, bool until_end)
      : log_(std::move(log)), at_(start), stop_(std::move(stop)), until_end_(until_end) {}

  // A coroutine, so that no thread waits for the log to grow.
  runnel::task<std::optional<chunk>> operator()(const runnel::context& ctx) {
    const runnel::scoped_context running = runnel::merge(ctx, stop_);  // ctx is done when the pipeline has failed further down
    while (!running.done()) {
      std::optional<chunk> more = next();
      if (more || until_end_) co_return more;
      (void)co_await runnel::async_sleep_for(running, std::chrono::milliseconds(50));
    }
    co_return std::nullopt;
  }

 private:
  static constexpr std::size_t longest_line = std::size_t{256} * 1024;  // a longer one comes in parts, and needs no more memory

  // The next lines, if there are any.
  std::optional<chunk> next() {
    for (bool is_left = false;;) {
      if (!file_ && !open()) return std::nullopt;
      const struct stat is = file_.status();
      if (is.st_size < at_.offset) at_.offset = 0;  // it was cut
      std::string text = file_.read(at_.offset, longest_line);
      // What follows the last newline is not complete, unless nobody will go on with it.
      const std::size_t whole =
          is_left || text.size() == longest_line ? end_of_lines_or(text, text.size()) : end_of_lines_or(text, 0);
      if (whole > 0) {
        text.resize(whole);
        const position begin = std::exchange(at_, {at_.file, at_.offset + static_cast<std::int64_t>(whole)});
        return chunk{std::move(text), begin};
      }
      if (is_left) {
        file_ = opened_file();
        at_ = {};
      } else if (!is_replaced()) {
        return std::nullopt;
      } else {
        is_left = true;  // what was written before it was replaced comes first: it is looked at once more
      }
    }
  }
  static std::size_t end_of_lines_or(const std::string& text, std::size_t otherwise) {
    const std::size_t newline = text.rfind('\n');
    return newline != std::string::npos ? newline + 1 : otherwise;
  }

  // Opens the file of the position, also if it has been renamed since, within its folder; or else the log, from its beginning.
  bool open() {
    opened_file found(log_);
    if (at_.file != 0 && (!found || number_of(found) != at_.file)) {
      std::error_code ignored;
      for (fs::directory_iterator it(log_.parent_path(), ignored), end; !ignored && it != end; it.increment(ignored)) {
        struct stat is = {};
        if (::stat(it->path().c_str(), &is) != 0 || !S_ISREG(is.st_mode) || static_cast<std::int64_t>(is.st_ino) != at_.file)
          continue;
        found = opened_file(it->path());
        break;
      }
    }
    if (!found) return false;
    if (number_of(found) != at_.file) at_ = {number_of(found), 0};
    file_ = std::move(found);
    return true;
  }
  static std::int64_t number_of(const opened_file& file) { return static_cast<std::int64_t>(file.status().st_ino); }
  // Whether there is another file in the place of the open one.
  [[nodiscard]] bool is_replaced() const {
    struct stat is = {};
    return ::stat(log_.c_str(), &is) == 0 && static_cast<std::int64_t>(is.st_ino) != at_.file;
  }

  fs::path log_;
  position at_;
  runnel::context stop_;
  bool until_end_;
  opened_file file_;
};
