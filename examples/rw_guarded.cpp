// A table of routes that every request reads, and that is seldom changed.
#include <runnel/errgroup.hpp>
#include <runnel/rw_guarded.hpp>

#include <iostream>
#include <map>
#include <string>

namespace rn = runnel;

int main() {
  rn::rw_guarded<std::map<std::string, std::string>> routes;
  routes.write([](auto& table) { table["/"] = "home"; });

  const auto route = [&routes](const std::string& path) {
    return routes.read([&path](const auto& table) {
      const auto found = table.find(path);
      return found == table.end() ? std::string("not found") : found->second;
    });
  };
  rn::errgroup group;
  for (int i = 0; i < 4; ++i)
    group.go([&] {
      for (int request = 0; request < 100; ++request) route("/");  // beside one another
    });
  group.go([&]() -> rn::task<> {  // a coroutine waits without its thread
    const auto table = co_await routes.async_write_lock();
    table->emplace("/about", "about us");
  });
  group.wait();

  for (const char* path : {"/", "/about", "/contact"}) std::cout << path << ": " << route(path) << "\n";
}
