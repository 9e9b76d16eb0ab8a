// A pipeline that has no end, goes on behind it, or has stages that do not fit, does not compile.
// error NO_SINK: a pipeline needs a sink at its end
// error AFTER_SINK: nothing can come after the sink
// error STAGE_DOES_NOT_FIT: a stage's function does not take what comes out of the stage before it
// error NO_SOURCE: neither a range, nor a channel, nor a function that answers a std::optional
// error MAP_OF_NOTHING: the function answers nothing
#include <runnel/pipeline.hpp>
#include <string>
#include <vector>

namespace rn = runnel;

void use() {
  const std::vector<int> numbers = {1, 2};
  const auto twice = rn::map([](int n) { return 2 * n; });
#if defined(RUNNEL_OK)
  static_cast<void>((rn::from(numbers) | twice | rn::collect<std::vector>()).run());
#elif defined(NO_SINK)
  (rn::from(numbers) | twice).run();
#elif defined(AFTER_SINK)
  (rn::from(numbers) | rn::collect<std::vector>() | twice).run();
#elif defined(STAGE_DOES_NOT_FIT)
  static_cast<void>(
      (rn::from(numbers) | rn::map([](const std::string& s) { return s.size(); }) | rn::collect<std::vector>()).run());
#elif defined(NO_SOURCE)
  static_cast<void>((rn::from(1) | twice | rn::collect<std::vector>()).run());
#elif defined(MAP_OF_NOTHING)
  static_cast<void>((rn::from(numbers) | rn::map([](int) {}) | rn::collect<std::vector>()).run());
#endif
}
