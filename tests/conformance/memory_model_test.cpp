// Section 2 of the behaviours, what happens before what. Plain variables are published through the channel and nothing else: the
// value is checked here, that there is no race by ThreadSanitizer. So nothing in these tests looks at the other side's queue: its
// lock would order what the operation under test must order. Programs that race on purpose: tests/negative. All over threads and
// coroutines; what coroutines of one runtime publish may be ordered by that, too, so the mixed ones say more.
#include <chrono>
#include <memory>
#include <optional>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/select.hpp>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "parties.hpp"
#include "support.hpp"

namespace memory_model_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using support::party;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 7, std::nullopt};
const support::size_parameter buffered_sizes[] = {1, 2, 7, std::nullopt};
constexpr int rounds = support::scaled(60, 25);

enum class form { plain, tried, with_ctx, timed, many, selected };
constexpr form forms[] = {form::plain, form::tried, form::with_ctx, form::timed, form::many, form::selected};

/// Receives by a form, until there is a value, or none will ever be.
rn::task<std::optional<int>> receive(party me, const rn::recv_channel<int>& ch, form how) {
  switch (how) {
    case form::plain: co_return co_await me.recv(ch);
    case form::tried:
      for (rn::detail::backoff wait;;) {
        auto value = ch.try_recv();
        if (value || value.status() == rn::status::closed) co_return value;
        co_await me.pause(wait);
      }
    case form::with_ctx: {
      const auto ctx = rn::with_cancel(rn::context());
      co_return co_await me.recv(ctx, ch);
    }
    case form::timed: co_return co_await me.recv_for(ch, 1h);
    case form::many: {
      std::vector<int> out;
      const std::size_t count = co_await me.recv_many(ch, out, 1);
      if (count == 1) co_return out.front();
      co_return std::nullopt;
    }
    case form::selected: {
      std::optional<int> slot;
      co_await me.select(rn::on_recv(ch, slot));
      co_return slot;
    }
  }
  co_return std::nullopt;
}
/// Sends by a form. False: it is closed.
rn::task<bool> send(party me, const rn::send_channel<int>& ch, int value, form how) {
  switch (how) {
    case form::plain: try { co_await me.send(ch, value);
      } catch (const rn::channel_closed&) {
        co_return false;
      }
      co_return true;
    case form::tried:
      for (rn::detail::backoff wait;;) {
        if (const auto s = ch.try_send(value).status(); s != rn::status::would_block) co_return s == rn::status::ok;
        co_await me.pause(wait);
      }
    case form::with_ctx: {
      const auto ctx = rn::with_cancel(rn::context());
      const auto sent = co_await me.send(ctx, ch, value);
      co_return sent.status() == rn::status::ok;
    }
    case form::timed: {
      const auto sent = co_await me.send_until(ch, rn::time_point::max(), value);
      co_return sent.status() == rn::status::ok;
    }
    case form::many: {
      std::vector<int> one{value};
      co_return co_await me.send_many(ch, std::move(one)) == 1;
    }
    case form::selected: {
      bool sent = false;
      co_await me.select(rn::on_send(ch, value, [&](rn::send_result r) { sent = static_cast<bool>(r); }));
      co_return sent;
    }
  }
  co_return false;
}

}  // namespace

TEST_CASE("H01 H03 a send happens before the receive of its value returns, whatever the forms") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes)
    for (const form by_send : forms)
      for (const form by_recv : forms) {
        // Two operations that only try never meet in a rendezvous.
        if (size == 0U && by_send == form::tried && by_recv == form::tried) continue;
        CAPTURE(support::name_of(how), support::name_of(size), static_cast<int>(by_send), static_cast<int>(by_recv));
        const auto ch = support::make<int>(size);
        int published[rounds] = {};
        support::parties parties(how);
        int wrong = 0;
        parties.go([&](party me) -> rn::task<> {
          for (int i = 0; i < rounds; ++i) {
            published[i] = i + 1;
            co_await me.call(send(me, ch, i, by_send));
          }
        });
        parties.run([&](party me) -> rn::task<> {
          for (int i = 0; i < rounds; ++i) {
            const auto value = co_await me.call(receive(me, ch, by_recv));
            if (value != i || published[i] != i + 1) ++wrong;
          }
        });
        parties.join();
        CHECK(wrong == 0);
      }
}

TEST_CASE("H02 at a rendezvous the receiver's call happens before the send returns, whatever the forms") {
  const auto how = GENERATE(values(support::mixes));
  for (const form by_send : forms)
    for (const form by_recv : forms) {
      if (by_send == form::tried && by_recv == form::tried) continue;
      CAPTURE(support::name_of(how), static_cast<int>(by_send), static_cast<int>(by_recv));
      const rn::channel<int> ch;
      int published[rounds] = {};
      support::parties parties(how);
      int wrong = 0;
      parties.go([&](party me) -> rn::task<> {
        for (int i = 0; i < rounds; ++i) {
          published[i] = i + 1;
          co_await me.call(receive(me, ch, by_recv));
        }
      });
      parties.run([&](party me) -> rn::task<> {
        for (int i = 0; i < rounds; ++i) {
          co_await me.call(send(me, ch, i, by_send));
          if (published[i] != i + 1) ++wrong;
        }
      });
      parties.join();
      CHECK(wrong == 0);
    }
}

TEST_CASE("H16 the k-th receive happens before the send k + C returns: a channel of capacity 1 is a lock, one of n a semaphore") {
  const auto how = GENERATE(values(support::mixes));
  for (const form by_send : forms)
    for (const form by_recv : forms) {
      CAPTURE(support::name_of(how), static_cast<int>(by_send), static_cast<int>(by_recv));
      const rn::channel<int> lock(1);
      int counter = 0;
      support::parties parties(how);
      for (int t = 0; t < 3; ++t)
        parties.go([&](party me) -> rn::task<> {
          for (int i = 0; i < rounds; ++i) {
            co_await me.call(send(me, lock, 0, by_send));
            ++counter;
            co_await me.call(receive(me, lock, by_recv));
          }
        });
      parties.join();
      CHECK(counter == 3 * rounds);
    }
  for (const std::size_t capacity : {std::size_t{2U}, std::size_t{7}}) {
    CAPTURE(support::name_of(how), capacity);
    const rn::channel<std::size_t> ch(capacity);
    std::vector<int> published(200 + capacity, 0);
    support::parties parties(how);
    int seen = 0;
    parties.go([&](party me) -> rn::task<> {
      for (std::size_t k = 0; k < 200; ++k) {
        published[k] = 1;  // before the k-th receive, so before the send k + C returns
        co_await me.recv(ch);
      }
    });
    parties.run([&](party me) -> rn::task<> {
      for (std::size_t k = 0; k < 200; ++k) {
        co_await me.send(ch, k);
        if (k >= capacity) seen += published[k - capacity];
      }
    });
    parties.join();
    CHECK(seen == 200 - static_cast<int>(capacity));
  }
}

TEST_CASE("H05 H18 close happens before whatever learns of it, in every form") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes)
    for (const form by : forms)
      for (const bool by_hand : {true, false}) {
        CAPTURE(support::name_of(how), support::name_of(size), static_cast<int>(by), by_hand);
        int wrong = 0;
        for (int i = 0; i < 20; ++i) {
          auto ends = size ? rn::make_channel<int>(*size) : rn::make_channel<int>(rn::unbounded);
          int published = 0;
          support::parties parties(how);
          parties.go([&published, out = std::move(ends.send), by_hand]() mutable {
            published = 1;
            if (by_hand) out.close();
            out = nullptr;
          });
          parties.run([&](party me) -> rn::task<> {
            const bool received = (co_await me.call(receive(me, ends.recv, by))).has_value();
            if (received || published != 1) ++wrong;
          });
          parties.join();
        }
        CHECK(wrong == 0);
      }
}

TEST_CASE("H05 H10 what closed(), drained() and the end of a range say has happened after close") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes)
    for (int question = 0; question < 4; ++question) {
      CAPTURE(support::name_of(how), support::name_of(size), question);
      int wrong = 0;
      for (int i = 0; i < 20; ++i) {
        const auto ch = support::make<int>(size);
        int published = 0;
        support::parties parties(how);
        parties.go([&] {
          published = 1;
          ch.close();
        });
        if (question == 0) support::wait_until([&] { return ch.closed(); });
        if (question == 1) support::wait_until([&] { return ch.drained(); });
        if (question == 2)
          parties.run([&](party me) -> rn::task<> {
            support::values_of all(me, ch);
            while (co_await all.next()) ++wrong;
          });
        if (question == 3) support::wait_until([&] { return ch.try_recv().status() == rn::status::closed; });
        if (published != 1) ++wrong;
        wrong += static_cast<int>(ch.size());
      }
      CHECK(wrong == 0);
    }
}

TEST_CASE("H05 close happens before a send that it ends learns of it, and so does the last receiver's going") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : {support::size_parameter(0), support::size_parameter(1), support::size_parameter(2)})
    for (const form by : forms)
      for (const bool by_hand : {true, false}) {
        CAPTURE(support::name_of(how), support::name_of(size), static_cast<int>(by), by_hand);
        int wrong = 0;
        for (int i = 0; i < 20; ++i) {
          auto ends = rn::make_channel<int>(*size);
          for (std::size_t k = 0; k < *size; ++k) ends.send.send(0);
          int published = 0;
          support::parties parties(how);
          parties.go([&published, in = std::move(ends.recv), closing = ends.send, by_hand]() mutable {
            published = 1;
            if (by_hand)
              closing.close();
            else
              in = nullptr;
          });
          parties.run([&](party me) -> rn::task<> {
            const bool sent = co_await me.call(send(me, ends.send, 1, by));
            if (sent || published != 1) ++wrong;
          });
          parties.join();
        }
        CHECK(wrong == 0);
      }
}

TEST_CASE("H06 a send that races with close is delivered, or is an error: never both, never neither") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes)
    for (const form by : forms) {
      CAPTURE(support::name_of(how), support::name_of(size), static_cast<int>(by));
      int sent = 0;
      int received = 0;
      for (int i = 0; i < 20; ++i) {
        const auto ch = support::make<int>(size);
        bool accepted[2] = {};
        support::parties parties(how);
        for (bool& mine : accepted) parties.go([&](party me) -> rn::task<> { mine = co_await me.call(send(me, ch, 1, by)); });
        parties.go([&] { ch.close(); });
        parties.run([&](party me) -> rn::task<> {
          support::values_of all(me, ch);
          while (const auto value = co_await all.next()) received += *value;
        });
        parties.join();
        sent += (accepted[0] ? 1 : 0) + (accepted[1] ? 1 : 0);
        REQUIRE(ch.drained());
      }
      CHECK(sent == received);
    }
}

TEST_CASE("H08 of those who close at once one succeeds, the others get channel_closed") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    for (int i = 0; i < 50; ++i) {
      const auto ch = support::make<int>(size);
      support::counter closed{0};
      support::counter refused{0};
      support::parties parties(how);
      for (int t = 0; t < 3; ++t)
        parties.go([&] {
          try {
            ch.close();
            support::add(closed);
          } catch (const rn::channel_closed&) {
            support::add(refused);
          }
        });
      parties.join();
      REQUIRE(support::read(closed) == 1);
      REQUIRE(support::read(refused) == 2);
    }
  }
}

TEST_CASE("H09 H10 B34 size, capacity, closed and drained may be asked while others send, receive and close") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<int>(size);
    constexpr int count = 2'000;
    support::parties parties(how);
    support::counter received{0};
    parties.go([&](party me) -> rn::task<> {
      for (int i = 0; i < count; ++i) co_await me.send(ch, i);
      ch.close();
    });
    parties.go([&](party me) -> rn::task<> {
      support::values_of all(me, ch);
      while (const auto value = co_await all.next()) support::add(received, *value >= 0 ? 1 : 0);
    });
    bool within = true;
    bool was_drained = false;
    while (!was_drained) {
      within = within && ch.size() <= (size ? *size : std::size_t{count});
      was_drained = ch.drained();
      if (was_drained) within = within && ch.closed() && ch.size() == 0;
    }
    parties.join();
    CHECK(within);
    CHECK(ch.drained());
    CHECK(support::read(received) == count);
  }
}

TEST_CASE("H11 what a pointer points at travels with it, to and fro") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto there = support::make<std::string*>(size);
    const auto back = support::make<std::string*>(size);
    support::parties parties(how);
    parties.go([&](party me) -> rn::task<> {
      support::values_of all(me, there);
      while (const auto text = co_await all.next()) {
        **text += "there ";
        co_await me.send(back, *text);
      }
    });
    int wrong = 0;
    parties.run([&](party me) -> rn::task<> {
      std::string text;
      for (int i = 0; i < rounds; ++i) {
        text = "x";
        co_await me.send(there, &text);
        *(co_await me.recv(back)).value() += "and back";
        if (text != "xthere and back") ++wrong;
      }
    });
    there.close();
    parties.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("H13 a value is evaluated before it is handed over, so the variable that it came from is the sender's again at once") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<std::string>(size);
    support::parties parties(how);
    int wrong = 0;
    parties.go([&](party me) -> rn::task<> {
      std::string text;
      for (int i = 0; i < rounds; ++i) {
        text = std::to_string(i);
        co_await me.send(ch, text);
        text = "overwritten";
      }
    });
    parties.run([&](party me) -> rn::task<> {
      for (int i = 0; i < rounds; ++i) {
        std::string mine = "before";
        mine = *co_await me.recv(ch);
        if (mine != std::to_string(i)) ++wrong;
      }
    });
    parties.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("H19 values without a size synchronize as others do") {
  const auto how = GENERATE(values(support::mixes));
  struct empty {};
  for (const auto size : sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    const auto ch = support::make<empty>(size);
    const auto signal = support::make<void>(size);
    int published[rounds][2] = {};
    support::parties parties(how);
    int sum = 0;
    parties.go([&](party me) -> rn::task<> {
      for (auto& two : published) {
        two[0] = 1;
        co_await me.send(ch, empty());
        two[1] = 1;
        co_await me.send(signal);
      }
    });
    parties.run([&](party me) -> rn::task<> {
      for (const auto& two : published) {
        co_await me.recv(ch);
        sum += two[0];
        co_await me.recv(signal);
        sum += two[1];
      }
    });
    parties.join();
    CHECK(sum == 2 * rounds);
  }
}

TEST_CASE("H20 handles are copied and dropped by all at once, each thread its own") {
  const auto how = GENERATE(values(support::mixes));
  for (const auto size : buffered_sizes) {
    CAPTURE(support::name_of(how), support::name_of(size));
    auto ends = size ? rn::make_channel<support::counted>(*size) : rn::make_channel<support::counted>(rn::unbounded);
    int written[4] = {};
    support::parties parties(how);
    for (int& mine : written)
      parties.go([&mine, out = ends.send](party me) -> rn::task<> {
        for (int i = 0; i < rounds; ++i) {
          rn::send_channel<support::counted> copy = out;
          const rn::send_channel<support::counted> second = std::move(copy);
          copy = second;
          co_await me.send(copy, support::counted(1));
        }
        mine = 1;
      });
    ends.send = nullptr;
    int received = 0;
    parties.run([&](party me) -> rn::task<> {
      while (const auto value = co_await me.recv(ends.recv)) received += value->value();
    });
    CHECK(received == 4 * rounds);
    for (const int mine : written) CHECK(mine == 1);  // what a thread did happens before the end of the last sender
    parties.join();
    CHECK(support::counted::live() == 0);
  }
}

}  // namespace memory_model_test
