// asio: a coroutine of Boost.Asio, a task of this library at a strand, and a thread, that talk through channels.
#include <runnel/asio.hpp>
#include <runnel/select.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>
#include <string>
#include <thread>

namespace rn = runnel;
namespace net = boost::asio;

// A coroutine of asio waits in channels with its own co_await.
net::awaitable<void> measure(rn::recv_channel<std::string> words, rn::send_channel<std::size_t> lengths) {
  while (const auto word = co_await rn::asio::async_recv(words, net::use_awaitable))
    co_await rn::asio::async_send(lengths, word->size(), net::use_awaitable);
  // When this ends, its handles close the channel.
}

// A task of this library knows nothing of asio: co_spawn says where it runs.
rn::task<std::size_t> sum(rn::recv_channel<std::size_t> numbers) {
  std::size_t total = 0;
  while (const auto number = co_await numbers.async_recv()) total += *number;
  co_return total;
}

int main() {
  net::io_context io;
  const auto strand = net::make_strand(io);
  auto [words, words_out] = rn::make_channel<std::string>();
  auto [lengths, lengths_out] = rn::make_channel<std::size_t>(4);

  net::co_spawn(io, measure(std::move(words_out), std::move(lengths)), net::detached);
  rn::asio::co_spawn(strand, sum(std::move(lengths_out)), net::bind_executor(strand, [](std::exception_ptr, std::size_t total) {
                       std::cout << "letters in all: " << total << '\n';
                     }));

  // Anything that can be awaited, with a handler: here the first of two.
  const rn::channel<int> never;
  auto ctx = rn::with_cancel(rn::context());
  rn::asio::async_await(
      [&] { return rn::async_select(rn::on_recv(never), rn::on_done(ctx, [] { std::cout << "canceled\n"; })); },
      net::bind_executor(strand, [](std::exception_ptr, std::size_t chosen) { std::cout << "case " << chosen << '\n'; }));
  ctx.cancel();
  io.poll();

  std::thread sender([out = std::move(words)] {
    for (const char* word : {"channels", "between", "two", "worlds"}) out.send(word);
  });
  io.run();  // until all of them have ended
  sender.join();
}
