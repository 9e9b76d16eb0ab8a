// Semaphores: permits that are released, given up and taken in all orders.
#include <runnel/semaphore.hpp>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

void require_free(rn::semaphore& permits, std::int64_t n) {
  require(permits.try_acquire(n), "a permit is lost, or somebody still waits");
}

void three_acquire() {
  rn::semaphore permits(1);
  int inside = 0;
  const auto enter = [&] {
    permits.acquire();
    require(++inside == 1, "two hold the one permit");
    --inside;
    permits.release();
  };
  parallel(as("1", enter), as("2", enter), as("3", enter));
  require_free(permits, 1);
}
void much_and_little() {
  rn::semaphore permits(2);
  permits.acquire(2);
  const auto acquire = [&](std::int64_t n) {
    permits.acquire(n);
    permits.release(n);
  };
  parallel(as("much", [&] { acquire(2); }), as("little", [&] { acquire(1); }), as("release", [&] {
             permits.release();
             permits.release();
           }));
  require_free(permits, 2);
}
void canceled_against_released() {
  rn::semaphore permits(1);
  permits.acquire();
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("acquire",
              [&] {
                if (permits.acquire(ctx)) permits.release();
              }),
           as("cancel", [&] { ctx.cancel(); }), as("release", [&] { permits.release(); }));
  require_free(permits, 1);
}
void gives_up_before_others() {
  rn::semaphore permits(2);
  permits.acquire();
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("much", [&] { require(!permits.acquire(ctx, 2), "two were never free"); }),
           as("little",
              [&] {
                permits.acquire();
                permits.release();
              }),
           as("cancel", [&] { ctx.cancel(); }));
  permits.release();
  require_free(permits, 2);
}
void timed_against_released() {
  rn::semaphore permits(1);
  permits.acquire();
  parallel(as("acquire",
              [&] {
                if (permits.try_acquire_for(milliseconds(10))) permits.release();
              }),
           as("release", [&] { permits.release(); }), as("try", [&] {
             if (permits.try_acquire()) permits.release();
           }));
  require_free(permits, 1);
}
void case_of_a_select() {
  rn::semaphore permits(1);
  permits.acquire();
  const rn::channel<int> ch(1);
  parallel(as("select",
              [&] {
                if (rn::select(rn::on_acquire(permits), rn::on_recv(ch)) == 0) permits.release();
              }),
           as("release", [&] { permits.release(); }), as("send", [&] { ch.send(1); }));
  require_free(permits, 1);
}
void destroyed_waiter() {
  rn::semaphore permits(1);
  permits.acquire();
  thread_place here;
  parallel(as("destroys",
              [&] {
                const auto body = [&]() -> placed {
                  co_await permits.async_acquire();
                  permits.release();
                };
                placed waits = body();
                waits.start(here);
                waits.destroy();
              }),
           as("release", [&] { permits.release(); }));
  require_free(permits, 1);
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"semaphore/three acquire", waiting, &three_acquire});
  add_scenario({"semaphore/much and little", waiting, &much_and_little});
  add_scenario({"semaphore/cancel, release", waiting, &canceled_against_released});
  add_scenario({"semaphore/gives up before others", waiting, &gives_up_before_others});
  add_scenario({"semaphore/timed, release", waiting, &timed_against_released});
  add_scenario({"semaphore/select", waiting, &case_of_a_select});
  add_scenario({"semaphore/destroyed", waiting, &destroyed_waiter});
});

}  // namespace
}  // namespace model
