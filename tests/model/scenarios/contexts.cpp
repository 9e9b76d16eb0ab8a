// The tree of contexts: ends against derivation, drops, other ends, deadlines, waits and the functions that are told of an end.
#include "kit.hpp"

namespace model {
namespace {

using rn::context;

void require_canceled(const context& ctx) {
  require(ctx.done() && ctx.err() == rn::status::canceled && ctx.cause() != nullptr,
          "a context below a canceled one is not canceled");
}

void cancel_against_derive() {
  auto root = rn::with_cancel(context());
  std::optional<rn::scoped_context> child;
  std::optional<rn::scoped_context> grandchild;
  std::optional<rn::scoped_context> other;
  parallel(as("cancel", [&] { root.cancel(); }),
           as("derive",
              [&] {
                child.emplace(rn::with_cancel(root));
                grandchild.emplace(rn::with_cancel(*child));
                if (grandchild->done()) require(child->done(), "a context is done that has not been canceled, nor one above it");
              }),
           as("derive", [&] {
             other.emplace(rn::with_cancel(root));
             static_cast<void>(other->done());
           }));
  require_canceled(root);
  require_canceled(*child);
  require_canceled(*grandchild);
  require_canceled(*other);
}

void cancel_against_drop() {
  auto root = rn::with_cancel(context());
  std::optional<rn::scoped_context> child(rn::with_cancel(root));
  context handle = *child;
  parallel(as("cancel", [&] { root.cancel(); }), as("scope", [&] { child.reset(); }), as("handle", [&] { handle = context(); }));
  require_canceled(root);
}

void cancel_returns_when_all_below_is_done() {
  auto root = rn::with_cancel(context());
  const auto child = rn::with_cancel(root);
  const auto grandchild = rn::with_cancel(child);
  const auto cancel = [&] {
    root.cancel();
    require(child.done() && grandchild.done(), "cancel() returns before those below are done");
  };
  parallel(as("cancel", cancel), as("cancel", cancel), as("look", [&] {
             if (root.done()) static_cast<void>(root.cause());
           }));
}

void cancel_from_two_sides() {
  auto a = rn::with_cancel(context());
  auto b = rn::with_cancel(context());
  const auto both = rn::merge(a, b);
  const auto below = rn::with_cancel(both);
  parallel(as("cancel a", [&] { a.cancel(); }), as("cancel b", [&] { b.cancel(); }), as("wait", [&] {
             const rn::recv_channel<void> done = below.done_channel();
             require(done.recv().status() == rn::status::closed, "a done channel closes");
           }));
  require_canceled(below);
}

void cancel_child_against_parent() {
  auto root = rn::with_cancel(context());
  auto child = rn::with_cancel(root);
  auto grandchild = rn::with_cancel(child);
  parallel(as("cancel root", [&] { root.cancel(); }), as("cancel child", [&] { child.cancel(); }),
           as("cancel grandchild", [&] { grandchild.cancel(); }));
  require_canceled(grandchild);
}

void deadline_against_cancel(bool looked_at) {
  auto ctx = rn::with_timeout(context(), milliseconds(10));
  parallel(as("cancel", [&] { ctx.cancel(); }), as("wait", [&] {
             if (looked_at) static_cast<void>(ctx.done());
             const auto slept = rn::sleep_for(ctx, milliseconds(20));
             require(!slept && ctx.done() && ctx.err() == slept.status(), "a sleep ends with its context");
           }));
  require(ctx.err() == rn::status::canceled || ctx.err() == rn::status::timed_out, "it ended one way");
}

void deadline_against_drop() {
  auto ctx = std::optional(rn::with_timeout(context(), milliseconds(10)));
  context handle = *ctx;
  parallel(as("drop", [&] { ctx.reset(); }), as("look", [&] {
             static_cast<void>(handle.done());
             handle = context();
           }));
}

void deadline_ends_the_child() {
  const auto parent = rn::with_timeout(context(), milliseconds(10));
  const auto child = rn::with_cancel(parent);
  parallel(as("child",
              [&] {
                const auto slept = rn::sleep_for(child, milliseconds(30));
                require(slept.status() == rn::status::timed_out, "the parent's deadline ends the child");
              }),
           as("parent", [&] { static_cast<void>(parent.done()); }));
  require(child.err() == rn::status::timed_out && parent.err() == rn::status::timed_out, "both have timed out");
}

void after_func_against_stop(bool scoped) {
  shared_count runs;
  bool stopped = false;
  {
    auto ctx = rn::with_cancel(context());
    const auto f = [&runs] { ++runs; };
    if (scoped) {
      std::optional<rn::scoped_after_func> function(std::in_place, ctx, f);
      parallel(as("cancel", [&] { ctx.cancel(); }), as("stop", [&] {
                 function.reset();
                 runs += 100;
               }));
      const int n = runs;
      require(n == 100 || n == 101, "it ran once at most");
      return;
    }
    auto handle = rn::after_func(ctx, f);
    parallel(as("cancel", [&] { ctx.cancel(); }), as("stop", [&] { stopped = handle.stop(); }));
    while (!stopped && runs == 0) rn::detail::yield();
  }
  require(runs == (stopped ? 0 : 1), "stop() says whether it runs");
}

void scoped_after_func_waits() {
  int runs = 0;
  auto ctx = rn::with_cancel(context());
  {
    const rn::scoped_after_func function(ctx, [&runs] { ++runs; });
    parallel(as("cancel", [&] { ctx.cancel(); }), as("look", [&] { static_cast<void>(ctx.done()); }));
  }
  require(runs == 0 || runs == 1, "it ran once at most");
  runs = -1;  // nobody writes it any more
}

void done_channel_against_cancel() {
  auto ctx = rn::with_cancel(context());
  parallel(as("cancel", [&] { ctx.cancel(); }),
           as("wait", [&] { require(ctx.done_channel().recv().status() == rn::status::closed, "a done channel closes"); }),
           as("wait", [&] { require(ctx.done_channel().recv().status() == rn::status::closed, "a done channel closes"); }));
}

void stop_token_against_cancel() {
  auto ctx = rn::with_cancel(context());
  std::stop_token token;
  parallel(as("cancel", [&] { ctx.cancel(); }), as("ask", [&] { token = ctx.stop_token(); }));
  require(token.stop_requested(), "a stop token of a done context has stopped");
}

const enroll all([] {
  const std::vector<int> tree{9, 10};
  add_scenario({"context/cancel, derive, derive", tree, &cancel_against_derive});
  add_scenario({"context/cancel, drop, drop", tree, &cancel_against_drop});
  add_scenario({"context/cancel returns when all is done", tree, &cancel_returns_when_all_below_is_done});
  add_scenario({"context/merged, canceled from two sides", tree, &cancel_from_two_sides});
  add_scenario({"context/cancel at three heights", tree, &cancel_child_against_parent});
  add_scenario({"context/deadline, cancel", tree, [] { deadline_against_cancel(false); }});
  add_scenario({"context/armed deadline, cancel", tree, [] { deadline_against_cancel(true); }});
  add_scenario({"context/deadline, last handle dropped", tree, &deadline_against_drop});
  add_scenario({"context/deadline of the parent", tree, &deadline_ends_the_child});
  add_scenario({"context/after_func, stop", tree, [] { after_func_against_stop(false); }});
  add_scenario({"context/scoped after_func, stop", tree, [] { after_func_against_stop(true); }});
  add_scenario({"context/scoped after_func waits", tree, &scoped_after_func_waits});
  add_scenario({"context/done channel, cancel", tree, &done_channel_against_cancel});
  add_scenario({"context/stop token, cancel", tree, &stop_token_against_cancel});
});

}  // namespace
}  // namespace model
