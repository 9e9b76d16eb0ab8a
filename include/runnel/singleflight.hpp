// singleflight: those who want the same thing at the same time share one call that makes it.
#pragma once

#include <runnel/go.hpp>
#include <runnel/guarded.hpp>
#include <runnel/wait_group.hpp>

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace runnel::inline RUNNEL_ABI {

namespace detail {

template <class K>
concept hashable = requires(const K& key) {
  { std::hash<K>()(key) } -> std::convertible_to<std::size_t>;
};
/// By key, where a flight keeps its own.
template <class K>
struct key_hash {
  std::size_t operator()(const K* key) const { return std::hash<K>()(*key); }
};
template <class K>
struct key_equal {
  bool operator()(const K* a, const K* b) const { return *a == *b; }
};
template <class K>
struct key_less {
  bool operator()(const K* a, const K* b) const { return *a < *b; }
};

}  // namespace detail

/// Calls that are under way, by key. Who asks for a key of which one runs waits for it and gets the same answer.
///
/// A call under way is a flight: the first caller's function, and all who come before it has ended. An answer is not kept: who comes
/// later starts another flight. Use this before a cache, so that what is missing is fetched once; use once for what is made once.
/// K: copied; its hash (or else its order) and comparison are used under a lock, so they may not use the singleflight, nor throw.
/// V: copied for each of several callers. f runs in the first caller's thread or coroutine, and nobody else's limit ends it.
/// Lifetime: it must outlive its calls; what run_async started may outlive it.
/// Thread safety: all members. Synchronizes: the end of f happens before the return of every call of its flight.
/// Semantics: Go's golang.org/x/sync/singleflight. Differs: exceptions are shared as errors are; f that asks for its own key gets a
/// std::logic_error, if it is a function and asks in its own thread (a coroutine would wait for itself).
/// Example: examples/singleflight.cpp
template <class K, class V>
class singleflight {
  static_assert(std::copy_constructible<V>, "singleflight<K, V>: several callers get a copy of the value each");

 public:
  struct outcome {
    V value;
    bool shared;  ///< there were several callers
  };

  singleflight() : table_(std::make_shared<guarded<table>>()) {}
  singleflight(const singleflight&) = delete;
  singleflight& operator=(const singleflight&) = delete;
  ~singleflight() = default;

  /// Runs f() and answers what it returns, or waits for the flight that is under way for this key. Blocks: until its end.
  /// Throws: what f of the flight throws, each caller of it the same exception; context_error if its f was destroyed before its end;
  /// std::logic_error from within f of the same key.
  template <class F>
    requires std::invocable<F&>
  outcome run(const K& key, F&& f) {
    const entry at = enter(table_, key);
    if (at.leads) return leader(table_, at.what).run_here(f);
    at.what->running.wait();
    return at.what->answer();
  }
  /// The same, up to a limit, which is one for the wait and not for f: who comes first runs f, whatever the limit. Returns: also why not.
  /// One that gives up leaves the flight to the others.
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] result<outcome> run(const context& ctx, const K& key, F&& f) {
    const entry at = enter(table_, key);
    if (at.leads) return detail::result_access::ok<outcome>(leader(table_, at.what).run_here(f));
    return at.what->answer(at.what->running.wait(ctx));
  }
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] result<outcome> try_run(const K& key, F&& f) {
    const entry at = enter(table_, key, false);
    if (!at.leads) return detail::result_access::failed<outcome>(status::would_block);
    return detail::result_access::ok<outcome>(leader(table_, at.what).run_here(f));
  }
  template <class Rep, class Period, class F>
    requires std::invocable<F&>
  [[nodiscard]] result<outcome> try_run_for(std::chrono::duration<Rep, Period> d, const K& key, F&& f) {
    const entry at = enter(table_, key);
    if (at.leads) return detail::result_access::ok<outcome>(leader(table_, at.what).run_here(f));
    return at.what->answer(at.what->running.try_wait_for(d));
  }
  template <class Clock, class Duration, class F>
    requires std::invocable<F&>
  [[nodiscard]] result<outcome> try_run_until(std::chrono::time_point<Clock, Duration> at_most, const K& key, F&& f) {
    const entry at = enter(table_, key);
    if (at.leads) return detail::result_access::ok<outcome>(leader(table_, at.what).run_here(f));
    return at.what->answer(at.what->running.try_wait_until(at_most));
  }
  /// For coroutines: `auto got = co_await calls.async_run(key, f)`. As the forms without async_; f is copied, and may be a coroutine.
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] task<outcome> async_run(const K& key, F&& f) {
    return calls_of<std::decay_t<F>>::run_as_coroutine(table_, key, std::decay_t<F>(std::forward<F>(f)));
  }
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] task<result<outcome>> async_run(const context& ctx, const K& key, F&& f) {
    return calls_of<std::decay_t<F>>::run_as_coroutine(ctx, table_, key, std::decay_t<F>(std::forward<F>(f)));
  }

  /// Runs f() as a task, or joins the flight that is under way. Blocks: never. Returns: a future of its end. f may be a coroutine.
  /// Throws: as runnel::async; std::logic_error as run.
  template <class F>
    requires std::invocable<F&>
  [[nodiscard]] future<outcome> run_async(const K& key, F&& f) {
    entry at = enter(table_, key);
    if (!at.leads) return async(follow(std::move(at.what)));
    leader mine(table_, std::move(at.what));
    if constexpr (detail::coroutine_function<std::decay_t<F>&>)
      return async(calls_of<std::decay_t<F>>::lead(std::move(mine), std::decay_t<F>(std::forward<F>(f))));
    else
      return async([mine = std::move(mine), f = std::decay_t<F>(std::forward<F>(f))]() mutable { return mine.run_here(f); });
  }

  /// Whoever asks for the key from now on starts another flight; one that is under way goes on for those who are in it.
  void forget(const K& key) { static_cast<void>(take_out(*table_, key, nullptr)); }

 private:
  struct flight {
    explicit flight(K k) : key(std::move(k)) { running.add(); }

    /// For those who did not lead it, once it has ended.
    outcome answer() const {
      if (error != nullptr) std::rethrow_exception(error);
      return {*value, true};
    }
    result<outcome> answer(const result<void>& ended) const {
      if (!ended) return detail::result_access::failed<outcome>(ended.status());
      return detail::result_access::ok<outcome>(answer());
    }

    const K key;
    wait_group running;   // one until it has ended
    bool shared = false;  // guarded by the table while it is in there
    std::optional<V> value;
    std::exception_ptr error;
    detail::atomic<const void*> thread{nullptr};  // that runs the function now
  };
  using flight_ptr = std::shared_ptr<flight>;
  using table =
      std::conditional_t<detail::hashable<K>, std::unordered_map<const K*, flight_ptr, detail::key_hash<K>, detail::key_equal<K>>,
                         std::map<const K*, flight_ptr, detail::key_less<K>>>;
  using table_ptr = std::shared_ptr<guarded<table>>;
  struct entry {
    flight_ptr what;
    bool leads;
  };

  /// Who runs the function of a flight, and ends it, whatever becomes of the function.
  class leader {
   public:
    leader(table_ptr source, flight_ptr what) noexcept : table_(std::move(source)), flight_(std::move(what)) {}
    leader(leader&&) noexcept = default;
    leader& operator=(leader&&) = delete;
    ~leader() {
      if (flight_ == nullptr) return;
      flight_->error =
          detail::make_context_error(status::canceled, "runnel::singleflight: the function was destroyed before its end");
      end();
    }

    /// Not inlined: a coroutine may be on another thread at each look.
    template <class F>
    RUNNEL_NOINLINE outcome run_here(F& f) {
      static_assert(!detail::coroutine_function<F&>, "singleflight: f is a coroutine, which async_run and run_async run");
      flight_->thread.store(detail::this_thread_id(), detail::relaxed);  // relaxed: only this thread looks for its own id
      try {
        flight_->value.emplace(std::invoke(f));
      } catch (...) {
        flight_->error = std::current_exception();
      }
      flight_->thread.store(nullptr, detail::relaxed);  // relaxed: as above
      return land();
    }
    [[nodiscard]] flight& what() const noexcept { return *flight_; }
    /// Ends the flight, which has a value or an error. Returns, or throws: what its leader gets.
    outcome land() {
      const flight_ptr landed = flight_;
      end();
      if (landed->shared) return landed->answer();
      if (landed->error != nullptr) std::rethrow_exception(std::exchange(landed->error, nullptr));
      return {std::move(*landed->value), false};
    }

   private:
    void end() noexcept {
      static_cast<void>(take_out(*table_, flight_->key, flight_.get()));  // first: who learns of the end and asks again flies anew
      std::exchange(flight_, nullptr)->running.done();
    }

    table_ptr table_;
    flight_ptr flight_;
  };

  /// The flight of this key: one that is under way, or a new one, which the caller leads. `joins`: the caller will wait for it.
  static entry enter(const table_ptr& source, const K& key, bool joins = true) {
    const auto join = [joins](const flight_ptr& what) {
      // relaxed: the id of this thread is there only if this thread has written it
      if (what->thread.load(detail::relaxed) == detail::this_thread_id())
        throw std::logic_error("runnel::singleflight: a function asks for its own key, which would wait for itself");
      what->shared = what->shared || joins;
      return what;
    };
    flight_ptr found = source->with([&](table& flights) {
      const auto at = flights.find(std::addressof(key));
      return at == flights.end() ? nullptr : join(at->second);
    });
    if (found != nullptr) return {std::move(found), false};
    auto made = std::make_shared<flight>(key);  // under no lock
    found = source->with([&](table& flights) {
      const auto [at, is_new] = flights.try_emplace(std::addressof(made->key), made);
      return is_new ? nullptr : join(at->second);
    });
    if (found != nullptr) return {std::move(found), false};
    return {std::move(made), true};
  }
  /// Takes a flight out of the table, the one given if it is there, or, without one, whichever. What it has is destroyed under no lock.
  static typename table::node_type take_out(guarded<table>& source, const K& key, const flight* only) {
    return source.with([&](table& flights) {
      const auto at = flights.find(std::addressof(key));
      if (at == flights.end() || (only != nullptr && at->second.get() != only)) return typename table::node_type();
      return flights.extract(at);
    });
  }

  static task<outcome> follow(flight_ptr what) {
    co_await what->running.async_wait();
    outcome got = what->answer();
    co_return got;
  }
  /// The coroutines for a function of this type. (Templates of coroutines make g++ 12 warn of types that are local; members of a class
  /// template do not.)
  template <class F>
  struct calls_of {
    /// For a function that returns what is to be awaited.
    static task<outcome> lead(leader mine, F f) {
      try {
        mine.what().value.emplace(co_await f());
      } catch (...) {
        mine.what().error = std::current_exception();
      }
      outcome got = mine.land();
      co_return got;
    }
    static task<outcome> run_as_coroutine(table_ptr source, K key, F f) {
      entry at = enter(source, key);
      if (!at.leads) {
        co_await at.what->running.async_wait();
        outcome got = at.what->answer();
        co_return got;
      }
      leader mine(source, std::move(at.what));
      if constexpr (detail::coroutine_function<F&>) {
        outcome got = co_await calls_of<F&>::lead(std::move(mine), f);
        co_return got;
      } else {
        outcome got = mine.run_here(f);
        co_return got;
      }
    }
    static task<result<outcome>> run_as_coroutine(context ctx, table_ptr source, K key, F f) {
      entry at = enter(source, key);
      if (!at.leads) {
        const auto ended = co_await at.what->running.async_wait(ctx);
        co_return at.what->answer(ended);
      }
      leader mine(source, std::move(at.what));
      if constexpr (detail::coroutine_function<F&>) {
        outcome got = co_await calls_of<F&>::lead(std::move(mine), f);
        co_return detail::result_access::ok<outcome>(std::move(got));
      } else {
        co_return detail::result_access::ok<outcome>(mine.run_here(f));
      }
    }
  };

  table_ptr table_;
};

}  // namespace runnel::inline RUNNEL_ABI
