// C71 B22 What a channel cannot carry does not compile, and a type that may throw while it is moved says so in one line.
// error CONST_VALUES: constraint
// error VOLATILE_VALUES: constraint
// error REFERENCES: constraint
// error ARRAYS: constraint
// error FUNCTIONS: constraint
// error THROWING_MOVE: runnel: a channel's values must be nothrow-movable
// error COPY_OF_MOVE_ONLY: no matching .*function.*send
// error VALUE_IN_VOID: no matching .*function.*send
// error RANGE_OF_VOID: begin
#include <memory>
#include <runnel/channel.hpp>
#include <vector>

struct throwing_move {
  throwing_move() = default;
  throwing_move(throwing_move&& /*other*/) noexcept(false) {}
};

void use() {
#if defined(RUNNEL_OK)
  const runnel::channel<int> numbers;
  const runnel::channel<int*> pointers;
  const runnel::channel<std::unique_ptr<throwing_move>> boxes(1);
  boxes.send(std::make_unique<throwing_move>());
  const runnel::channel<std::vector<int>> lists(1);
  lists.send({1, 2, 3});
  const runnel::channel<void> signals(1);
  signals.send();
#elif defined(CONST_VALUES)
  const runnel::channel<const int> ch;
#elif defined(VOLATILE_VALUES)
  const runnel::channel<volatile int> ch;
#elif defined(REFERENCES)
  const runnel::channel<int&> ch;
#elif defined(ARRAYS)
  const runnel::channel<int[3]> ch;
#elif defined(FUNCTIONS)
  const runnel::channel<void()> ch;
#elif defined(THROWING_MOVE)
  const runnel::channel<throwing_move> ch;
#elif defined(COPY_OF_MOVE_ONLY)
  const runnel::channel<std::unique_ptr<int>> ch;
  const std::unique_ptr<int> box;
  ch.send(box);
#elif defined(VALUE_IN_VOID)
  const runnel::channel<void> ch;
  ch.send(1);
#elif defined(RANGE_OF_VOID)
  const runnel::channel<void> ch;
  for (const int value : ch) static_cast<void>(value);
#endif
}
