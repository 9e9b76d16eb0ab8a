// broadcast: all subscribers see one order, however sends, receives, unsubscribing and closing take turns.
#include <runnel/broadcast.hpp>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

template <class Subscription>
int next_of(const Subscription& from) {
  const auto v = from.try_recv();
  return v ? (*v).value() : 0;
}
/// Values that can be copied.
class word {
 public:
  explicit word(int v) : inner_(v), value_(v) {}
  word(const word& other) : inner_(other.value_), value_(other.value_) {}
  word(word&&) noexcept = default;
  word& operator=(const word&) = delete;
  ~word() = default;
  [[nodiscard]] int value() const { return value_; }

 private:
  counted inner_;
  int value_;
};

void one_order() {
  rn::broadcast<word> hub(2);
  const auto a = hub.subscribe();
  const auto b = hub.subscribe();
  parallel(as("one", [&] { hub.send(word(1)); }), as("two", [&] { hub.send(word(2)); }));
  const int first = next_of(a);
  require(first != 0 && first == next_of(b), "two subscribers see different orders");
  require(next_of(a) == 3 - first && next_of(b) == 3 - first, "a value is lost");
}
void waits_for_room() {
  rn::broadcast<word> hub(1);
  const auto a = hub.subscribe();
  const auto b = hub.subscribe();
  hub.send(word(1));
  parallel(as("send", [&] { hub.send(word(2)); }), as("a", [&] { static_cast<void>(a.recv()); }),
           as("b", [&] { static_cast<void>(b.recv()); }));
  require(next_of(a) == 2 && next_of(b) == 2, "a value is lost");
}
void unsubscribed_while_sent() {
  rn::broadcast<word> hub(1);
  auto a = hub.subscribe();
  const auto b = hub.subscribe();
  hub.send(word(1));
  static_cast<void>(b.recv());
  parallel(as("send", [&] { hub.send(word(2)); }), as("unsubscribe", [&] { a = {}; }));
  require(next_of(b) == 2, "a value is lost with somebody else's subscription");
}
void canceled_while_sent() {
  rn::broadcast<word> hub(1);
  const auto a = hub.subscribe();
  const auto b = hub.subscribe();
  hub.send(word(1));
  static_cast<void>(b.recv());
  auto ctx = rn::with_cancel(rn::context());
  rn::status end = rn::status::would_block;
  parallel(as("send", [&] { end = hub.send(ctx, word(2)).status(); }), as("cancel", [&] { ctx.cancel(); }),
           as("a", [&] { static_cast<void>(a.recv()); }));
  const int expected = end == rn::status::ok ? 2 : 0;
  require(next_of(a) == expected && next_of(b) == expected, "a send is neither done nor not done");
  require(hub.try_send(word(3)).status() == rn::status::ok, "who gives up leaves its turn");
}
void closed_while_sent() {
  rn::broadcast<word> hub(1);
  const auto a = hub.subscribe();
  const auto b = hub.subscribe();
  hub.send(word(1));
  rn::status end = rn::status::would_block;
  parallel(as("send", [&] { end = hub.send(rn::context(), word(2)).status(); }), as("close", [&] { hub.close(); }),
           as("a", [&] { static_cast<void>(a.recv()); }));
  require(end == rn::status::closed, "b has had no room");
  require(next_of(a) == 0 && next_of(b) == 1 && a.drained() && b.drained(), "what was sent before is received, and nothing else");
}
void destroyed_while_it_sends() {
  rn::broadcast<word> hub(1);
  const auto a = hub.subscribe();
  hub.send(word(1));
  word value(2);
  thread_place here;
  parallel(as("destroys",
              [&] {
                const auto body = [&]() -> placed {
                  rn::task<> work = hub.async_send(std::move(value));
                  co_await std::move(work);
                };
                placed waits = body();
                waits.start(here);
                waits.destroy();
              }),
           as("a", [&] { static_cast<void>(a.recv()); }));
  static_cast<void>(hub.try_send(word(3)));
  require(a.size() == 1, "who is destroyed leaves its turn");
}
void oldest_dropped() {
  rn::broadcast<word> hub(2, rn::lag::drop_oldest);
  const auto a = hub.subscribe();
  hub.send(word(1));
  hub.send(word(2));
  int got = 0;
  parallel(as("send", [&] { hub.send(word(3)); }), as("recv", [&] { got = (*a.recv()).value(); }));
  // Either the receive was first, and there was room, or the send was, and has dropped the first value.
  require(got == (a.lagged() == 0 ? 1 : 2), "a value is dropped although there was room");
  require(next_of(a) == (got == 1 ? 2 : 3), "values come out of order");
  require(a.lagged() == 1 || next_of(a) == 3, "a value is lost");
}
void lagging_closed() {
  rn::broadcast<word> hub(1, rn::lag::close);
  const auto a = hub.subscribe();
  hub.send(word(1));
  parallel(as("send", [&] { hub.send(word(2)); }),
           as("recv", [&] { require((*a.recv()).value() == 1, "the first value comes first"); }));
  require(a.lagged() == (a.closed() ? 1U : 0U) && next_of(a) == (a.closed() ? 0 : 2), "who lags is closed, and nobody else");
}
void subscribed_while_sent() {
  rn::broadcast<word> hub(1);
  const auto a = hub.subscribe();
  rn::subscription<word> b;
  parallel(as("send", [&] { hub.send(word(1)); }), as("subscribe", [&] { b = hub.subscribe(); }));
  require(next_of(a) == 1, "a value is lost");
  const int late = next_of(b);
  require(late == 0 || late == 1, "a value is there or not");
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"broadcast/one order", waiting, counting(&one_order)});
  add_scenario({"broadcast/waits for room", waiting, counting(&waits_for_room)});
  add_scenario({"broadcast/send, unsubscribe", waiting, counting(&unsubscribed_while_sent)});
  add_scenario({"broadcast/send, cancel", waiting, counting(&canceled_while_sent)});
  add_scenario({"broadcast/send, close", waiting, counting(&closed_while_sent)});
  add_scenario({"broadcast/destroyed", waiting, counting(&destroyed_while_it_sends)});
  add_scenario({"broadcast/drop_oldest, recv", waiting, counting(&oldest_dropped)});
  add_scenario({"broadcast/close, recv", waiting, counting(&lagging_closed)});
  add_scenario({"broadcast/send, subscribe", waiting, counting(&subscribed_while_sent)});
});

}  // namespace
}  // namespace model
