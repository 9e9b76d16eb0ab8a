// A request with a name and a deadline; when it is given up, whoever works for it learns of it, and why.
#include <chrono>
#include <exception>
#include <iostream>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <stdexcept>
#include <string>

namespace rn = runnel;
using namespace std::chrono_literals;

inline constexpr rn::context_key<std::string> request_name;

// Waits for an answer as long as the context allows.
void look_up(const rn::context& ctx, const rn::recv_channel<int>& answers) {
  const rn::recv_result<int> answer = answers.recv(ctx);
  std::cout << *ctx.value(request_name) << ": ";
  if (answer)
    std::cout << *answer << '\n';
  else
    std::cout << make_error_code(answer.status()).message() << '\n';  // closed, canceled or timed out
}

int main() {
  const rn::channel<int> answers(1);
  rn::scoped_context server = rn::with_cancel(rn::context::background());  // ends at the end of its scope, or before

  answers.send(42);
  look_up(rn::with_value(server, request_name, "the first"), answers);

  const rn::scoped_context hasty = rn::with_timeout(server, 1ms);  // ends by itself, or when the server does
  look_up(rn::with_value(hasty, request_name, "the hasty"), answers);

  const rn::scoped_context patient = rn::with_timeout(server, 1h);
  server.cancel(std::make_exception_ptr(std::runtime_error("the server shuts down")));
  look_up(rn::with_value(patient, request_name, "the patient"), answers);
  try {
    patient.throw_if_done();
  } catch (const rn::context_error& error) {
    try {
      std::rethrow_exception(error.cause());
    } catch (const std::exception& why) {
      std::cout << "because " << why.what() << '\n';
    }
  }
}
