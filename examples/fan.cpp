// Words from two sources, measured by several workers in the order of the words, for a printer and a counter.
#include <runnel/fan.hpp>

#include <iostream>
#include <string>

namespace rn = runnel;

namespace {

rn::recv_channel<std::string> source(rn::errgroup& group, std::vector<std::string> words) {
  auto [to, from] = rn::make_channel<std::string>();
  group.go([out = std::move(to), words = std::move(words)]() -> rn::task<> {
    for (const std::string& word : words) co_await out.async_send(word);
  });
  return from;
}

}  // namespace

int main() {
  rn::errgroup group;
  const auto words = rn::fan_in(group, source(group, {"a", "bb", "ccc"}), source(group, {"dddd", "eeeee"}));
  const auto lengths = rn::parallel_map(group, words, [](const std::string& word) { return word.size(); }, {.workers = 4});
  const auto copies = rn::tee(group, lengths, 2);

  group.go([sums = copies[0]] {
    std::size_t sum = 0;
    for (const std::size_t length : sums) sum += length;
    std::cout << "letters: " << sum << '\n';
  });
  std::size_t count = 0;
  for ([[maybe_unused]] const std::size_t length : copies[1]) ++count;
  group.wait();
  std::cout << "words: " << count << '\n';

  // A failing f stops all of it: the source, the other workers, and this loop.
  const auto to_int = [](const std::string& digits) { return std::stoi(digits); };
  int sum = 0;
  for (const int number : rn::parallel_map(group, source(group, {"1", "2", "three", "4"}), to_int)) sum += number;
  try {
    group.wait();
    std::cout << "sum: " << sum << '\n';
  } catch (const std::invalid_argument&) {
    std::cout << "no sum: one is no number\n";
  }
}
