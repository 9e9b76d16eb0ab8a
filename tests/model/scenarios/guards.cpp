// Guarded values: the lock against its waiters, and predicates that come true, time out or are canceled.
#include <runnel/guarded.hpp>

#include "kit.hpp"

namespace model {
namespace {

void three_add() {
  rn::guarded<int> value(0);
  const auto add = [&] { value.with([](int& n) { n = n + 1; }); };
  parallel(as("1", add), as("2", add), as("3", add));
  require(*value.lock() == 3, "an update is lost");
}
void predicate_comes_true() {
  rn::guarded<int> value(0);
  parallel(as("waiter",
              [&] {
                const auto held = value.wait([](const int& n) { return n == 2; });
                require(*held == 2, "the predicate is true under the guard");
              }),
           as("writer", [&] { value.with([](int& n) { ++n; }); }), as("writer", [&] { value.with([](int& n) { ++n; }); }));
}
void two_predicates() {
  rn::guarded<int> value(0);
  const auto take = [&] {
    const auto held = value.wait([](const int& n) { return n > 0; });
    --*held;
  };
  parallel(as("taker", take), as("taker", take), as("giver", [&] {
             *value.lock() += 1;
             *value.lock() += 1;
           }));
  require(*value.lock() == 0, "each was let go once");
}
void predicate_against_time() {
  rn::guarded<int> value(0);
  parallel(as("waiter",
              [&] {
                const auto held = value.try_wait_for(milliseconds(10), [](const int& n) { return n > 0; });
                if (held) require(*held > 0, "the predicate is true under the guard");
              }),
           as("writer", [&] { value.with([](int& n) { n = 1; }); }), as("other", [&] { value.with([](int&) {}); }));
  require(*value.lock() == 1, "the guard is free at the end");
}
void predicate_against_cancel() {
  rn::guarded<int> value(0);
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("waiter",
              [&] {
                const auto held = value.wait(ctx, [](const int& n) { return n > 0; });
                if (held) require(*held > 0, "the predicate is true under the guard");
              }),
           as("writer", [&] { value.with([](int& n) { n = 1; }); }), as("cancel", [&] { ctx.cancel(); }));
  require(*value.lock() == 1, "the guard is free at the end");
}
void destroyed_by_the_last() {
  auto value = std::make_unique<rn::guarded<int>>(0);
  rn::guarded<int>* const v = value.get();
  parallel(as("writer", [v] { *v->lock() = 1; }), as("waiter", [&] {
             {
               const auto held = value->wait([](const int& n) { return n == 1; });
             }
             value.reset();  // whoever let this thread go is through with it
           }));
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"guarded/three add", waiting, &three_add});
  add_scenario({"guarded/predicate, two writers", waiting, &predicate_comes_true});
  add_scenario({"guarded/two predicates", waiting, &two_predicates});
  add_scenario({"guarded/predicate, time", waiting, &predicate_against_time});
  add_scenario({"guarded/predicate, cancel", waiting, &predicate_against_cancel});
  add_scenario({"guarded/destroyed by the last", waiting, &destroyed_by_the_last});
});

}  // namespace
}  // namespace model
