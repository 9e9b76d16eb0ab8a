// Boost.Asio: what this library waits for as asynchronous operations with completion tokens, and coroutines that go on at an executor.
//
// Not part of runnel.hpp, and nothing of the library needs it: include it where Boost.Asio (Boost 1.74 or newer) is at hand. With
// RUNNEL_STANDALONE_ASIO defined it is for Asio without Boost (1.18 or newer).
#pragma once

#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/detail/asio_operation.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace runnel::inline RUNNEL_ABI {

namespace detail::inline RUNNEL_ASIO_KIND {

// The operations of channels, as functions.

template <class Ch>
concept recv_end = std::convertible_to<const Ch&, recv_channel<typename Ch::value_type>>;
template <class Ch>
concept send_end = std::convertible_to<const Ch&, send_channel<typename Ch::value_type>>;

template <class T>
struct recv_call {
  recv_channel<T> from;
  auto operator()() { return from.async_recv(); }
  auto operator()(const context& ctx) { return from.async_recv(ctx); }
};
template <class T>
struct recv_many_call {
  recv_channel<T> from;
  std::vector<T>* out;
  std::size_t max;
  auto operator()() { return from.async_recv_many(*out, max); }
  auto operator()(const context& ctx) { return from.async_recv_many(ctx, *out, max); }
};
template <class T>
struct send_call {
  send_channel<T> to;
  T value;
  auto operator()() { return to.async_send(std::move(value)); }
  auto operator()(const context& ctx) { return to.async_send(ctx, std::move(value)); }
};
template <>
struct send_call<void> {
  send_channel<void> to;
  auto operator()() { return to.async_send(); }
  auto operator()(const context& ctx) { return to.async_send(ctx); }
};
template <class T, class R>
struct send_many_call {
  send_channel<T> to;
  R range;
  auto operator()() { return to.async_send_many(std::move(range)); }
  auto operator()(const context& ctx) { return to.async_send_many(ctx, std::move(range)); }
};
/// One of them until a context is done.
template <class Call>
struct limited_call {
  context parent;
  Call call;
  auto operator()(const context& ctx) { return call(ctx); }
};
template <class Call>
limited_call<Call> limited(const context& ctx, Call call) {
  return {ctx, std::move(call)};
}

}  // namespace detail::inline RUNNEL_ASIO_KIND

namespace asio::inline RUNNEL_ASIO_KIND {

/// Awaits something as an asynchronous operation: `async_await([rx] { return rx.async_recv(); }, token)`.
///
/// `f` is a function that makes what is awaited (of a channel, a future, a select, an errgroup; a task), or a task. It is called in the
/// initiating call, and it lives until the operation has ended; a task begins there, too, and goes on at the handler's executor. If it
/// takes a `const context&`, the handler's cancellation slot cancels that (Boost 1.77 or newer; elsewhere nothing does).
/// Token: any completion token, of the signature void(std::exception_ptr, R), or void(std::exception_ptr) for no answer, where R is what
/// awaiting answers: what awaiting throws is the first, and the second is then an R(), for a result `would_block`. (No error_code: a
/// closed channel is an end and no error, and other failures are exceptions.) So `co_await async_await(f, use_awaitable)` is what
/// `co_await f()` is in a task.
/// Effects: the handler is called once, by its associated executor, and never in this call; a plain function has asio's system executor:
/// bind_executor gives it another. An execution context that is stopped calls it when it runs again; one that is destroyed first destroys
/// the handler: the operation is withdrawn, and a value that it was to get stays in its channel, unless it had come for it already: then
/// it is destroyed with the handler. While it waits it is outstanding work of its executor.
/// Blocks: never. Throws: what copying f and the handler throws; std::bad_alloc. When there is no memory for a step the program ends.
/// Cost: one allocation, by the handler's allocator, and one post; for a task two allocations, and one post for each wait and one for
/// its end. Thread safety: from any thread. Lifetime: the context outlives the call. Example: examples/asio.cpp
template <class F, class Token>
  requires detail::makes_awaitable<F>
auto async_await(F f, Token&& token) {
  return detail::initiate_awaiting(std::move(f), std::forward<Token>(token));
}
template <class T, class Token>
auto async_await(task<T> work, Token&& token) {
  detail::task_access::refuse_empty(work, "asio::async_await");
  return detail::initiate_awaiting(detail::made_task<T>{std::move(work)}, std::forward<Token>(token));
}

/// Runs a task, or a function that makes one, at an executor: it begins there, and goes on there after each wait. At a strand it never
/// runs at once with what else runs there. As async_await else; the handler is called by its own associated executor, if it has one.
template <detail::executor_of_asio Executor, class F, class Token>
  requires detail::makes_awaitable<F>
auto co_spawn(const Executor& executor, F f, Token&& token) {
  return detail::initiate_spawning(executor, std::move(f), std::forward<Token>(token));
}
template <detail::executor_of_asio Executor, class T, class Token>
auto co_spawn(const Executor& executor, task<T> work, Token&& token) {
  detail::task_access::refuse_empty(work, "asio::co_spawn");
  return detail::initiate_spawning(executor, detail::made_task<T>{std::move(work)}, std::forward<Token>(token));
}
template <std::derived_from<detail::net::execution_context> Context, class F, class Token>
auto co_spawn(Context& context, F f, Token&& token) {
  return asio::co_spawn(context.get_executor(), std::move(f), std::forward<Token>(token));
}

// Channels: `auto value = co_await async_recv(rx, use_awaitable)`. As the members async_recv and async_send, and async_await. The operation
// has a handle of its own; a value to send is moved into it, and is destroyed with it if it is not sent. A cancellation slot ends them
// with `canceled`, where they answer a result, or else a context_error.

/// Receives. R: recv_result<T>.
template <detail::recv_end Ch, class Token>
auto async_recv(const Ch& from, Token&& token) {
  return detail::initiate_awaiting(detail::recv_call<typename Ch::value_type>{from}, std::forward<Token>(token));
}
template <detail::recv_end Ch, class Token>
auto async_recv(const context& ctx, const Ch& from, Token&& token) {
  return detail::initiate_awaiting(detail::limited(ctx, detail::recv_call<typename Ch::value_type>{from}),
                                   std::forward<Token>(token));
}
/// Receives one and what else is there, up to `max`, to the end of `out`, which must live until then. R: how many.
template <detail::recv_end Ch, class Token>
auto async_recv_many(const Ch& from, std::vector<typename Ch::value_type>& out, std::size_t max, Token&& token) {
  return detail::initiate_awaiting(detail::recv_many_call<typename Ch::value_type>{from, &out, max}, std::forward<Token>(token));
}
template <detail::recv_end Ch, class Token>
auto async_recv_many(const context& ctx, const Ch& from, std::vector<typename Ch::value_type>& out, std::size_t max,
                     Token&& token) {
  return detail::initiate_awaiting(detail::limited(ctx, detail::recv_many_call<typename Ch::value_type>{from, &out, max}),
                                   std::forward<Token>(token));
}
/// Sends. R: void, and channel_closed if it was not sent; with a context send_result.
template <detail::send_end Ch, std::convertible_to<typename Ch::value_type> Value, class Token>
auto async_send(const Ch& to, Value&& value, Token&& token) {
  return detail::initiate_awaiting(detail::send_call<typename Ch::value_type>{to, std::forward<Value>(value)},
                                   std::forward<Token>(token));
}
template <detail::send_end Ch, std::convertible_to<typename Ch::value_type> Value, class Token>
auto async_send(const context& ctx, const Ch& to, Value&& value, Token&& token) {
  return detail::initiate_awaiting(detail::limited(ctx, detail::send_call<typename Ch::value_type>{to, std::forward<Value>(value)}),
                                   std::forward<Token>(token));
}
template <detail::send_end Ch, class Token>
  requires std::is_void_v<typename Ch::value_type>
auto async_send(const Ch& to, Token&& token) {
  return detail::initiate_awaiting(detail::send_call<void>{to}, std::forward<Token>(token));
}
template <detail::send_end Ch, class Token>
  requires std::is_void_v<typename Ch::value_type>
auto async_send(const context& ctx, const Ch& to, Token&& token) {
  return detail::initiate_awaiting(detail::limited(ctx, detail::send_call<void>{to}), std::forward<Token>(token));
}
/// Sends the elements of a range, of which the operation has a copy: move a container in. R: how many were sent.
template <detail::send_end Ch, class Range, class Token>
auto async_send_many(const Ch& to, Range&& range, Token&& token) {
  using call = detail::send_many_call<typename Ch::value_type, std::decay_t<Range>>;
  return detail::initiate_awaiting(call{to, std::forward<Range>(range)}, std::forward<Token>(token));
}
template <detail::send_end Ch, class Range, class Token>
auto async_send_many(const context& ctx, const Ch& to, Range&& range, Token&& token) {
  using call = detail::send_many_call<typename Ch::value_type, std::decay_t<Range>>;
  return detail::initiate_awaiting(detail::limited(ctx, call{to, std::forward<Range>(range)}), std::forward<Token>(token));
}

/// An executor as the place where coroutines go on after they have waited: `place at(io)`, `place at(strand)`.
///
/// For coroutine types of your own: their promises answer it from resume_place(), and the tasks that they await go on there, too. For a
/// task alone use co_spawn. At a strand never two of them run at once. It counts as no work: the context may run out of it meanwhile.
/// What the context has not run when it is destroyed is dropped: such a coroutine stays suspended, for its owner to destroy.
/// Thread safety: as resume_place. Lifetime: those who go on there end before it does; its executor's context outlives it.
/// Cost: each step is one post. When there is no memory for that the program ends. Example: examples/asio.cpp
template <class Executor>
class place final : public detail::executor_place<Executor, std::allocator<void>> {
  using base = detail::executor_place<Executor, std::allocator<void>>;

 public:
  /// Throws: std::bad_alloc.
  explicit place(const Executor& executor) : base(executor) {}
  template <std::derived_from<detail::net::execution_context> Context>
  explicit place(Context& context) : base(context.get_executor()) {}
};
template <std::derived_from<detail::net::execution_context> Context>
explicit place(Context&) -> place<typename Context::executor_type>;

}  // namespace asio::inline RUNNEL_ASIO_KIND
}  // namespace runnel::inline RUNNEL_ABI
