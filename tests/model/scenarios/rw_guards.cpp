// Values that many read or one writes: phases, those who give up, and the lock that is gone.
#include <runnel/rw_guarded.hpp>

#include <memory>

#include "coroutines.hpp"
#include "kit.hpp"

namespace model {
namespace {

struct both {
  int a = 0;
  int b = 0;
};
void add(rn::rw_guarded<both>& value) {
  value.write([](both& v) {
    ++v.a;
    require(v.a == v.b + 1, "two write");
    ++v.b;
  });
}
void look(const rn::rw_guarded<both>& value) {
  value.read([](const both& v) { require(v.a == v.b, "it is read while it is written"); });
}
void require_free(rn::rw_guarded<both>& value) {
  require(static_cast<bool>(value.try_write_lock()), "somebody is left inside");
  require(static_cast<bool>(value.try_read_lock()), "somebody is left inside");
}

void three_write() {
  rn::rw_guarded<both> value;
  const auto write = [&] { add(value); };
  parallel(as("1", write), as("2", write), as("3", write));
  require(value.read([](const both& v) { return v.b; }) == 3, "an update is lost");
  require_free(value);
}
void writers_and_reader() {
  rn::rw_guarded<both> value;
  const auto write = [&] { add(value); };
  parallel(as("write", write), as("write", write), as("read", [&] { look(value); }));
  require_free(value);
}
void readers_and_writer() {
  rn::rw_guarded<both> value;
  const auto read = [&] { look(value); };
  parallel(as("read", read), as("read", read), as("write", [&] { add(value); }));
  require_free(value);
}
/// A reader is inside; a writer waits; a second reader comes behind it.
void writer_is_not_starved() {
  rn::rw_guarded<both> value;
  auto reading = value.read_lock();
  parallel(as("write", [&] { add(value); }), as("read", [&] { look(value); }), as("leave", [&] { reading.unlock(); }));
  require_free(value);
}
void writer_gives_up() {
  rn::rw_guarded<both> value;
  const auto reading = value.read_lock();
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("write", [&] { require(!value.write_lock(ctx), "somebody reads"); }), as("read", [&] { look(value); }),
           as("cancel", [&] { ctx.cancel(); }));
}
void writer_gives_up_at_the_end() {
  rn::rw_guarded<both> value;
  auto reading = value.read_lock();
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("write", [&] { static_cast<void>(value.write_lock(ctx)); }), as("read", [&] { look(value); }), as("leave", [&] {
             ctx.cancel();
             reading.unlock();
           }));
  require_free(value);
}
void reader_gives_up() {
  rn::rw_guarded<both> value;
  auto writing = value.write_lock();
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("read", [&] { static_cast<void>(value.read_lock(ctx)); }), as("leave", [&] { writing.unlock(); }),
           as("cancel", [&] { ctx.cancel(); }));
  require_free(value);
}
void writers_against_cancel() {
  rn::rw_guarded<both> value;
  auto ctx = rn::with_cancel(rn::context());
  parallel(as("write", [&] { static_cast<void>(value.write_lock(ctx)); }), as("write", [&] { add(value); }),
           as("cancel", [&] { ctx.cancel(); }));
  require_free(value);
}
void write_against_time() {
  rn::rw_guarded<both> value;
  auto reading = value.read_lock();
  parallel(as("write", [&] { static_cast<void>(value.try_write_lock_for(milliseconds(10))); }), as("read", [&] { look(value); }),
           as("leave", [&] { reading.unlock(); }));
  require_free(value);
}
void handed_from_writer_to_writer() {
  rn::rw_guarded<both> value;
  parallel(as("timed",
              [&] {
                if (const auto held = value.try_write_lock_for(milliseconds(10))) {
                  ++held->a;
                  require(held->a == held->b + 1, "two write");
                  ++held->b;
                }
              }),
           as("write", [&] { add(value); }), as("write", [&] { add(value); }));
  require_free(value);
}
/// Whoever comes last destroys it, while the others may still be on their way out.
void destroyed_by_the_writer() {
  auto value = std::make_unique<rn::rw_guarded<both>>();
  rn::rw_guarded<both>* const v = value.get();
  int left = 2;  // guarded by the lock
  const auto leave = [&] {
    bool last = false;
    {
      const auto held = v->write_lock();
      last = --left == 0;
    }
    if (last) value.reset();
  };
  parallel(as("1", leave), as("2", leave));
}
void destroyed_after_one_gave_up() {
  auto value = std::make_unique<rn::rw_guarded<both>>();
  rn::rw_guarded<both>* const v = value.get();
  rn::detail::atomic<std::uint32_t> gave_up{0};
  auto ctx = rn::with_cancel(rn::context());
  auto reading = v->read_lock();
  parallel(as("leave", [&] { reading.unlock(); }),
           as("write",
              [&] {
                static_cast<void>(v->write_lock(ctx));  // it has given up, or has had it
                gave_up.store(1, rn::detail::release);
              }),
           as("destroy", [&] {
             ctx.cancel();
             while (gave_up.load(rn::detail::acquire) == 0 || !v->try_write_lock()) rn::detail::yield();
             value.reset();
           }));
}
void destroyed_waiter() {
  rn::rw_guarded<both> value;
  auto reading = value.read_lock();
  thread_place here;
  parallel(as("destroys",
              [&] {
                const auto body = [&]() -> placed { const auto held = co_await value.async_write_lock(); };
                placed waits = body();
                waits.start(here);
                waits.destroy();
              }),
           as("read", [&] { look(value); }), as("leave", [&] { reading.unlock(); }));
  require_free(value);
}

const enroll all([] {
  const std::vector<int> waiting{9, 10};
  add_scenario({"rw_guarded/three write", waiting, &three_write});
  add_scenario({"rw_guarded/two write, one reads", waiting, &writers_and_reader});
  add_scenario({"rw_guarded/two read, one writes", waiting, &readers_and_writer});
  add_scenario({"rw_guarded/a writer between readers", waiting, &writer_is_not_starved});
  add_scenario({"rw_guarded/a writer gives up", waiting, &writer_gives_up});
  add_scenario({"rw_guarded/a writer gives up at the end", waiting, &writer_gives_up_at_the_end});
  add_scenario({"rw_guarded/a reader gives up", waiting, &reader_gives_up});
  add_scenario({"rw_guarded/write, cancel", waiting, &writers_against_cancel});
  add_scenario({"rw_guarded/write, time", waiting, &write_against_time});
  add_scenario({"rw_guarded/handed over", waiting, &handed_from_writer_to_writer});
  add_scenario({"rw_guarded/destroyed by the last", waiting, &destroyed_by_the_writer});
  add_scenario({"rw_guarded/destroyed after one gave up", waiting, &destroyed_after_one_gave_up});
  add_scenario({"rw_guarded/destroyed waiter", waiting, &destroyed_waiter});
});

}  // namespace
}  // namespace model
