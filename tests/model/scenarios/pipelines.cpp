// Pipelines: a failure, an end that comes early, a context that ends, and a batch whose time has come, by tasks on one worker.
#include <runnel/pipeline.hpp>

#include <ranges>
#include <stdexcept>
#include <vector>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

int plus_one(int n) { return n + 1; }

void failure_in_the_middle() {
  rn::runtime r(1);
  const auto fails = [](int n) {
    if (n == 1) throw std::out_of_range("one");
    return n;
  };
  const auto p = rn::from(std::views::iota(0, 4)) | rn::buffer(1) | rn::map(fails) | rn::buffer(1) | rn::collect<std::vector>();
  bool failed = false;
  try {
    static_cast<void>(r.run(p.async_run()));
  } catch (const std::out_of_range&) {
    failed = true;
  }
  require(failed, "the failure of a stage is lost");
}
/// The source is a channel that nobody closes: whoever has enough has to end those who wait there.
void ends_early() {
  rn::runtime r(1);
  const rn::channel<int> ch(1);
  const auto p = rn::from(ch) | rn::buffer(1) | rn::map(plus_one) | rn::buffer(1) | rn::take(1) | rn::collect<std::vector>();
  parallel(as("runs", [&] { require(r.run(p.async_run()) == std::vector{1}, "take answers something else"); }),
           as("sends", [&] { ch.send(0); }));
}
template <class Pipeline>
void canceled_while_it_waits(const Pipeline& p) {
  rn::runtime r(1);
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("runs",
              [&] {
                bool cut_short = false;
                try {
                  static_cast<void>(r.run(p.async_run(ctx)));
                } catch (const rn::context_error&) {
                  cut_short = true;
                }
                require(cut_short, "a run that was canceled answers as if it were whole");
              }),
           as("cancel", [&] { ctx.cancel(); }));
}
void canceled_in_one_task() {
  const rn::channel<int> ch(1);
  ch.send(0);
  canceled_while_it_waits(rn::from(ch) | rn::collect<std::vector>());
}
void canceled_in_two_tasks() {
  const rn::channel<int> ch(1);
  canceled_while_it_waits(rn::from(ch) | rn::buffer(1) | rn::collect<std::vector>());
}
void batch_in_time() {
  rn::runtime r(1);
  const rn::channel<int> ch(2);
  ch.send(1);  // no more come
  const auto p = rn::from(ch) | rn::batch(2, milliseconds(10)) | rn::take(1) | rn::collect<std::vector>();
  require(r.run(p.async_run()) == std::vector<std::vector<int>>{{1}}, "a batch is lost");
}
void answers_in_order() {
  rn::runtime r(1);
  const auto p = rn::from(std::views::iota(0, 3)) | rn::map(plus_one, rn::workers(2)) | rn::collect<std::vector>();
  require(r.run(p.async_run()) == std::vector{1, 2, 3}, "values are lost, or out of order");
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"pipeline/failure", waiting, &failure_in_the_middle});
  add_scenario({"pipeline/ends early", waiting, &ends_early});
  add_scenario({"pipeline/cancel, one task", waiting, &canceled_in_one_task});
  add_scenario({"pipeline/cancel, two tasks", waiting, &canceled_in_two_tasks});
  add_scenario({"pipeline/batch in time", waiting, &batch_in_time});
  add_scenario({"pipeline/workers", waiting, &answers_in_order});
});

}  // namespace
}  // namespace model
