// detail/time.hpp: any duration and any time of any clock becomes a deadline, and nothing overflows.
#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <runnel/detail/time.hpp>

#include "catch.hpp"

namespace time_test {

namespace rn = runnel;
using namespace std::chrono_literals;
using rn::detail::deadline_after;
using rn::detail::deadline_at;
using rn::detail::never;
using rn::detail::saturate;
using rn::detail::saturating_add;
using duration = rn::duration;
using time_point = rn::time_point;
using seconds_double = std::chrono::duration<double>;
using years_wide = std::chrono::duration<std::int64_t, std::ratio<31556952>>;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

TEST_CASE("a duration that fits is kept exactly") {
  STATIC_REQUIRE(saturate(0ns) == 0ns);
  STATIC_REQUIRE(saturate(5ms) == 5ms);
  STATIC_REQUIRE(saturate(-3h) == -3h);
  STATIC_REQUIRE(saturate(duration::max()) == duration::max());
  STATIC_REQUIRE(saturate(duration::min()) == duration::min());
  CHECK(saturate(seconds_double(0.5)) == 500ms);
}

TEST_CASE("a duration finer than the clock's is rounded up: never early") {
  using picoseconds = std::chrono::duration<std::int64_t, std::pico>;
  CHECK(saturate(picoseconds(1)) == duration(1));
  CHECK(saturate(picoseconds(1000)) == duration(1));
  CHECK(saturate(picoseconds(1001)) == duration(2));
  CHECK(saturate(picoseconds(-1)) == duration(0));
  CHECK(saturate(std::chrono::duration<double, std::nano>(1.5)) == duration(2));
}

TEST_CASE("a duration that does not fit saturates") {
  CHECK(saturate(std::chrono::hours::max()) == duration::max());
  CHECK(saturate(std::chrono::hours::min()) == duration::min());
  CHECK(saturate(years_wide(300)) == duration::max());
  CHECK(saturate(years_wide(-300)) == duration::min());
  CHECK(saturate(seconds_double(inf)) == duration::max());
  CHECK(saturate(seconds_double(-inf)) == duration::min());
  CHECK(saturate(seconds_double(1e300)) == duration::max());
  CHECK(saturate(seconds_double(nan_value)) == duration::zero());
  CHECK(saturate(std::chrono::duration<std::uint64_t>(UINT64_MAX)) == duration::max());
}

TEST_CASE("adding to a time saturates at both ends") {
  CHECK(saturating_add(time_point(5ns), 3ns) == time_point(8ns));
  CHECK(saturating_add(time_point(5ns), duration::max()) == time_point::max());
  CHECK(saturating_add(time_point(-5ns), duration::min()) == time_point::min());
  CHECK(saturating_add(time_point::max(), 1ns) == time_point::max());
  CHECK(saturating_add(time_point::min(), -1ns) == time_point::min());
  CHECK(saturating_add(time_point::max(), -1ns) == time_point::max() - 1ns);
  CHECK(saturating_add(time_point::min(), duration::max()) == time_point(-1ns));
}

TEST_CASE("a deadline after a duration: for ever, not at all, or not early") {
  CHECK(deadline_after(duration::max()) == never);
  CHECK(deadline_after(std::chrono::hours::max()) == never);
  CHECK(deadline_after(seconds_double(inf)) == never);
  const auto past = rn::detail::now();
  for (const time_point none :
       {deadline_after(0ns), deadline_after(-1ns), deadline_after(duration::min()), deadline_after(std::chrono::hours::min()),
        deadline_after(seconds_double(-inf)), deadline_after(seconds_double(nan_value))})
    CHECK(none <= past);
  const auto before = rn::detail::now();
  const time_point soon = deadline_after(50ms);
  CHECK(soon >= before + 50ms);
  CHECK(soon <= rn::detail::now() + 50ms);
  CHECK(deadline_after(duration::max() - 1ns) > before);
}

TEST_CASE("a deadline at a time of the library's clock is that time") {
  CHECK(deadline_at(time_point(7s)) == time_point(7s));
  CHECK(deadline_at(time_point::max()) == never);
  CHECK(deadline_at(time_point::min()) == time_point::min());
  using clock = std::chrono::steady_clock;
  CHECK(deadline_at(std::chrono::time_point<clock, std::chrono::hours>::max()) == never);
  CHECK(deadline_at(std::chrono::time_point<clock, std::chrono::hours>::min()) <= rn::detail::now());
  CHECK(deadline_at(std::chrono::time_point<clock, seconds_double>(seconds_double(inf))) == never);
}

TEST_CASE("a deadline at a time of another clock") {
  using clock = std::chrono::system_clock;
  CHECK(deadline_at(clock::time_point::max()) == never);
  CHECK(deadline_at(clock::time_point::min()) <= rn::detail::now());
  CHECK(deadline_at(clock::now() - 1h) <= rn::detail::now());
  CHECK(deadline_at(std::chrono::time_point<clock, std::chrono::hours>::max()) == never);
  CHECK(deadline_at(std::chrono::time_point<clock, seconds_double>(seconds_double(inf))) == never);
  const auto before = rn::detail::now();
  const time_point later = deadline_at(clock::now() + 1h);
  CHECK(later > before + 59min);
  CHECK(later < rn::detail::now() + 61min);
}

TEST_CASE("ticks that are neither a multiple nor a fraction of ours do not overflow on the way") {
  using frames = std::chrono::duration<std::int64_t, std::ratio<1, 60>>;
  CHECK(saturate(frames(60)) == 1s);
  CHECK(saturate(frames(1)) == 16'666'667ns);
  CHECK(saturate(frames(-1)) == -16'666'666ns);
  CHECK(saturate(frames(500'000'000'000)) >= 8'333'333'333s);
  CHECK(saturate(frames(500'000'000'000)) < 8'333'333'334s);
  CHECK(saturate(frames::max()) == duration::max());
  CHECK(saturate(frames::min()) == duration::min());
}

}  // namespace time_test
