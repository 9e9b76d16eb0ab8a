// A question that carries the place for its answer. The one who asks notices, too, when nobody will answer any more.
#include <runnel/go.hpp>
#include <runnel/oneshot.hpp>

#include <iostream>
#include <string>

namespace rn = runnel;

struct question {
  int number;
  rn::oneshot<std::string> answer;
};

int main() {
  const rn::channel<question> questions(4);
  rn::go([in = rn::recv_channel<question>(questions)] {
    while (auto q = in.recv())
      if (q->number % 2 == 0) q->answer.set(std::to_string(q->number) + " is even");
  });

  for (const int number : {2, 3, 4}) {
    rn::oneshot<std::string> place;
    const auto answer = place.channel();
    questions.send({number, std::move(place)});  // its last handle goes with it
    if (auto text = answer.recv())
      std::cout << *text << "\n";
    else
      std::cout << number << ": no answer\n";
  }
  questions.close();
}
