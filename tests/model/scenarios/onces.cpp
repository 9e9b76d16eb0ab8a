// Once: the function that fails, those who wait for it, and those who give up.
#include <runnel/once.hpp>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

struct not_yet {};

void three_call() {
  rn::once o;
  int made = 0;
  const auto call = [&] {
    o.call([&] { ++made; });
    require(made == 1, "it ran once, and was seen");
  };
  parallel(as("1", call), as("2", call), as("3", call));
}
void first_one_throws() {
  rn::once o;
  int runs = 0;
  int thrown = 0;
  const auto call = [&] {
    try {
      o.call([&] {
        if (++runs == 1) throw not_yet();
      });
      require(runs == 2, "the second function has run");
    } catch (const not_yet&) {
      ++thrown;
    }
  };
  parallel(as("1", call), as("2", call), as("3", call));
  require(runs == 2 && thrown == 1 && o.called(), "who came after the one that failed has run");
}
void throws_against_cancel() {
  rn::once o;
  auto ctx = rn::with_cancel(rn::context());
  bool failed = false;
  bool ran = false;
  parallel(as("throws",
              [&] {
                try {
                  o.call([] { throw not_yet(); });
                } catch (const not_yet&) {
                  failed = true;
                }
              }),
           as("call",
              [&] {
                const auto called = o.call(ctx, [&] { ran = true; });
                require(!called || o.called(), "it was called");
              }),
           as("cancel", [&] { ctx.cancel(); }));
  if (!ran) require(failed, "one of the two has run");
  int runs = 0;
  o.call([&] { ++runs; });
  require(runs == (ran ? 0 : 1), "the turn is not lost");
}
void throws_against_time() {
  rn::once o;
  bool ran = false;
  parallel(as("throws",
              [&] {
                try {
                  o.call([] { throw not_yet(); });
                } catch (const not_yet&) {
                }
              }),
           as("call", [&] { static_cast<void>(o.try_call_for(milliseconds(10), [&] { ran = true; })); }));
  require(ran == o.called(), "the turn is not lost");
  o.call([&] { ran = true; });
  require(ran, "the turn is not lost");
}
void destroyed_waiter() {
  rn::once o;
  bool ran = false;
  thread_place here;
  parallel(as("destroys",
              [&] {
                const auto body = [&]() -> placed { co_await o.async_call([&] { ran = true; }); };
                placed waits = body();
                waits.start(here);
                waits.destroy();
              }),
           as("throws", [&] {
             try {
               o.call([] { throw not_yet(); });
             } catch (const not_yet&) {
             }
           }));
  require(ran == o.called(), "the turn is not lost");
  o.call([&] { ran = true; });
  require(ran, "the turn is not lost");
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"once/three call", waiting, &three_call});
  add_scenario({"once/the first one throws", waiting, &first_one_throws});
  add_scenario({"once/throws, cancel", waiting, &throws_against_cancel});
  add_scenario({"once/throws, time", waiting, &throws_against_time});
  add_scenario({"once/destroyed", waiting, &destroyed_waiter});
});

}  // namespace
}  // namespace model
