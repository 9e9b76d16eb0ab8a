// Settings that change while a service runs: it always works with the newest ones, and never waits for them in vain.
#include <runnel/go.hpp>
#include <runnel/watch.hpp>

#include <iostream>
#include <string>

namespace rn = runnel;

struct settings {
  std::string greeting;
  bool last = false;
};

int main() {
  const rn::watch<settings> current({.greeting = "hello"});
  const rn::channel<std::string> log;

  // A copy of the handle is a reader of its own. Settings that are replaced before it looks are never seen by it.
  auto service = rn::async([mine = current, log]() -> rn::task<> {
    for (bool last = false; !last;) {
      const auto now = mine.snapshot();
      last = now->last;
      co_await log.async_send(now->greeting);
      if (!last) co_await mine.async_changed();
    }
  });
  std::cout << *log.recv() << "\n";
  current.set({.greeting = "good day", .last = false});
  std::cout << *log.recv() << "\n";
  current.set({.greeting = "good night", .last = true});
  std::cout << *log.recv() << "\n";
  service.get();
}
