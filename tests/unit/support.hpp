// What tests of several headers share: threads that are joined, gates, waiting until a peer waits, payloads that count themselves.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <runnel/channel.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

namespace rn = runnel;

/// How often to repeat something: sanitizers make it ten times slower and more.
constexpr int scaled(int plain, [[maybe_unused]] int sanitized) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  return plain < sanitized ? plain : sanitized;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
  return plain < sanitized ? plain : sanitized;
#else
  return plain;
#endif
#else
  return plain;
#endif
}

/// A counter for whatever threads tell the test: Catch2's assertions belong to the test's own thread.
using counter = rn::detail::atomic<std::uint32_t>;
inline std::uint32_t read(const counter& c) { return c.load(rn::detail::acquire); }
inline void add(counter& c, std::uint32_t n = 1) { c.fetch_add(n, rn::detail::acq_rel); }

/// Waits until a condition is true that another thread makes true.
template <class Condition>
void wait_until(Condition condition) {
  const rn::detail::blocking_scope blocking;  // for a task, whose place another may need to make it true
  for (rn::detail::backoff wait; !condition();) wait.pause();
}
inline void wait_for(const counter& c, std::uint32_t value) {
  wait_until([&] { return read(c) == value; });
}

/// Threads that are joined at the end of the scope. join() also rethrows what the first of them that failed has thrown.
class crew {
 public:
  crew() = default;
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;
  ~crew() { join_all(); }

  template <class F>
  void go(F f) {
    threads_.emplace_back([this, f = std::move(f)]() mutable {
      std::exception_ptr error;
      try {
        f();
      } catch (...) {
        error = std::current_exception();
      }
      if (error == nullptr) return;
      const std::lock_guard lock(mutex_);
      if (error_ == nullptr) error_ = std::move(error);
    });
  }
  void join() {
    join_all();
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void join_all() {
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }

  std::mutex mutex_;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

/// Closed until it is opened, once.
class gate {
 public:
  void open() {
    open_.store(1, rn::detail::release);
    rn::detail::unpark(&open_, 1 << 30);
  }
  void wait() const {
    const rn::detail::blocking_scope blocking;
    while (read(open_) == 0) rn::detail::park(open_, 0);
  }

 private:
  counter open_{0};
};

/// How many calls are queued at a channel.
template <class Handle>
std::size_t receiving(const Handle& ch) {
  return rn::detail::channel_access::core(ch)->queued().first;
}
template <class Handle>
std::size_t sending(const Handle& ch) {
  return rn::detail::channel_access::core(ch)->queued().second;
}
template <class Handle>
void wait_until_receiving(const Handle& ch, std::size_t n = 1) {
  wait_until([&] { return receiving(ch) == n; });
}
template <class Handle>
void wait_until_sending(const Handle& ch, std::size_t n = 1) {
  wait_until([&] { return sending(ch) == n; });
}

/// The kinds of channels, as parameters of tests: a capacity, or none for unbounded.
using size_parameter = std::optional<std::size_t>;
template <class T>
rn::channel<T> make(size_parameter capacity) {
  return capacity ? rn::channel<T>(*capacity) : rn::channel<T>(rn::unbounded);
}
inline std::string name_of(size_parameter capacity) { return capacity ? "capacity " + std::to_string(*capacity) : "unbounded"; }

/// A move-only value whose live instances are counted; a moved-from one counts until it is destroyed.
class counted {
 public:
  static std::int64_t live() noexcept { return instances().load(rn::detail::acquire); }

  explicit counted(int v = 0) noexcept : value_(v) { change(1); }
  counted(counted&& other) noexcept : value_(std::exchange(other.value_, -1)) { change(1); }
  counted& operator=(counted&& other) noexcept {
    value_ = std::exchange(other.value_, -1);
    return *this;
  }
  ~counted() { change(-1); }
  /// -1 once it has been moved from.
  [[nodiscard]] int value() const noexcept { return value_; }

 private:
  static rn::detail::atomic<std::int64_t>& instances() noexcept {
    static rn::detail::atomic<std::int64_t> count{0};
    return count;
  }
  static void change(std::int64_t n) noexcept { instances().fetch_add(n, rn::detail::acq_rel); }

  int value_;
};

}  // namespace support
