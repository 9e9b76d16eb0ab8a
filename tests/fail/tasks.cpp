// What cannot be run as a task, or taken twice, does not compile.
// error GROUP_WRONG_ARGUMENT: no matching
// error WAIT_GROUP_WRONG_ARGUMENT: no matching
// error GO_MISSING_ARGUMENT: no matching
// error FUTURE_COPIED: deleted
// error GROUP_COPIED: deleted
// error AFTER_FUNC_COROUTINE: no matching
// error AFTER_FUNC_AWAITER: no matching
// error TIMER_COROUTINE: no matching
// error ANSWER_CONVERTED: return_value
// error GUARDED_BARE: no member named .value.
#include <runnel/errgroup.hpp>
#include <runnel/go.hpp>
#include <runnel/guarded.hpp>
#include <runnel/task.hpp>
#include <runnel/timer.hpp>
#include <runnel/wait_group.hpp>
#include <string>
#include <vector>

namespace rn = runnel;

void use() {
#if defined(RUNNEL_OK)
  rn::errgroup group;
  group.go([](const rn::context& /*ctx*/) {});
  rn::wait_group tasks;
  tasks.go([] {});
  rn::go([](int /*number*/) {}, 1);
  rn::future<int> answer = rn::async([] { return 1; });
  const rn::future<int> taken = std::move(answer);
  rn::guarded<std::string> text("a");
  text.lock()->append("b");
  rn::after_func(rn::context(), [] {});
  const rn::timer timer(std::chrono::seconds(1), [] {});
  auto numbers = []() -> rn::task<std::vector<int>> { co_return {1, 2}; };
  rn::sync_wait(numbers());
#elif defined(GROUP_WRONG_ARGUMENT)
  rn::errgroup group;
  group.go([](std::string /*text*/) {});
#elif defined(WAIT_GROUP_WRONG_ARGUMENT)
  rn::wait_group tasks;
  tasks.go([](int /*number*/) {});
#elif defined(GO_MISSING_ARGUMENT)
  rn::go([](int /*number*/) {});
#elif defined(FUTURE_COPIED)
  const rn::future<int> answer = rn::async([] { return 1; });
  const rn::future<int> copy = answer;
#elif defined(GROUP_COPIED)
  rn::errgroup group;
  rn::errgroup copy(group);
#elif defined(AFTER_FUNC_COROUTINE)
  rn::after_func(rn::context(), []() -> rn::task<> { co_return; });  // nobody would begin it
#elif defined(AFTER_FUNC_AWAITER)
  const rn::channel<int> ch;
  rn::after_func(rn::context(), [&] { return ch.async_recv(); });
#elif defined(TIMER_COROUTINE)
  const rn::timer timer(std::chrono::seconds(1), []() -> rn::task<> { co_return; });
#elif defined(ANSWER_CONVERTED)
  auto numbers = []() -> rn::task<std::vector<int>> { co_return 5; };
  rn::sync_wait(numbers());
#elif defined(GUARDED_BARE)
  rn::guarded<std::string> text("a");
  text.value = "b";
#endif
}
