// What can fail silently is not dropped by accident.
// error TRY_SEND: nodiscard
// error TRY_SEND_FOR: nodiscard
// error SEND_WITH_CONTEXT: nodiscard
// error SIGNAL_WITH_CONTEXT: nodiscard
// error WAIT_WITH_CONTEXT: nodiscard
// error CONTEXT: nodiscard
// error ENDS: nodiscard
// error CASE: nodiscard
// error OUTCOME: nodiscard
#include <chrono>
#include <runnel/runnel.hpp>

using namespace std::chrono_literals;
namespace rn = runnel;

void use(const rn::context& ctx, const rn::channel<int>& numbers, const rn::channel<void>& signals) {
#if defined(RUNNEL_OK)
  numbers.recv();  // waits for a signal, whatever it is
  if (!numbers.try_send(1) || !numbers.send(ctx, 2) || !signals.send(ctx)) return;
#elif defined(TRY_SEND)
  numbers.try_send(1);
#elif defined(TRY_SEND_FOR)
  numbers.try_send_for(1s, 1);
#elif defined(SEND_WITH_CONTEXT)
  numbers.send(ctx, 1);
#elif defined(SIGNAL_WITH_CONTEXT)
  signals.send(ctx);
#elif defined(WAIT_WITH_CONTEXT)
  rn::wait_group group;
  group.wait(ctx);
#elif defined(CONTEXT)
  rn::with_cancel(ctx);
#elif defined(ENDS)
  rn::make_channel<int>();
#elif defined(CASE)
  rn::on_recv(numbers);
#elif defined(OUTCOME)
  rn::errgroup group(ctx);
  group.wait_result();
#endif
  static_cast<void>(ctx);
  static_cast<void>(numbers);
  static_cast<void>(signals);
}
