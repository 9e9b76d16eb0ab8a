// Rate limiters, in virtual time: each wait ends when its tokens are there, and those of who gives up go back.
#include <runnel/rate_limiter.hpp>

#include <algorithm>
#include <array>

#include "kit.hpp"

namespace model {
namespace {

using std::chrono::seconds;

void three_wait() {
  rn::rate_limiter limit(1, 1);
  const rn::time_point begin = rn::detail::now();
  std::array<rn::duration, 3> ends{};
  const auto wait = [&](std::size_t i) {
    limit.wait();
    ends[i] = rn::detail::now() - begin;
  };
  parallel(as("1", [&] { wait(0); }), as("2", [&] { wait(1); }), as("3", [&] { wait(2); }));
  std::sort(ends.begin(), ends.end());
  require(ends[1] >= seconds(1) && ends[2] >= seconds(2), "a token comes early");
  require(limit.reserve().delay() <= seconds(1), "a token is lost");
}
void canceled_against_time() {
  rn::rate_limiter limit(1, 1);
  require(limit.allow(), "a bucket is full at first");
  const rn::time_point begin = rn::detail::now();
  auto ctx = rn::with_cancel(rn::context());
  bool waited = false;
  parallel(as("wait", [&] { waited = static_cast<bool>(limit.wait(ctx)); }), as("cancel", [&] { ctx.cancel(); }));
  const auto next = limit.reserve();
  require(next.at() - begin == seconds(waited ? 2 : 1), "a token is lost, or there twice");
}
void canceled_beside_another() {
  rn::rate_limiter limit(1, 1);
  require(limit.allow(), "a bucket is full at first");
  const rn::time_point begin = rn::detail::now();
  auto ctx = rn::with_cancel(rn::context());
  rn::time_point other;
  parallel(as("wait", [&] { static_cast<void>(limit.wait(ctx)); }), as("reserve", [&] { other = limit.reserve().at(); }),
           as("cancel", [&] { ctx.cancel(); }));
  require(other - begin == seconds(1) || other - begin == seconds(2), "a reservation is due when its token is there");
  require(limit.reserve().at() > other, "two are due at once");
}
void limited() {
  rn::rate_limiter limit(1, 1);
  const rn::time_point begin = rn::detail::now();
  int refused = 0;
  const auto wait = [&] {
    if (!limit.try_wait_for(milliseconds(500))) {
      ++refused;
      require(rn::detail::now() == begin, "who would wait in vain does not wait");
    }
  };
  parallel(as("1", wait), as("2", wait));
  require(refused == 1, "one token, and none within the limit");
}

const enroll all([] {
  const std::vector<int> waiting{10};
  add_scenario({"rate_limiter/three wait", waiting, &three_wait});
  add_scenario({"rate_limiter/cancel", waiting, &canceled_against_time});
  add_scenario({"rate_limiter/cancel, reserve", waiting, &canceled_beside_another});
  add_scenario({"rate_limiter/limited", waiting, &limited});
});

}  // namespace
}  // namespace model
