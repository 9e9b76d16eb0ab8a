// A text goes through two stages. Each owns the end that it sends on: when it is done, the next finds its input drained.
#include <cctype>
#include <iostream>
#include <runnel/channel.hpp>
#include <runnel/errgroup.hpp>
#include <sstream>
#include <string>
#include <utility>

namespace rn = runnel;

void split(const std::string& text, const rn::send_channel<std::string>& words) {
  std::istringstream in(text);
  for (std::string word; in >> word;) words.send(std::move(word));
}

void shout(const rn::recv_channel<std::string>& words, const rn::send_channel<std::string>& loud) {
  for (std::string& word : words) {  // until the channel is closed and empty
    for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    loud.send(std::move(word));
  }
}

int main() {
  auto words = rn::make_channel<std::string>();   // rendezvous: a send waits for its receive
  auto loud = rn::make_channel<std::string>(16);  // room for 16 values
  rn::errgroup stages;
  stages.go([out = std::move(words.send)] { split("share memory by communicating", out); });
  stages.go([in = std::move(words.recv), out = std::move(loud.send)] { shout(in, out); });

  for (const std::string& word : loud.recv) std::cout << word << '\n';
  stages.wait();
  std::cout << "closed: " << loud.recv.closed() << '\n';
}
