// pipeline: words of some lines are counted, in parallel, and only of the first lines that are not empty.
#include <runnel/pipeline.hpp>

#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace rn = runnel;

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

int main() {
  const std::vector<std::string> lines = {"a channel of channels", "", "a group of tasks", "and a pipeline", "not this one"};

  const auto words = rn::from(lines)                                                      //
                     | rn::filter([](const std::string& line) { return !line.empty(); })  //
                     | rn::take(3)                                                        //
                     | rn::map(words_of, rn::workers(4))                                  // answers in the order of the lines
                     | rn::flat_map([](std::vector<std::string> some) { return some; });

  const auto count =
      words | rn::reduce(std::map<std::string, int>(), [](std::map<std::string, int> counts, const std::string& word) {
        ++counts[word];
        return counts;
      });
  for (const auto& [word, times] : count.run())
    if (times > 1) std::cout << word << ": " << times << '\n';

  // The same description once more, with another end. A failure comes out of run(), and so does a context that ends.
  const auto print = words | rn::batch(4) | rn::for_each([](const std::vector<std::string>& some) {
                       for (const std::string& word : some) std::cout << word << ' ';
                       std::cout << '\n';
                     });
  print.run(rn::with_timeout(rn::context(), std::chrono::minutes(1)));
}
