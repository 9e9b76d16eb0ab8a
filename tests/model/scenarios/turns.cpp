// Coroutines whose operations need not wait, and what waits behind them: see longest_turn. Here each look but the first one of a step finds
// that the turn is over.
#include <runnel/errgroup.hpp>
#include <runnel/go.hpp>
#include <runnel/guarded.hpp>
#include <runnel/runtime.hpp>
#include <runnel/rw_guarded.hpp>
#include <runnel/select.hpp>
#include <runnel/task.hpp>

#include <string>
#include <vector>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

/// The next operation of a coroutine looks whether its turn is over.
void look_next() { rn::detail::this_thread().operations_left = 1; }

/// A step begins two coroutines, `busy` first, and that one goes on until the other has run.
template <class Busy, class Other>
void together(Busy busy, Other other) {
  rn::runtime r(1);
  r.go([&] {
    rn::go(busy());
    rn::go(other());
  });
  r.shutdown(rn::drain);
}

/// Operations that never have to wait.
template <class One>
void lets_another_run(One one) {
  bool ran = false;
  together(
      [&]() -> rn::task<> {
        while (!ran) {  // NOLINT(bugprone-infinite-loop): the other sets it
          look_next();
          co_await one();
        }
      },
      [&]() -> rn::task<> {
        ran = true;
        co_return;
      });
}
/// Who is given a lock before it lets others go first holds it, and its thread does not.
template <class Take, class Use>
void lock_in_hand(Take take, Use use) {
  together(
      [&]() -> rn::task<> {
        for (int i = 0; i < 2; ++i) {
          look_next();
          static_cast<void>(co_await take());
        }
      },
      [&]() -> rn::task<> {
        use();
        co_return;
      });
}
/// How it ended is known before the turn is over.
void closed() {
  const rn::channel<counted> ch;
  ch.close();
  bool ran = false;
  together(
      [&]() -> rn::task<> {
        while (!ran) {  // NOLINT(bugprone-infinite-loop): the other sets it
          look_next();
          require((co_await ch.async_recv()).status() == rn::status::closed, "the channel is closed");
        }
      },
      [&]() -> rn::task<> {
        ran = true;
        co_return;
      });
}
/// What it awaits when its turn is over only happens once the other runs.
template <class One>
void waits_after_its_turn(One one) {
  const rn::channel<counted> full(1);
  const rn::channel<counted> ch;
  const auto ctx = rn::with_cancel(rn::context());
  full.send(counted(1));
  together(
      [&]() -> rn::task<> {
        look_next();
        static_cast<void>(co_await full.async_recv());
        look_next();
        const auto got = co_await one(ch, ctx);
        require(got && got->value() == 2, "the value came over");
      },
      [&]() -> rn::task<> { co_await ch.async_send(counted(2)); });
}
/// The context ends at any time: before its turn is over, while it is in the queue, or once it waits.
void canceled() {
  const rn::channel<int> full(1);
  const rn::channel<int> ch;
  full.send(1);
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("runtime",
              [&] {
                together(
                    [&]() -> rn::task<> {
                      look_next();
                      static_cast<void>(co_await full.async_recv());
                      look_next();
                      require((co_await ch.async_recv(ctx)).status() == rn::status::canceled, "the context has ended");
                    },
                    []() -> rn::task<> { co_return; });
              }),
           as("cancel", [&] { ctx.cancel(); }));
}
/// Two that let each other go first, and are in no wait.
template <class One>
void abandoned(One one) {
  const rn::channel<counted> ch(2);
  const auto ctx = rn::with_cancel(rn::context());
  rn::runtime r(1);
  const auto busy = [&](counted /*local*/) -> rn::task<> {
    for (int i = 0; i < 3; ++i) {
      look_next();
      static_cast<void>(ch.try_send(counted(i)));
      static_cast<void>(co_await one(ch, ctx));
    }
  };
  for (int i = 0; i < 2; ++i) r.go(busy(counted(10 + i)));
  r.shutdown(rn::abandon);
  while (ch.try_recv()) {
  }
}
/// A step destroys one that has let others go first, and has not come back.
template <class One>
void destroyed(One one) {
  const rn::channel<counted> ch(2);
  const auto ctx = rn::with_cancel(rn::context());
  for (int i = 0; i < 2; ++i) ch.send(counted(i));
  rn::runtime r(1);
  const auto step = [&]() -> rn::task<> {
    rn::go([] {});
    const auto coroutine = [&]() -> placed {
      for (int i = 0; i < 2; ++i) {
        look_next();
        static_cast<void>(co_await one(ch, ctx));
      }
      require(false, "the other task goes first");
    };
    placed waits = coroutine();
    waits.start(rn::detail::current_place());
    waits.destroy();
    co_return;
  };
  r.go(step());
  r.shutdown(rn::drain);
  while (ch.try_recv()) {
  }
}

const enroll all([] {
  const auto add = [](const std::string& name, const std::function<void()>& body) {
    add_scenario({"turn/" + name, {9, 10}, counting(body)});
  };
  const auto lone = [](const rn::channel<counted>& ch, const rn::context&) { return ch.async_recv(); };
  const auto limited = [](const rn::channel<counted>& ch, const rn::context& ctx) { return ch.async_recv(ctx); };
  add("another runs, recv", [] {
    const rn::channel<int> ch(1);
    lets_another_run([&] {
      static_cast<void>(ch.try_send(1));
      return ch.async_recv();
    });
  });
  add("another runs, recv_many", [] {
    const rn::channel<int> ch(1);
    std::vector<int> some;
    lets_another_run([&] {
      static_cast<void>(ch.try_send(1));
      return ch.async_recv_many(some, 2);
    });
  });
  add("another runs, recv or done", [] {
    const rn::channel<int> ch(1);
    const auto ctx = rn::with_cancel(rn::context());
    lets_another_run([&] {
      static_cast<void>(ch.try_send(1));
      return ch.async_recv(ctx);
    });
  });
  add("another runs, select", [] {
    const rn::channel<int> ch;
    lets_another_run([&] { return rn::async_select(rn::on_recv(ch), rn::otherwise()); });
  });
  add("another runs, closed", &closed);
  add("another locks", [] {
    rn::guarded<int> value(0);
    lock_in_hand([&] { return value.async_lock(); }, [&] { value.with([](int& n) { ++n; }); });
  });
  add("another writes", [] {
    rn::rw_guarded<int> value(0);
    lock_in_hand([&] { return value.async_write_lock(); }, [&] { value.write([](int& n) { ++n; }); });
  });
  add("another sends, recv", [lone] { waits_after_its_turn(lone); });
  add("another sends, recv or done", [limited] { waits_after_its_turn(limited); });
  add("canceled", &canceled);
  add("destroyed, recv", [lone] { destroyed(lone); });
  add("destroyed, recv or done", [limited] { destroyed(limited); });
  add("abandon, recv", [lone] { abandoned(lone); });
  add("abandon, recv or done", [limited] { abandoned(limited); });
});

}  // namespace
}  // namespace model
