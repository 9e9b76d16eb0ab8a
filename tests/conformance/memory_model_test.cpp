// Section 2 of the behaviours, what happens before what. Plain variables are published through the channel and nothing else: the
// value is checked here, that there is no race by ThreadSanitizer. So nothing in these tests looks at the other side's queue: its
// lock would order what the operation under test must order. Programs that race on purpose: tests/negative.
#include <array>
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
#include "support.hpp"

namespace memory_model_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

const support::size_parameter sizes[] = {0, 1, 2, 7, std::nullopt};
const support::size_parameter buffered_sizes[] = {1, 2, 7, std::nullopt};
constexpr int rounds = 60;

enum class form { plain, tried, with_ctx, timed, many, selected };
constexpr form forms[] = {form::plain, form::tried, form::with_ctx, form::timed, form::many, form::selected};

/// Receives by a form, until there is a value, or none will ever be.
template <class T>
std::optional<T> receive(const rn::recv_channel<T>& ch, form how) {
  switch (how) {
    case form::plain: return ch.recv();
    case form::tried:
      for (rn::detail::backoff wait;; wait.pause()) {
        auto value = ch.try_recv();
        if (value || value.status() == rn::status::closed) return value;
      }
    case form::with_ctx: return ch.recv(rn::with_cancel(rn::context()));
    case form::timed: return ch.try_recv_for(1h);
    case form::many: {
      std::vector<T> out;
      return ch.recv_many(out, 1) == 1 ? std::optional<T>(std::move(out.front())) : std::nullopt;
    }
    case form::selected: {
      std::optional<T> slot;
      rn::select(rn::on_recv(ch, slot));
      return slot;
    }
  }
  return std::nullopt;
}
/// Sends by a form. False: it is closed.
template <class T>
bool send(const rn::send_channel<T>& ch, T value, form how) {
  switch (how) {
    case form::plain: try { ch.send(std::move(value));
      } catch (const rn::channel_closed&) {
        return false;
      }
      return true;
    case form::tried:
      for (rn::detail::backoff wait;; wait.pause())
        if (const auto s = ch.try_send(std::move(value)).status(); s != rn::status::would_block) return s == rn::status::ok;
    case form::with_ctx: return ch.send(rn::with_cancel(rn::context()), std::move(value)).status() == rn::status::ok;
    case form::timed: return ch.try_send_until(rn::time_point::max(), std::move(value)).status() == rn::status::ok;
    case form::many: {
      std::array<T, 1> one{std::move(value)};
      return ch.send_many(std::move(one)) == 1;
    }
    case form::selected: {
      bool sent = false;
      rn::select(rn::on_send(ch, std::move(value), [&](rn::send_result r) { sent = static_cast<bool>(r); }));
      return sent;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("H01 H03 a send happens before the receive of its value returns, whatever the forms") {
  for (const auto size : sizes)
    for (const form how_send : forms)
      for (const form how_recv : forms) {
        // Two operations that only try never meet in a rendezvous.
        if (size == 0U && how_send == form::tried && how_recv == form::tried) continue;
        CAPTURE(support::name_of(size), static_cast<int>(how_send), static_cast<int>(how_recv));
        const auto ch = support::make<int>(size);
        int published[rounds] = {};
        support::crew crew;
        crew.go([&] {
          for (int i = 0; i < rounds; ++i) {
            published[i] = i + 1;
            send<int>(ch, i, how_send);
          }
        });
        int wrong = 0;
        for (int i = 0; i < rounds; ++i) {
          const auto value = receive<int>(ch, how_recv);
          if (value != i || published[i] != i + 1) ++wrong;
        }
        CHECK(wrong == 0);
      }
}

TEST_CASE("H02 at a rendezvous the receiver's call happens before the send returns, whatever the forms") {
  for (const form how_send : forms)
    for (const form how_recv : forms) {
      if (how_send == form::tried && how_recv == form::tried) continue;
      CAPTURE(static_cast<int>(how_send), static_cast<int>(how_recv));
      const rn::channel<int> ch;
      int published[rounds] = {};
      support::crew crew;
      crew.go([&] {
        for (int i = 0; i < rounds; ++i) {
          published[i] = i + 1;
          receive<int>(ch, how_recv);
        }
      });
      int wrong = 0;
      for (int i = 0; i < rounds; ++i) {
        send<int>(ch, i, how_send);
        if (published[i] != i + 1) ++wrong;
      }
      CHECK(wrong == 0);
    }
}

TEST_CASE("H16 the k-th receive happens before the send k + C returns: a channel of capacity 1 is a lock, one of n a semaphore") {
  for (const form how_send : forms)
    for (const form how_recv : forms) {
      CAPTURE(static_cast<int>(how_send), static_cast<int>(how_recv));
      const rn::channel<int> lock(1);
      int counter = 0;
      support::crew crew;
      for (int t = 0; t < 3; ++t)
        crew.go([&] {
          for (int i = 0; i < rounds; ++i) {
            send<int>(lock, 0, how_send);
            ++counter;
            receive<int>(lock, how_recv);
          }
        });
      crew.join();
      CHECK(counter == 3 * rounds);
    }
  for (const std::size_t capacity : {std::size_t{2U}, std::size_t{7}}) {
    CAPTURE(capacity);
    const rn::channel<std::size_t> ch(capacity);
    std::vector<int> published(200 + capacity, 0);
    support::crew crew;
    crew.go([&] {
      for (std::size_t k = 0; k < 200; ++k) {
        published[k] = 1;  // before the k-th receive, so before the send k + C returns
        ch.recv();
      }
    });
    int seen = 0;
    for (std::size_t k = 0; k < 200; ++k) {
      ch.send(k);
      if (k >= capacity) seen += published[k - capacity];
    }
    CHECK(seen == 200 - static_cast<int>(capacity));
  }
}

TEST_CASE("H05 H18 close happens before whatever learns of it, in every form") {
  for (const auto size : sizes)
    for (const form how : forms)
      for (const bool by_hand : {true, false}) {
        CAPTURE(support::name_of(size), static_cast<int>(how), by_hand);
        int wrong = 0;
        for (int i = 0; i < 20; ++i) {
          auto ends = size ? rn::make_channel<int>(*size) : rn::make_channel<int>(rn::unbounded);
          int published = 0;
          support::crew crew;
          crew.go([&published, out = std::move(ends.send), by_hand]() mutable {
            published = 1;
            if (by_hand) out.close();
            out = nullptr;
          });
          if (receive(ends.recv, how) || published != 1) ++wrong;
        }
        CHECK(wrong == 0);
      }
}

TEST_CASE("H05 H10 what closed(), drained() and the end of a range say has happened after close") {
  for (const auto size : sizes)
    for (int question = 0; question < 4; ++question) {
      CAPTURE(support::name_of(size), question);
      int wrong = 0;
      for (int i = 0; i < 20; ++i) {
        const auto ch = support::make<int>(size);
        int published = 0;
        support::crew crew;
        crew.go([&] {
          published = 1;
          ch.close();
        });
        if (question == 0) support::wait_until([&] { return ch.closed(); });
        if (question == 1) support::wait_until([&] { return ch.drained(); });
        if (question == 2)
          for (const int value : ch) wrong += value;
        if (question == 3) support::wait_until([&] { return ch.try_recv().status() == rn::status::closed; });
        if (published != 1) ++wrong;
        wrong += static_cast<int>(ch.size());
      }
      CHECK(wrong == 0);
    }
}

TEST_CASE("H05 close happens before a send that it ends learns of it, and so does the last receiver's going") {
  for (const auto size : {support::size_parameter(0), support::size_parameter(1), support::size_parameter(2)})
    for (const form how : forms)
      for (const bool by_hand : {true, false}) {
        CAPTURE(support::name_of(size), static_cast<int>(how), by_hand);
        int wrong = 0;
        for (int i = 0; i < 20; ++i) {
          auto ends = rn::make_channel<int>(*size);
          for (std::size_t k = 0; k < *size; ++k) ends.send.send(0);
          int published = 0;
          support::crew crew;
          crew.go([&published, in = std::move(ends.recv), closing = ends.send, by_hand]() mutable {
            published = 1;
            if (by_hand)
              closing.close();
            else
              in = nullptr;
          });
          if (send(ends.send, 1, how) || published != 1) ++wrong;
          crew.join();
        }
        CHECK(wrong == 0);
      }
}

TEST_CASE("H06 a send that races with close is delivered, or is an error: never both, never neither") {
  for (const auto size : sizes)
    for (const form how : forms) {
      CAPTURE(support::name_of(size), static_cast<int>(how));
      int sent = 0;
      int received = 0;
      for (int i = 0; i < 20; ++i) {
        const auto ch = support::make<int>(size);
        bool accepted[2] = {};
        support::crew crew;
        for (bool& mine : accepted) crew.go([&] { mine = send<int>(ch, 1, how); });
        crew.go([&] { ch.close(); });
        for (const int value : ch) received += value;
        crew.join();
        sent += (accepted[0] ? 1 : 0) + (accepted[1] ? 1 : 0);
        REQUIRE(ch.drained());
      }
      CHECK(sent == received);
    }
}

TEST_CASE("H08 of those who close at once one succeeds, the others get channel_closed") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    for (int i = 0; i < 50; ++i) {
      const auto ch = support::make<int>(size);
      support::counter closed{0};
      support::counter refused{0};
      support::crew crew;
      for (int t = 0; t < 3; ++t)
        crew.go([&] {
          try {
            ch.close();
            support::add(closed);
          } catch (const rn::channel_closed&) {
            support::add(refused);
          }
        });
      crew.join();
      REQUIRE(support::read(closed) == 1);
      REQUIRE(support::read(refused) == 2);
    }
  }
}

TEST_CASE("H09 H10 B34 size, capacity, closed and drained may be asked while others send, receive and close") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<int>(size);
    constexpr int count = 2'000;
    support::crew crew;
    crew.go([&] {
      for (int i = 0; i < count; ++i) ch.send(i);
      ch.close();
    });
    support::counter received{0};
    crew.go([&] {
      for (const int value : ch) support::add(received, value >= 0 ? 1 : 0);
    });
    bool within = true;
    bool was_drained = false;
    while (!was_drained) {
      within = within && ch.size() <= (size ? *size : std::size_t{count});
      was_drained = ch.drained();
      if (was_drained) within = within && ch.closed() && ch.size() == 0;
    }
    crew.join();
    CHECK(within);
    CHECK(ch.drained());
    CHECK(support::read(received) == count);
  }
}

TEST_CASE("H11 what a pointer points at travels with it, to and fro") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto there = support::make<std::string*>(size);
    const auto back = support::make<std::string*>(size);
    support::crew crew;
    crew.go([&] {
      for (std::string* text : there) {
        *text += "there ";
        back.send(text);
      }
    });
    std::string text;
    for (int i = 0; i < rounds; ++i) {
      text = "x";
      there.send(&text);
      *back.recv().value() += "and back";
      REQUIRE(text == "xthere and back");
    }
    there.close();
  }
}

TEST_CASE("H13 a value is evaluated before it is handed over, so the variable that it came from is the sender's again at once") {
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<std::string>(size);
    support::crew crew;
    crew.go([&] {
      std::string text;
      for (int i = 0; i < rounds; ++i) {
        text = std::to_string(i);
        ch.send(text);
        text = "overwritten";
      }
    });
    int wrong = 0;
    for (int i = 0; i < rounds; ++i) {
      std::string mine = "before";
      mine = *ch.recv();
      if (mine != std::to_string(i)) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("H19 values without a size synchronize as others do") {
  struct empty {};
  for (const auto size : sizes) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<empty>(size);
    const auto signal = support::make<void>(size);
    int published[rounds][2] = {};
    support::crew crew;
    crew.go([&] {
      for (auto& two : published) {
        two[0] = 1;
        ch.send({});
        two[1] = 1;
        signal.send();
      }
    });
    int sum = 0;
    for (const auto& two : published) {
      ch.recv();
      sum += two[0];
      signal.recv();
      sum += two[1];
    }
    CHECK(sum == 2 * rounds);
  }
}

TEST_CASE("H20 handles are copied and dropped by all at once, each thread its own") {
  for (const auto size : buffered_sizes) {
    CAPTURE(support::name_of(size));
    auto ends = size ? rn::make_channel<support::counted>(*size) : rn::make_channel<support::counted>(rn::unbounded);
    int written[4] = {};
    support::crew crew;
    for (int& mine : written)
      crew.go([&mine, out = ends.send] {
        for (int i = 0; i < rounds; ++i) {
          rn::send_channel<support::counted> copy = out;
          const rn::send_channel<support::counted> second = std::move(copy);
          copy = second;
          copy.send(support::counted(1));
        }
        mine = 1;
      });
    ends.send = nullptr;
    int received = 0;
    while (auto value = ends.recv.recv()) received += value->value();
    CHECK(received == 4 * rounds);
    for (const int mine : written) CHECK(mine == 1);  // what a thread did happens before the end of the last sender
    crew.join();
    CHECK(support::counted::live() == 0);
  }
}

}  // namespace memory_model_test
