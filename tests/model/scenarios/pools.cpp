// Pools: jobs that come, wait for one another and are given up in all orders, and the ends of a pool against all of it.
#include <runnel/worker_pool.hpp>

#include <optional>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

/// A pool on a runtime of its own, and what its jobs and submitters note.
struct bench {
  explicit bench(std::size_t workers, std::size_t queue, unsigned places = 1, const rn::context& ctx = {})
      : runtime(places), workers_(static_cast<int>(workers)) {
    pool.emplace(ctx, rn::worker_pool_options{.workers = workers, .queue = queue, .on = &runtime, .on_unhandled = {}});
  }
  int run() {
    require(++running <= workers_, "more jobs run than there are workers");
    --running;
    ++ran;
    return 7;
  }
  auto job() {
    return [this] { return run(); };
  }
  /// Submits a job, drops its future. Returns: whether it was accepted.
  bool submit(const rn::context& ctx = {}) {
    try {
      pool->submit(ctx, job());
    } catch (const rn::channel_closed&) {
      return false;
    } catch (const rn::context_error&) {
      return false;
    }
    ++accepted;
    return true;
  }
  /// When all parts have ended.
  void check(int left = 0) {
    pool.reset();
    require(accepted == ran + left, "what was accepted has run once, and nothing else has");
  }

  rn::runtime runtime;
  std::optional<rn::worker_pool> pool;
  shared_count running;
  shared_count ran;
  shared_count accepted;

 private:
  int workers_;
};

void submitted_and_awaited() {
  bench b(1, 1);
  auto answer = b.pool->submit(b.job());
  ++b.accepted;
  require(answer.get() == 7, "the answer comes");
  b.submit();
  b.pool->wait();
  require(b.ran == 2, "wait() returns when all has run");
  b.check();
}
void three_in_a_row() {
  bench b(1, 2);
  for (int i = 0; i < 3; ++i) b.submit();
  b.pool->wait();
  require(b.ran == 3, "wait() returns when all has run");
  b.check();
}
void two_wait_for_room() {
  bench b(1, 0);
  parallel(as("1", [&] { b.submit(); }), as("2", [&] { b.submit(); }));
  b.pool->wait();
  require(b.ran == 2, "both have run");
  b.check();
}
void room_against_time() {
  bench b(1, 0);
  b.submit();
  if (b.pool->try_submit_for(milliseconds(10), b.job())) ++b.accepted;
  if (b.pool->try_submit(b.job())) ++b.accepted;
  b.check();
}
void room_against_cancel() {
  bench b(1, 0);
  b.submit();
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("submit", [&] { b.submit(ctx); }), as("cancel", [&] { ctx.cancel(); }));
  b.check();
}
void closed_against_submit() {
  bench b(1, 0);
  b.submit();
  parallel(as("submit", [&] { b.submit(); }), as("close", [&] { b.pool->close(); }));
  require(!b.submit(), "a closed pool accepts nothing");
  b.check();
}
void destroyed_against_submit() {
  bench b(1, 0);
  const rn::channel<void> open;
  const auto held = b.pool->submit([&] { open.recv(); });
  parallel(as("submit", [&] { b.submit(); }), as("destroy", [&] {
             while (rn::detail::worker_pool_access::callers(*b.pool) == 0) rn::detail::yield();
             open.close();
             b.pool.reset();
           }));
  require(b.accepted == b.ran, "what was accepted has run");
}
void abandoned_against_submit() {
  bench b(1, 2);
  b.submit();
  std::size_t left = 0;
  parallel(as("submit", [&] { b.submit(); }), as("abandon", [&] { left = b.pool->shutdown(rn::abandon).size(); }));
  require(static_cast<bool>(b.pool->try_wait()), "nothing is left in the pool");
  b.check(static_cast<int>(left));
}
void abandoned_while_jobs_wait() {
  bench b(1, 1);
  int got = 0;
  auto outer = b.pool->submit([&] {
    try {
      auto inner = b.pool->submit(b.job());
      ++b.accepted;
      got = inner.get();
    } catch (const rn::channel_closed&) {
      got = 0;  // shut down first
    }
  });
  const std::size_t left = b.pool->shutdown(rn::abandon).size();
  require(outer.ready(), "what had begun was waited for");
  require(got == (b.accepted == 1 ? 7 : 0) && left == 0, "what a job waits for is not left over");
  b.check();
}
void drained_up_to_a_time() {
  bench b(1, 2);
  b.submit();
  b.submit();
  const std::size_t left = b.pool->shutdown(rn::drain_for(milliseconds(1))).size();
  b.check(static_cast<int>(left));
}
void context_against_submit() {
  auto ctx = rn::with_cancel(rn::context());
  bench b(1, 1, 1, ctx);
  bool ready = true;
  parallel(as("submit",
              [&] {
                try {
                  auto answer = b.pool->submit(b.job());
                  answer.wait();
                  ready = answer.ready();
                } catch (const rn::context_error&) {
                  ready = true;  // canceled first
                }
              }),
           as("cancel", [&] { ctx.cancel(); }));
  require(ready, "no future waits for ever");
  b.pool.reset();
}
/// The only worker is busy until the context has ended, and no place is free: if one becomes free, it does so too late.
void context_against_submit_without_room(std::size_t queue, bool is_coroutine, bool goes_on) {
  auto ctx = rn::with_cancel(rn::context());
  bench b(1, queue, 1, ctx);
  unknown_event begun;
  unknown_event released;
  rn::future<void> running;
  std::optional<rn::future<void>> queued;
  {
    const undisturbed before;
    running = b.pool->submit([&] {
      begun.set();
      released.wait();
    });
    begun.wait();
    if (queue != 0) queued = b.pool->submit([] {});
  }
  bool refused = false;
  parallel(as("submit",
              [&] {
                try {
                  if (is_coroutine)
                    static_cast<void>(rn::sync_wait(b.pool->async_submit([] {})));
                  else
                    static_cast<void>(b.pool->submit([] {}));
                } catch (const rn::context_error&) {
                  refused = true;
                }
              }),
           as("cancel", [&] {
             ctx.cancel();
             if (!goes_on) return;
             released.set();
             b.pool->wait();
           }));
  require(refused, "a place that became free after the context has ended is given to nobody");
  if (queued) queued->wait();
  require(goes_on || !running.ready(), "what has not begun fails, and what runs is not waited for");
  released.set();
  b.pool->wait();
  b.pool.reset();
}
placed submit_in_vain(rn::worker_pool& pool) {
  bool refused = false;
  try {
    static_cast<void>(co_await pool.async_submit([] {}));
  } catch (const rn::context_error&) {
    refused = true;
  }
  require(refused, "a place that became free after the context has ended is given to nobody");
}
void context_against_waiting_coroutine() {
  auto ctx = rn::with_cancel(rn::context());
  bench b(1, 0, 1, ctx);
  const rn::channel<void> open;
  auto running = b.pool->submit([&] { open.recv(); });
  thread_place here;
  placed waiting = submit_in_vain(*b.pool);
  waiting.start(here);
  ctx.cancel();
  open.close();
  while (!waiting.done()) here.run_one();
  running.wait();
  b.pool->wait();
  b.pool.reset();
}
void context_against_waiting_job() {
  auto ctx = rn::with_cancel(rn::context());
  bench b(1, 1, 1, ctx);
  int got = 0;
  const auto outer_job = [&] {
    try {
      got = b.pool->submit([] { return 7; }).get();
    } catch (const rn::context_error&) {
      got = -1;
    }
  };
  auto outer = b.pool->submit(outer_job);
  ctx.cancel();
  outer.wait();
  b.pool.reset();
  require(got == 7 || got == -1 || got == 0, "a job either runs, once, or fails");
}
void job_waits_for_job() {
  bench b(1, 1);
  auto outer = b.pool->submit([&] {
    auto inner = b.pool->submit([] { return 7; });
    return inner.get();
  });
  require(outer.get() == 7, "a job that waits for one of its pool does not keep it from running");
  b.check();
}
void job_waits_up_to_a_limit() {
  bench b(1, 1);
  const rn::context background;
  auto outer = b.pool->submit([&] {
    auto inner = b.pool->submit([] { return 7; });
    return inner.get(background).value();
  });
  require(outer.get() == 7, "nor does one that may give up");
  b.check();
}
void job_submits_without_room() {
  bench b(1, 0);
  auto outer = b.pool->submit([&] { return b.pool->submit([] { return 7; }).get(); });
  require(outer.get() == 7, "a job that submits where there is no room does not wait for itself");
  b.check();
}
void coroutine_waits_for_job() {
  bench b(1, 1);
  auto outer = b.pool->submit([&]() -> rn::task<int> {
    const auto seven = [] { return 7; };
    auto inner = co_await b.pool->async_submit(seven);
    co_return co_await inner.async_get();
  });
  require(outer.get() == 7, "a coroutine that waits for a job of its pool does not keep it from running");
  b.check();
}
void coroutine_submits_without_room() {
  bench b(1, 0);
  auto outer = b.pool->submit([&]() -> rn::task<int> {
    const auto seven = [] { return 7; };
    auto inner = co_await b.pool->async_submit(seven);
    co_return co_await inner.async_get();
  });
  require(outer.get() == 7, "a coroutine that submits where there is no room does not wait for itself");
  b.check();
}
void two_workers() {
  bench b(2, 0);
  const rn::channel<int> ch;
  auto sends = b.pool->submit([&] { ch.send(7); });
  auto receives = b.pool->submit([&] { return *ch.recv(); });
  require(receives.get() == 7, "two jobs run at once");
  sends.get();
  b.check();
}
void runtime_is_abandoned() {
  bench b(1, 1);
  const rn::channel<void> never_closed;
  auto first = b.pool->submit([&]() -> rn::task<> { static_cast<void>(co_await never_closed.async_recv()); });
  auto second = b.pool->submit([] {});
  b.runtime.shutdown(rn::abandon);
  require(first.ready() && second.ready(), "no future of a runtime that has ended waits for ever");
  b.pool.reset();
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  const auto add = [&](const char* name, void (*body)()) { add_scenario({name, waiting, body}); };
  add("worker_pool/submit, get, wait", &submitted_and_awaited);
  add("worker_pool/three jobs", &three_in_a_row);
  add("worker_pool/room, two wait", &two_wait_for_room);
  add("worker_pool/room, time", &room_against_time);
  add("worker_pool/room, cancel", &room_against_cancel);
  add("worker_pool/close, submit", &closed_against_submit);
  add("worker_pool/destroy, submit", &destroyed_against_submit);
  add("worker_pool/abandon, submit", &abandoned_against_submit);
  add("worker_pool/abandon, job waits for job", &abandoned_while_jobs_wait);
  add("worker_pool/drain up to a time", &drained_up_to_a_time);
  add("worker_pool/context, submit", &context_against_submit);
  add("worker_pool/context, submit to one that is busy", +[] { context_against_submit_without_room(0, false, false); });
  add("worker_pool/context, submit to one that is full", +[] { context_against_submit_without_room(1, false, false); });
  add("worker_pool/context, async_submit to one that is full", +[] { context_against_submit_without_room(1, true, false); });
  add("worker_pool/context, submit, room", +[] { context_against_submit_without_room(0, false, true); });
  add("worker_pool/context, async_submit, room", &context_against_waiting_coroutine);
  add("worker_pool/context, job waits for job", &context_against_waiting_job);
  add("worker_pool/job waits for job", &job_waits_for_job);
  add("worker_pool/job waits for job up to a limit", &job_waits_up_to_a_limit);
  add("worker_pool/job submits without room", &job_submits_without_room);
  add("worker_pool/coroutine waits for job", &coroutine_waits_for_job);
  add("worker_pool/coroutine submits without room", &coroutine_submits_without_room);
  add("worker_pool/two workers", &two_workers);
  add("worker_pool/runtime abandoned", &runtime_is_abandoned);
});

}  // namespace
}  // namespace model
