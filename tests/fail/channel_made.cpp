// A capacity is said out loud; nil comes from nullptr alone; the results of an operation come from the operation alone.
// error CAPACITY_FROM_ZERO: conver
// error CAPACITY_FROM_NUMBER: conver
// error CAPACITY_FROM_NULL: conver
// error RESULT_FROM_VALUE: conver|no matching
// error ENDS_FROM_NUMBER: conver
#include <cstddef>
#include <runnel/channel.hpp>

void use() {
#if defined(RUNNEL_OK)
  const runnel::channel<int> rendezvous(0);
  const runnel::channel<int> bounded(16);
  const runnel::channel<int> boundless(runnel::unbounded);
  const runnel::channel<int> nil = nullptr;
  const runnel::recv_channel<int> no_end = nullptr;
  const runnel::recv_result<int> nothing = bounded.try_recv();
#elif defined(CAPACITY_FROM_ZERO)
  const runnel::channel<int> ch = 0;
#elif defined(CAPACITY_FROM_NUMBER)
  const runnel::channel<int> ch = 16;
#elif defined(CAPACITY_FROM_NULL)
  const runnel::channel<int> ch = NULL;
#elif defined(RESULT_FROM_VALUE)
  const runnel::recv_result<int> value = 1;
#elif defined(ENDS_FROM_NUMBER)
  const runnel::recv_channel<int> end = 0;
#endif
}
