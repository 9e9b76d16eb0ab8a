// result and status: how an operation ended, as a value, as a code, or as an exception.
#include <iostream>
#include <optional>
#include <runnel/channel.hpp>
#include <runnel/status.hpp>
#include <string>
#include <system_error>

namespace rn = runnel;

int main() {
  const rn::channel<std::string> names(1);

  // A result converts to bool, and says why it has no value.
  rn::recv_result<std::string> name = names.try_recv();
  std::cout << "got one: " << static_cast<bool>(name) << ", since it is empty: " << (name.status() == rn::status::would_block)
            << '\n';

  if (names.try_send("Ada")) name = names.try_recv();
  std::cout << "got " << *name << " of " << name->size() << " letters\n";

  // A status is an error code, and equals the std::errc of the same meaning.
  names.close();
  const std::error_code why = names.recv().status();
  std::cout << why.category().name() << ": " << why.message() << ", a broken pipe: " << (why == std::errc::broken_pipe) << '\n';

  // Where the reason does not matter: an optional. Where there has to be a value: value() throws.
  const std::optional<std::string> none = names.recv();
  std::cout << none.value_or("nobody") << '\n';
  try {
    std::cout << names.recv().value() << '\n';
  } catch (const rn::channel_closed& closed) {
    std::cout << "closed, as an exception: " << (closed.code() == rn::status::closed) << '\n';
  }
}
