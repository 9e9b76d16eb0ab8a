// The gateway where there is no futex: the same tests over a table of condition variables, and channels that wait by it.
#define RUNNEL_PORTABLE_PARK
#include "sync_test.cpp"

#include <runnel/channel.hpp>

#include "support.hpp"

namespace portable_park_test {

using namespace std::chrono_literals;

TEST_CASE("channels wait as well where there is no futex") {
  for (const std::size_t capacity : {0U, 1U, 4U}) {
    CAPTURE(capacity);
    const runnel::channel<int> ch(capacity);
    support::crew crew;
    for (int t = 0; t < 2; ++t)
      crew.go([&] {
        for (int i = 0; i < 500; ++i) ch.send(1);
      });
    int sum = 0;
    for (int i = 0; i < 1'000; ++i) sum += *ch.recv();
    CHECK(sum == 1'000);
    CHECK(ch.try_recv_for(2ms).status() == runnel::status::timed_out);
  }
}

}  // namespace portable_park_test
