// The park word and the claim word. What they order is plain data here: an unordered access to it is a race.
#include <runnel/detail/waiter.hpp>

#include "kit.hpp"

namespace model {
namespace {

using rn::detail::thread_waiter;

constexpr milliseconds time_limit{10};

/// The owner's waiter and what was written for it are gone once it has gone on: whoever resumes it touches nothing after that.
void resume_against_wait() {
  thread_waiter* handed_over = nullptr;
  int* outcome = nullptr;
  rn::detail::mutex queue;
  parallel(as("owner",
              [&] {
                thread_waiter self(false);
                int result = 0;
                {
                  const rn::detail::scoped_lock lock(queue);
                  handed_over = &self;
                  outcome = &result;
                }
                self.wait();
                require(result == 1, "the outcome is not there");
              }),
           as("claimer", [&] {
             for (;;) {
               rn::detail::scoped_lock lock(queue);
               thread_waiter* const w = handed_over;
               if (w != nullptr) {
                 *outcome = 1;
                 lock.unlock();
                 return w->resume();
               }
               lock.unlock();
               rn::detail::yield();
             }
           }));
}

/// A wait that ends by time is withdrawn, or its result is on its way.
void resume_against_time() {
  thread_waiter self(true);
  int outcome = 0;
  parallel(as("owner",
              [&] {
                const bool withdrawn = !self.wait(rn::detail::now() + time_limit) && self.claim(1);
                if (withdrawn) return require(self.claimed_index() == 1, "claimed for another");
                self.wait();
                require(outcome == 1 && self.claimed_index() == 0, "the outcome is not there");
              }),
           as("claimer", [&] {
             if (!self.claim(0)) return;
             outcome = 1;
             self.resume();
           }));
}

/// One of several claims a waiter; its owner, and whoever comes too late, know what happened before.
void claims(unsigned claimers) {
  thread_waiter self(true);
  std::array<int, 2> written{};
  const auto claimer = [&](std::uint32_t i) {
    written[i] = 1;
    if (self.claim(i)) return self.resume();
    require(written[self.claimed_index()] == 1, "what the first claimer did before is not there");
  };
  const auto owner = [&] {
    while (!self.is_claimed()) rn::detail::yield();
    require(written[self.claimed_index()] == 1, "what the claimer did before is not there");
    self.wait();
  };
  if (claimers == 1)
    parallel(as("owner", owner), as("claimer", [&] { claimer(0); }));
  else
    parallel(as("owner", owner), as("claimer 1", [&] { claimer(0); }), as("claimer 2", [&] { claimer(1); }));
}

/// A waiter that is locked belongs to one claimer, and what is done under the lock is known to the next one.
void locks() {
  thread_waiter self(true);
  int tries = 0;  // under the waiter's lock
  const auto claimer = [&](std::uint32_t i, bool succeeds) {
    if (!self.lock()) return require(tries != 0, "claimed, but not under the lock");
    ++tries;
    if (!succeeds) return self.abandon();
    self.commit(i);
    self.resume();
  };
  parallel(as("claimer 1", [&] { claimer(0, false); }), as("claimer 2", [&] { claimer(1, true); }),
           as("claimer 3", [&] { claimer(2, true); }));
  self.wait();
  require(tries != 0 && self.claimed_index() != 0, "claimed by nobody");
}

const enroll all([] {
  add_scenario({"thread_waiter/resume, wait", {10}, &resume_against_wait});
  add_scenario({"thread_waiter/resume, time", {10}, &resume_against_time});
  add_scenario({"thread_waiter/spurious wakes", {10}, &resume_against_time, {.spurious_wakes = true}});
  add_scenario({"waiter/claim", {10, 11}, [] { claims(1); }});
  add_scenario({"waiter/two claims", {10, 11}, [] { claims(2); }});
  add_scenario({"waiter/lock, abandon, commit", {10, 11}, &locks});
});

}  // namespace
}  // namespace model
