// Signals that end contexts: one handler, one pipe, one thread.
//
// 1. A signal's count is how many live scopes name it. While it is not zero the library's handler is in place, and `found_` is
//    the disposition from before; both change under the lock.
// 2. The handler sets a flag and writes a byte into the pipe: nothing else is safe there. The thread reads, takes what was flagged, and
//    for each signal takes all scopes that name it off the list, gives its disposition back, and then has each of them ended in a
//    thread of its own: stop callbacks may block, and one may not hold up the other scopes.
// 3. A scope is on the list until it ends or is dropped. Nobody ends a scope under the lock.
// 4. Nothing of this is ever destroyed: a signal may come while the program ends.
#pragma once

#include <runnel/detail/context_core.hpp>
#include <runnel/detail/thread_cache.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace runnel::inline RUNNEL_ABI {

/// The cause of a context that a signal ended. code() is status::canceled.
class signal_error : public std::system_error {
 public:
  explicit signal_error(int number)
      : std::system_error(make_error_code(status::canceled), "signal " + std::to_string(number)), number_(number) {}
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

namespace detail {

class signal_scope;

class signal_watch {
 public:
  static constexpr int signal_count = NSIG;

  static signal_watch& instance() { return immortal<signal_watch>(); }

  /// Puts a scope on the list. Throws: std::invalid_argument for a number that no handler can be set for, std::system_error.
  void add(signal_scope& scope);
  /// Takes a scope off the list, if it is there.
  void remove(signal_scope& scope) noexcept;

 private:
  struct signal_state {
    atomic<std::uint32_t> arrived{0};
    std::size_t scopes = 0;
    struct sigaction found{};
  };

  template <class T>
  friend T& immortal();
  signal_watch() = default;

  /// Under the lock.
  void start();
  void watch_signal(int number);
  void unwatch_signal(int number) noexcept;
  void unlink(signal_scope& scope) noexcept;

  void run() noexcept;
  void deliver(int number) noexcept;
  static void handler(int number) noexcept;

  mutex mutex_;
  bool started_ = false;
  signal_scope* scopes_ = nullptr;
  std::array<signal_state, signal_count> signals_{};
  int read_end_ = -1;
  atomic<int> write_end_{-1};
};

/// What the handler uses: set before the handler is.
inline constinit atomic<signal_watch*> signal_target{nullptr};

class signal_scope final : public cancel_scope {
 public:
  explicit signal_scope(context_node* parent) noexcept : cancel_scope(parent) {}

  void name(int number) noexcept { named_[static_cast<std::size_t>(number)] = true; }
  [[nodiscard]] bool names(int number) const noexcept { return named_[static_cast<std::size_t>(number)]; }

 private:
  friend class signal_watch;

  void on_end() noexcept override { signal_watch::instance().remove(*this); }
  void detach() noexcept override {
    cancel_scope::detach();
    signal_watch::instance().remove(*this);
  }

  std::array<bool, signal_watch::signal_count> named_{};
  bool linked_ = false;  // these three under the watch's lock
  signal_scope* next_ = nullptr;
  signal_scope* previous_ = nullptr;
  signal_scope* ending_ = nullptr;  // the next of those that one signal ends: the thread's alone
};

inline void signal_watch::start() {
  if (started_) return;
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "runnel::with_signals: pipe");
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);  // a full pipe has woken the thread
  try {
    read_end_ = ends[0];
    start_thread([this]() noexcept { run(); });
  } catch (...) {
    ::close(ends[0]);
    ::close(ends[1]);
    throw;
  }
  write_end_.store(ends[1], relaxed);  // relaxed: published by signal_target
  signal_target.store(this, release);  // [signal_watch.target] release: the handler sees the pipe
  started_ = true;
}

inline void signal_watch::handler(int number) noexcept {
  const int saved = errno;
  signal_watch* const self = signal_target.load(acquire);  // [signal_watch.target] acquire: as in start
  // [signal_watch.arrived] release: what this thread did before the signal happens before the end.
  self->signals_[static_cast<std::size_t>(number)].arrived.store(1, release);
  const char byte = 0;
  const int end = self->write_end_.load(relaxed);  // relaxed: see start
  while (::write(end, &byte, 1) < 0 && errno == EINTR) {
  }
  errno = saved;
}

inline void signal_watch::watch_signal(int number) {
  signal_state& s = signals_[static_cast<std::size_t>(number)];
  if (s.scopes == 0) {
    s.arrived.store(0, relaxed);  // relaxed: no handler is in place
    struct sigaction action{};
    action.sa_handler = &handler;
    action.sa_flags = SA_RESTART;
    ::sigfillset(&action.sa_mask);
    if (::sigaction(number, &action, &s.found) != 0)
      throw std::invalid_argument("runnel::with_signals: no handler can be set for signal " + std::to_string(number));
  }
  ++s.scopes;
}

inline void signal_watch::unwatch_signal(int number) noexcept {
  signal_state& s = signals_[static_cast<std::size_t>(number)];
  RUNNEL_ASSERT(s.scopes != 0);
  if (--s.scopes != 0) return;
  struct sigaction current{};
  // A handler that somebody has set since is theirs: it stays.
  if (::sigaction(number, nullptr, &current) == 0 && current.sa_handler == &handler) ::sigaction(number, &s.found, nullptr);
}

inline void signal_watch::unlink(signal_scope& scope) noexcept {
  (scope.previous_ == nullptr ? scopes_ : scope.previous_->next_) = scope.next_;
  if (scope.next_ != nullptr) scope.next_->previous_ = scope.previous_;
  scope.next_ = scope.previous_ = nullptr;
  scope.linked_ = false;
  for (int number = 1; number < signal_count; ++number)
    if (scope.names(number)) unwatch_signal(number);
}

inline void signal_watch::add(signal_scope& scope) {
  const scoped_lock lock(mutex_);
  start();
  int number = 1;
  try {
    for (; number < signal_count; ++number)
      if (scope.names(number)) watch_signal(number);
  } catch (...) {
    while (--number > 0)
      if (scope.names(number)) unwatch_signal(number);
    throw;
  }
  scope.linked_ = true;
  scope.next_ = scopes_;
  if (scopes_ != nullptr) scopes_->previous_ = &scope;
  scopes_ = &scope;
}

inline void signal_watch::remove(signal_scope& scope) noexcept {
  const scoped_lock lock(mutex_);
  if (scope.linked_) unlink(scope);
}

inline void signal_watch::run() noexcept {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  char bytes[64];
  for (;;) {
    if (::read(read_end_, bytes, sizeof bytes) <= 0) continue;
    for (int number = 1; number < signal_count; ++number)
      // [signal_watch.arrived] acquire: as in handler
      if (signals_[static_cast<std::size_t>(number)].arrived.exchange(0, acquire) != 0) deliver(number);
  }
}

inline void signal_watch::deliver(int number) noexcept {
  signal_scope* ending = nullptr;
  {
    const scoped_lock lock(mutex_);
    for (signal_scope* s = scopes_; s != nullptr;) {
      signal_scope& scope = *std::exchange(s, s->next_);
      if (!scope.names(number)) continue;
      unlink(scope);  // gives the dispositions back
      if (!scope.try_ref()) continue;
      scope.ending_ = ending;
      ending = &scope;
    }
  }
  while (ending != nullptr) {
    signal_scope& scope = *std::exchange(ending, ending->ending_);
    auto end = [keep = node_ref(&scope), &scope, number]() noexcept {
      std::exception_ptr cause;
      try {
        cause = std::make_exception_ptr(signal_error(number));
      } catch (...) {
        cause = std::current_exception();
      }
      scope.end(status::canceled, std::move(cause));
    };
    try {
      start_task(std::move(end));
    } catch (...) {
      end();  // no thread to be had: here, then
    }
  }
}

}  // namespace detail
}  // namespace runnel::inline RUNNEL_ABI
