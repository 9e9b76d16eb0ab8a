// Sends, receives and a close, three parties: the scenario that the rate is measured on, over all stores.
#include "kit.hpp"

namespace model {
namespace {

void send_recv_close(std::size_t capacity) {
  tally t;
  {
    const auto ch = make(capacity);
    parallel(as("sender", [&] { send(ch, 1, t.sent[0]); }), as("receiver", [&] { recv(ch, t.received[0]); }),
             as("closer", [&] { ch.close(); }));
    drain(ch, t);
    require(ch.closed() && ch.drained(), "a closed, empty channel is not drained");
  }
  t.check();
  require(most_locks_held() <= 1, "a thread held two locks");
}

const enroll all([] {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{2}, no_bound})
    add_scenario({"close/send, recv, close/" + capacity_name(capacity), about(capacity, {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15}),
                  counting([=] { send_recv_close(capacity); })});
});

}  // namespace
}  // namespace model
