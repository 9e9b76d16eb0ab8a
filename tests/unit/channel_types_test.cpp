// What a channel can carry, which handles convert and what each of them can do: mostly questions to the compiler.
#include <any>
#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace channel_types_test {

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

template <class T>
concept carried = requires { typename rn::channel<T>; };
template <class Handle, class T>
concept sends = requires(const Handle& h, T value) { h.send(std::move(value)); } ||
                requires(const Handle& h, T value) { h.try_send(std::move(value)); } ||
                requires(const Handle& h, T value, rn::context ctx) { h.send(ctx, std::move(value)); } ||
                requires(const Handle& h, T value) { h.try_send_for(1s, std::move(value)); } ||
                requires(const Handle& h, std::vector<T> values) { h.send_many(std::move(values)); };
template <class Handle, class T>
concept copies = requires(const Handle& h, const T& value) { h.send(value); };
template <class Handle>
concept closes = requires(const Handle& h) { h.close(); } || std::constructible_from<rn::close_on_exit, const Handle&>;
template <class Handle>
concept receives = requires(const Handle& h) { h.recv(); } || requires(const Handle& h) { h.try_recv(); } ||
                   requires(const Handle& h, rn::context ctx) { h.recv(ctx); } ||
                   requires(const Handle& h) { h.try_recv_for(1s); } || requires(const Handle& h) { h.begin(); };
template <class Handle, class T>
concept receives_many = requires(const Handle& h, std::vector<T>& out) { h.recv_many(out, 1); };

template <class Handle>
concept ranged = requires(const Handle& h) { h.begin(); };
template <class A, class B>
concept comparable = requires(const A& a, const B& b) { a == b; };

struct empty {};
struct empty_not_default {
  explicit empty_not_default(int /*unused*/) {}
};
struct not_default {
  explicit not_default(int v) : value(v) {}
  int value;
};
struct alignas(64) over_aligned {
  std::uint64_t value = 0;
  /// Whether it stands where its alignment says.
  [[nodiscard]] bool aligned() const { return reinterpret_cast<std::uintptr_t>(this) % 64 == 0; }
};
struct big {
  std::array<std::uint32_t, 8192> words{};  // 32 KiB
};
struct move_throws {
  move_throws() = default;
  move_throws(move_throws&&) noexcept(false) {}
  move_throws& operator=(move_throws&&) noexcept(false) { return *this; }
};
struct overloads_address {
  int value = 0;
  void operator&() const = delete;  // NOLINT(google-runtime-operator): what is asked
};

// T may be incomplete where a handle is declared.
struct job {
  rn::send_channel<job> reply;
  std::unique_ptr<rn::channel<job>> further;
  int number = 0;
};

}  // namespace

TEST_CASE("C71 B22 objects without cv can be carried, and void; references, arrays, functions and const ones cannot") {
  STATIC_REQUIRE(carried<int>);
  STATIC_REQUIRE(carried<void>);
  STATIC_REQUIRE(carried<int*>);
  STATIC_REQUIRE(carried<std::unique_ptr<int>>);
  STATIC_REQUIRE(carried<empty_not_default>);
  STATIC_REQUIRE(carried<const char*>);
  STATIC_REQUIRE(carried<std::array<int, 3>>);
  STATIC_REQUIRE_FALSE(carried<const int>);
  STATIC_REQUIRE_FALSE(carried<volatile int>);
  STATIC_REQUIRE_FALSE(carried<int&>);
  STATIC_REQUIRE_FALSE(carried<int&&>);
  STATIC_REQUIRE_FALSE(carried<int[3]>);
  STATIC_REQUIRE_FALSE(carried<int()>);
  STATIC_REQUIRE_FALSE(carried<const void>);
  STATIC_REQUIRE(carried<move_throws>);  // refused when a channel is made: it may be incomplete here (tests/fail)
}

TEST_CASE("C19 an end that receives cannot send or close, one that sends cannot receive, and no way leads back") {
  STATIC_REQUIRE(sends<rn::channel<int>, int>);
  STATIC_REQUIRE(receives<rn::channel<int>>);
  STATIC_REQUIRE(closes<rn::channel<int>>);
  STATIC_REQUIRE(sends<rn::send_channel<int>, int>);
  STATIC_REQUIRE(closes<rn::send_channel<int>>);
  STATIC_REQUIRE_FALSE(receives<rn::send_channel<int>>);
  STATIC_REQUIRE_FALSE(receives_many<rn::send_channel<int>, int>);
  STATIC_REQUIRE(receives<rn::recv_channel<int>>);
  STATIC_REQUIRE(receives_many<rn::recv_channel<int>, int>);
  STATIC_REQUIRE_FALSE(sends<rn::recv_channel<int>, int>);
  STATIC_REQUIRE_FALSE(closes<rn::recv_channel<int>>);
  STATIC_REQUIRE(std::convertible_to<rn::channel<int>, rn::send_channel<int>>);
  STATIC_REQUIRE(std::convertible_to<rn::channel<int>, rn::recv_channel<int>>);
  STATIC_REQUIRE_FALSE(std::constructible_from<rn::channel<int>, rn::send_channel<int>>);
  STATIC_REQUIRE_FALSE(std::constructible_from<rn::channel<int>, rn::recv_channel<int>>);
  STATIC_REQUIRE_FALSE(std::constructible_from<rn::recv_channel<int>, rn::send_channel<int>>);
  STATIC_REQUIRE_FALSE(std::constructible_from<rn::send_channel<int>, rn::recv_channel<int>>);
  STATIC_REQUIRE_FALSE(std::constructible_from<rn::send_channel<int>, rn::channel<long>>);
  STATIC_REQUIRE_FALSE(comparable<rn::channel<int>, rn::channel<long>>);
  STATIC_REQUIRE(comparable<rn::recv_channel<int>, rn::send_channel<int>>);
}

TEST_CASE("a capacity is said out loud, nil comes from nullptr alone, and a handle is as large as a pointer") {
  STATIC_REQUIRE_FALSE(std::convertible_to<int, rn::channel<int>>);
  STATIC_REQUIRE_FALSE(std::convertible_to<std::size_t, rn::channel<int>>);
  STATIC_REQUIRE_FALSE(std::convertible_to<rn::unbounded_t, rn::channel<int>>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<rn::channel<int>, int*>);
  STATIC_REQUIRE(std::convertible_to<std::nullptr_t, rn::channel<int>>);
  STATIC_REQUIRE(std::convertible_to<std::nullptr_t, rn::send_channel<int>>);
  STATIC_REQUIRE(std::convertible_to<std::nullptr_t, rn::recv_channel<int>>);
  STATIC_REQUIRE(sizeof(rn::channel<big>) == sizeof(void*));
  STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<rn::channel<int>>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<rn::channel<std::unique_ptr<int>>>);
  STATIC_REQUIRE(std::is_nothrow_default_constructible_v<rn::recv_channel<int>>);
  CHECK(rn::channel<int>(0).capacity() == 0);
  CHECK(rn::channel<int>(0) != nullptr);
}

TEST_CASE("C71 what cannot be copied is sent by move alone; channel<void> has no values and no range") {
  STATIC_REQUIRE(sends<rn::channel<std::unique_ptr<int>>, std::unique_ptr<int>>);
  STATIC_REQUIRE_FALSE(copies<rn::channel<std::unique_ptr<int>>, std::unique_ptr<int>>);
  STATIC_REQUIRE(copies<rn::channel<std::string>, std::string>);
  STATIC_REQUIRE_FALSE(sends<rn::channel<void>, int>);
  STATIC_REQUIRE_FALSE(ranged<rn::channel<void>>);
  STATIC_REQUIRE(ranged<rn::channel<int>>);
  STATIC_REQUIRE(receives<rn::channel<void>>);
  STATIC_REQUIRE(std::same_as<decltype(std::declval<rn::channel<void>>().recv()), rn::result<void>>);
  STATIC_REQUIRE(std::same_as<decltype(std::declval<rn::channel<int>>().try_recv()), rn::result<int>>);
  STATIC_REQUIRE_FALSE(std::constructible_from<rn::recv_result<int>, int>);
}

TEMPLATE_TEST_CASE("C20 C71 payloads of every shape go through every kind of channel", "", empty, std::unique_ptr<int>, std::string,
                   over_aligned, std::function<void()>, std::vector<int>, bool, std::any) {
  for (const support::size_parameter size :
       {support::size_parameter(0), support::size_parameter(1), support::size_parameter(3), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<TestType>(size);
    support::crew crew;
    crew.go([&] {
      for (int i = 0; i < 100; ++i) ch.send(TestType());
      ch.close();
    });
    int received = 0;
    while (auto value = ch.recv()) ++received;
    CHECK(received == 100);
  }
}

TEST_CASE("C20 H19 an empty value that cannot be default-made, and one that hides its address") {
  for (const std::size_t capacity : {0U, 1U}) {
    CAPTURE(capacity);
    const rn::channel<empty_not_default> ch(capacity);
    const rn::channel<overloads_address> hiding(capacity);
    int written = 0;
    support::crew crew;
    crew.go([&] {
      written = 1;
      ch.send(empty_not_default(1));
      overloads_address value{7};
      hiding.send(overloads_address{value});
      hiding.send(value);
    });
    CHECK(ch.recv());
    CHECK(written == 1);
    CHECK(hiding.recv()->value == 7);
    CHECK(hiding.recv()->value == 7);
  }
}

TEST_CASE("C71 values that are not default-made, over-aligned ones, and 32 KiB ones arrive whole") {
  for (const auto size : {support::size_parameter(1), support::size_parameter(5), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const auto plain = support::make<not_default>(size);
    plain.send(not_default(7));
    CHECK(plain.recv()->value == 7);
    const auto aligned = support::make<over_aligned>(size);
    for (std::uint64_t i = 0; i < 200; ++i) {
      aligned.send(over_aligned{i});
      const auto value = aligned.recv();
      REQUIRE(value->aligned());
      REQUIRE(value->value == i);
    }
  }
}

TEST_CASE("B08 a long queue of 32 KiB values needs no deep stack") {
  for (const auto size : {support::size_parameter(64), support::size_parameter()}) {
    CAPTURE(support::name_of(size));
    const auto ch = support::make<std::unique_ptr<big>>(size);
    const auto whole = support::make<big>(size);
    for (std::uint32_t i = 0; i < 64; ++i) {
      auto value = std::make_unique<big>();
      value->words.front() = value->words.back() = i;
      whole.send(*value);
      ch.send(std::move(value));
    }
    for (std::uint32_t i = 0; i < 64; ++i) {
      const auto pointer = ch.recv();
      const auto value = whole.recv();
      REQUIRE((*pointer)->words.back() == i);
      REQUIRE(value->words.front() == i);
      REQUIRE(value->words.back() == i);
    }
  }
}

TEST_CASE("a job may carry a channel of jobs") {
  const rn::channel<job> jobs(2);
  const rn::channel<job> replies(2);
  jobs.send(job{replies, std::make_unique<rn::channel<job>>(1), 1});
  auto first = jobs.recv();
  first->further->send(job{nullptr, nullptr, 2});
  first->reply.send(std::move(*first->further->recv()));
  CHECK(replies.recv()->number == 2);
}

}  // namespace channel_types_test
