// Flights of a singleflight: who leads, who joins, and who is forgotten.
#include <runnel/singleflight.hpp>

#include "kit.hpp"

namespace model {
namespace {

using calls = rn::singleflight<int, int>;
struct failed {};

void three_run() {
  calls c;
  shared_count ran;
  shared_count shared;
  const auto run = [&] {
    const auto got = c.run(1, [&] { return ++ran; });
    require(got.value >= 1 && got.value <= ran, "the answer of a call");
    if (got.shared) ++shared;
  };
  parallel(as("1", run), as("2", run), as("3", run));
  require(ran >= 1 && ran <= 3 && shared != 1, "each call has one leader");
  require(ran != 1 || shared == 3, "all know that they have shared");
  require(ran != 3 || shared == 0, "nobody has shared");
}
void throws() {
  calls c;
  shared_count ran;
  shared_count caught;
  const auto run = [&] {
    try {
      c.run(1, [&]() -> int {
        ++ran;
        throw failed();
      });
    } catch (const failed&) {
      ++caught;
    }
  };
  parallel(as("1", run), as("2", run));
  require(caught == 2 && ran >= 1, "everybody gets the exception");
  require(c.run(1, [] { return 5; }).value == 5, "the key is forgotten");
}
/// What was there before is not an answer.
void asks_again() {
  calls c;
  shared_count ran;
  const auto run = [&] { return c.run(1, [&] { return ++ran; }).value; };
  parallel(as("once", [&] { run(); }), as("twice", [&] {
             const int first = run();
             require(run() > first, "a new flight");
           }));
}
/// While one that was forgotten ends, another is under way, of which everybody who comes gets the answer.
void forgotten() {
  calls c;
  int flying = 0;
  parallel(as("first",
              [&] {
                c.run(1, [&] {
                  c.forget(1);
                  return 1;
                });
              }),
           as("second",
              [&] {
                const auto got = c.run(1, [&] {
                  require(++flying == 1, "two of one key fly");
                  rn::detail::yield();
                  --flying;
                  return 2;
                });
                require(got.value >= 1 && got.value <= 3, "the answer of a call");
              }),
           as("third", [&] {
             const auto got = c.run(1, [&] {
               require(++flying == 1, "two of one key fly");
               rn::detail::yield();
               --flying;
               return 3;
             });
             require(got.value >= 1 && got.value <= 3, "the answer of a call");
           }));
}
void gives_up() {
  calls c;
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("run", [&] { require(c.run(1, [] { return 1; }).value <= 2, "the answer of a call"); }),
           as("gives up",
              [&] {
                const auto got = c.run(ctx, 1, [] { return 2; });
                if (got) require(got->value >= 1, "the answer of a call");
              }),
           as("cancel", [&] { ctx.cancel(); }));
  require(c.run(1, [] { return 5; }).value == 5, "the key is free");
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"singleflight/three run", waiting, &three_run});
  add_scenario({"singleflight/throws", waiting, &throws});
  add_scenario({"singleflight/asks again", waiting, &asks_again});
  add_scenario({"singleflight/forgotten", waiting, &forgotten});
  add_scenario({"singleflight/gives up", waiting, &gives_up});
});

}  // namespace
}  // namespace model
