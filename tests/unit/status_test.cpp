// status, result<T>, and the exceptions: all values, all conversions.
#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <runnel/status.hpp>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "catch.hpp"

namespace status_test {

namespace rn = runnel;
using rn::status;
using make = rn::detail::result_access;

static_assert(std::is_error_code_enum_v<status>);
static_assert(static_cast<int>(status::ok) == 0);
static_assert(!std::is_constructible_v<rn::result<int>, int>, "a result is never made from a value by accident");
static_assert(!std::is_default_constructible_v<rn::result<int>>);
static_assert(!std::is_convertible_v<rn::result<int>, bool>, "only explicitly");
static_assert(std::is_convertible_v<rn::result<int>, std::optional<int>>);
static_assert(!std::is_copy_constructible_v<rn::result<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<rn::result<std::unique_ptr<int>>>);
static_assert(std::is_same_v<rn::send_result, rn::result<void>>);
static_assert(std::is_same_v<rn::recv_result<int>, rn::result<int>>);
static_assert(std::is_base_of_v<std::system_error, rn::channel_closed>);
static_assert(std::is_base_of_v<std::system_error, rn::context_error>);

TEST_CASE("each status is an error code that equals its errc") {
  struct row {
    status value;
    std::errc condition;
    std::string text;
  };
  const std::array rows{row{status::would_block, std::errc::operation_would_block, "would block"},
                        row{status::closed, std::errc::broken_pipe, "closed"},
                        row{status::canceled, std::errc::operation_canceled, "canceled"},
                        row{status::timed_out, std::errc::timed_out, "timed out"}};
  for (const row& r : rows) {
    const std::error_code code = r.value;
    CHECK(static_cast<bool>(code));
    CHECK(code == r.value);
    CHECK(code == r.condition);
    CHECK(code.message() == r.text);
    CHECK(std::string(code.category().name()) == "runnel");
    for (const row& other : rows) CHECK((code == other.condition) == (r.value == other.value));
  }
  const std::error_code fine = status::ok;
  CHECK_FALSE(static_cast<bool>(fine));
  CHECK(fine.message() == "ok");
  CHECK_FALSE(static_cast<bool>(fine.default_error_condition()));
}

TEST_CASE("a result with a value gives it by reference, by move, as an optional") {
  auto r = make::ok<std::string>("Ada");
  REQUIRE(r);
  CHECK(r.status() == status::ok);
  CHECK(*r == "Ada");
  CHECK(r->size() == 3);
  CHECK(r.value() == "Ada");
  CHECK(std::as_const(r).value() == "Ada");
  CHECK(std::optional<std::string>(r) == "Ada");
  CHECK(*r == "Ada");
  const std::string moved = *std::move(r);
  CHECK(moved == "Ada");
  CHECK(make::ok<std::string>("Bob").to_optional() == "Bob");
}

TEST_CASE("a result without a value says why, and value() throws the exception of that status") {
  auto failed = [](status s) { return make::failed<std::string>(s); };
  for (const status s : {status::would_block, status::closed, status::canceled, status::timed_out}) {
    CHECK_FALSE(failed(s));
    CHECK(failed(s).status() == s);
    CHECK_FALSE(failed(s).to_optional().has_value());
    const std::optional<std::string> none = failed(s);
    CHECK_FALSE(none.has_value());
    try {
      failed(s).value();
      FAIL("value() of a failed result returned");
    } catch (const std::system_error& error) {
      CHECK(error.code() == s);
    }
  }
  CHECK_THROWS_AS(failed(status::closed).value(), rn::channel_closed);
  CHECK_THROWS_AS(failed(status::canceled).value(), rn::context_error);
  CHECK_THROWS_AS(failed(status::timed_out).value(), rn::context_error);
}

TEST_CASE("a result copies, moves and assigns like its value") {
  const auto one = std::make_shared<int>(1);
  auto r = make::ok<std::shared_ptr<int>>(one);
  auto empty = make::failed<std::shared_ptr<int>>(status::closed);
  CHECK(one.use_count() == 2);
  auto copy = r;
  CHECK(one.use_count() == 3);
  copy = empty;
  CHECK(copy.status() == status::closed);
  CHECK(one.use_count() == 2);
  empty = r;
  CHECK(one.use_count() == 3);
  r = std::as_const(r);
  CHECK(*r == one);
  r = make::failed<std::shared_ptr<int>>(status::timed_out);
  CHECK(one.use_count() == 2);
  auto moved = std::move(empty);
  CHECK(*moved == one);
}

TEST_CASE("a result of a move-only value") {
  auto r = make::ok<std::unique_ptr<int>>(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = std::move(r).value();
  CHECK(*taken == 7);
}

TEST_CASE("a result of nothing") {
  CHECK(rn::detail::sent(status::ok));
  CHECK_NOTHROW(rn::detail::sent(status::ok).value());
  CHECK_FALSE(rn::detail::sent(status::canceled));
  CHECK(rn::detail::sent(status::canceled).status() == status::canceled);
  CHECK_THROWS_AS(rn::detail::sent(status::canceled).value(), rn::context_error);
  CHECK_THROWS_AS(rn::detail::sent(status::closed).value(), rn::channel_closed);
}

TEST_CASE("a context_error carries its code and its cause") {
  const rn::context_error plain(status::canceled);
  CHECK(plain.code() == std::errc::operation_canceled);
  CHECK(plain.cause() == nullptr);
  const rn::context_error caused(status::timed_out, "late", std::make_exception_ptr(std::runtime_error("too slow")));
  CHECK(caused.code() == status::timed_out);
  CHECK_THROWS_AS(std::rethrow_exception(caused.cause()), std::runtime_error);
}

}  // namespace status_test
