// X16 A temporary context, which ends at the semicolon, is kept by nobody; a key is no temporary, and its values have its type.
// error KEPT_IN_VARIABLE: deleted
// error ASSIGNED: deleted
// error GIVEN_TO_GROUP: deleted
// error GIVEN_TO_POOL: deleted
// error GIVEN_TO_CHILD: deleted
// error GIVEN_TO_TIMEOUT: deleted
// error GIVEN_TO_VALUE: deleted
// error GIVEN_TO_MERGE: deleted
// error GIVEN_TO_AFTER_FUNC: deleted
// error GIVEN_TO_SCOPED_AFTER_FUNC: deleted
// error TEMPORARY_KEY: deleted
// error WRONG_VALUE: no matching function|cannot convert|could not convert
#include <chrono>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/worker_pool.hpp>

using namespace std::chrono_literals;
namespace rn = runnel;

inline constexpr rn::context_key<int> key;

void use(const rn::context& parent, const rn::channel<int>& numbers) {
#if defined(RUNNEL_OK)
  numbers.recv(rn::with_timeout(parent, 1s));  // a wait takes a temporary
  const rn::scoped_context ctx = rn::with_timeout(parent, 1s);
  const rn::context handle = ctx;
  rn::errgroup group(ctx);
  rn::worker_pool pool(ctx);
  const rn::scoped_context child = rn::with_cancel(ctx);
  const rn::context with_number = rn::with_value(ctx, key, 1);
  const rn::scoped_after_func called(ctx, [] {});
#elif defined(KEPT_IN_VARIABLE)
  const rn::context ctx = rn::with_timeout(parent, 1s);
#elif defined(ASSIGNED)
  rn::context ctx;
  ctx = rn::with_timeout(parent, 1s);
#elif defined(GIVEN_TO_GROUP)
  rn::errgroup group(rn::with_timeout(parent, 1s));
#elif defined(GIVEN_TO_POOL)
  rn::worker_pool pool(rn::with_timeout(parent, 1s));
#elif defined(GIVEN_TO_CHILD)
  const rn::scoped_context child = rn::with_cancel(rn::with_timeout(parent, 1s));
#elif defined(GIVEN_TO_TIMEOUT)
  const rn::scoped_context child = rn::with_timeout(rn::with_cancel(parent), 1s);
#elif defined(GIVEN_TO_VALUE)
  const rn::context child = rn::with_value(rn::with_cancel(parent), key, 1);
#elif defined(GIVEN_TO_MERGE)
  const rn::scoped_context both = rn::merge(parent, rn::with_cancel(parent));
#elif defined(GIVEN_TO_AFTER_FUNC)
  rn::after_func(rn::with_cancel(parent), [] {});
#elif defined(GIVEN_TO_SCOPED_AFTER_FUNC)
  const rn::scoped_after_func called(rn::with_cancel(parent), [] {});
#elif defined(TEMPORARY_KEY)
  const rn::context child = rn::with_value(parent, rn::context_key<int>{}, 1);
#elif defined(WRONG_VALUE)
  const rn::context child = rn::with_value(parent, key, "text");
#endif
  static_cast<void>(parent);
  static_cast<void>(numbers);
}
