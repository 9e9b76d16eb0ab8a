// Two searches at once; the answer of each is taken where it is needed.
#include <runnel/go.hpp>

#include <iostream>
#include <stdexcept>
#include <string>

namespace rn = runnel;

int count(const std::string& text, char wanted) {
  if (text.empty()) throw std::invalid_argument("nothing to search");
  int found = 0;
  for (const char c : text) found += c == wanted ? 1 : 0;
  return found;
}

int main() {
  rn::future<int> vowels = rn::async(count, "a channel of channels", 'a');
  rn::future<int> blanks = rn::async(count, "a channel of channels", ' ');
  rn::future<int> failing = rn::async(count, "", 'x');

  std::cout << vowels.get() << " times a, " << blanks.get() << " blanks\n";
  try {
    failing.get();
  } catch (const std::invalid_argument& e) {
    std::cout << "failed: " << e.what() << '\n';
  }

  rn::go([] { /* nobody waits for this one */ });
}
