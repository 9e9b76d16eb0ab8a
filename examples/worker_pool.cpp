// Thumbnails by a pool: four at a time, eight more may wait, and whoever brings images faster than that waits too.
#include <runnel/worker_pool.hpp>

#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace rn = runnel;

std::string thumbnail(const std::string& image) {
  if (image.empty()) throw std::invalid_argument("an image without a name");
  return "small " + image;
}
// A coroutine is a job like any other; it takes its worker until it has ended, and no thread while it waits.
rn::task<std::string> fetch(std::string image) {
  co_await rn::async_sleep_for(std::chrono::milliseconds(1));
  co_return image;
}

int main() {
  rn::worker_pool pool({.workers = 4, .queue = 8});

  std::vector<rn::future<std::string>> results;
  for (const char* name : {"cat", "dog", "", "fox"}) results.push_back(pool.submit(thumbnail, std::string(name)));
  // A job that waits for another one of its pool never keeps that from running.
  results.push_back(pool.submit([&pool] { return thumbnail(pool.submit(fetch, "owl").get()); }));

  for (auto& result : results) try {
      std::cout << result.get() << '\n';
    } catch (const std::invalid_argument& e) {
      std::cout << "failed: " << e.what() << '\n';
    }

  // The end: what has not begun after so long comes back, to be run elsewhere or dropped.
  for (int i = 0; i < 3; ++i) pool.submit([] {});
  const std::vector<rn::unstarted> left = pool.shutdown(rn::drain_for(std::chrono::seconds(10)));
  std::cout << left.size() << " jobs are left\n";
  try {
    pool.submit([] {});
  } catch (const rn::channel_closed&) {
    std::cout << "closed\n";
  }
}
