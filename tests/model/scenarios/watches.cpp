// Watches: values that are set while readers look, wait and give up.
#include <runnel/watch.hpp>

#include "kit.hpp"

namespace model {
namespace {

void two_set_one_waits() {
  const rn::watch<int> w(0);
  parallel(as("set", [&] { w.set(1); }), as("set", [&] { w.set(2); }), as("wait", [mine = w] {
             mine.changed();
             const int first = mine.get();
             require(first != 0, "a value that was not seen");
           }));
  const rn::watch<int> reader = w;
  require(reader.get() == w.get() && !reader.try_changed(), "the last one stays");
}
void two_wait_for_the_last() {
  const rn::watch<int> w(0);
  const auto wait = [mine = w] {
    while (mine.get() != 2) mine.changed();
  };
  parallel(as("wait", wait), as("wait", wait), as("set", [&] {
             w.set(1);
             w.set(2);
           }));
}
void set_against_cancel() {
  const rn::watch<int> w(0);
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("wait",
              [&, mine = w] {
                if (mine.changed(ctx)) require(mine.get() == 1, "it was set");
              }),
           as("set", [&] { w.set(1); }), as("cancel", [&] { ctx.cancel(); }));
  require(w.get() == 1, "it was set");
}
void set_against_time() {
  const rn::watch<int> w(0);
  parallel(as("wait",
              [mine = w] {
                if (mine.try_changed_for(milliseconds(10))) require(mine.get() == 1, "it was set");
              }),
           as("set", [&] { w.set(1); }));
}
void case_of_a_select() {
  const rn::watch<int> w(0);
  const rn::channel<int> ch(1);
  parallel(as("select",
              [&] {
                if (rn::select(rn::on_changed(w, [](const int& n) { require(n == 1, "it was set"); }), rn::on_recv(ch)) == 1)
                  w.changed();
              }),
           as("set", [&] { w.set(1); }), as("send", [&] { ch.send(1); }));
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"watch/two set, one waits", waiting, &two_set_one_waits});
  add_scenario({"watch/two wait for the last", waiting, &two_wait_for_the_last});
  add_scenario({"watch/set, cancel", waiting, &set_against_cancel});
  add_scenario({"watch/set, time", waiting, &set_against_time});
  add_scenario({"watch/select", {9, 10, 11}, &case_of_a_select});
});

}  // namespace
}  // namespace model
