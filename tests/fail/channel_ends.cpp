// C19 An end of a channel does what it is for, and no conversion leads back to the whole.
// error RECEIVER_SENDS: no member named .send.
// error RECEIVER_TRIES_TO_SEND: no member named .try_send.
// error RECEIVER_CLOSES: no member named .close.
// error SENDER_RECEIVES: no member named .recv.
// error SENDER_TRIES_TO_RECEIVE: no member named .try_recv.
// error SENDER_IS_A_RANGE: begin
// error RECEIVER_BECOMES_WHOLE: conver
// error SENDER_BECOMES_WHOLE: conver
// error SENDER_BECOMES_RECEIVER: conver
// error SEND_CASE_OF_RECEIVER: no matching function for call to .on_send
// error RECV_CASE_OF_SENDER: no matching function for call to .on_recv
#include <runnel/channel.hpp>
#include <runnel/select.hpp>

void use(const runnel::send_channel<int>& sender, const runnel::recv_channel<int>& receiver) {
#if defined(RUNNEL_OK)
  sender.send(1);
  if (!sender.try_send(2)) sender.close();
  receiver.recv();
  receiver.try_recv();
  for (const int value : receiver) static_cast<void>(value);
  const runnel::channel<int> whole;
  const runnel::recv_channel<int> in = whole;
  const runnel::send_channel<int> out = whole;
  runnel::select(runnel::on_send(sender, 1), runnel::on_recv(receiver));
#elif defined(RECEIVER_SENDS)
  receiver.send(1);
#elif defined(RECEIVER_TRIES_TO_SEND)
  static_cast<void>(receiver.try_send(1));
#elif defined(RECEIVER_CLOSES)
  receiver.close();
#elif defined(SENDER_RECEIVES)
  sender.recv();
#elif defined(SENDER_TRIES_TO_RECEIVE)
  sender.try_recv();
#elif defined(SENDER_IS_A_RANGE)
  for (const int value : sender) static_cast<void>(value);
#elif defined(RECEIVER_BECOMES_WHOLE)
  const runnel::channel<int> whole = receiver;
#elif defined(SENDER_BECOMES_WHOLE)
  const runnel::channel<int> whole = sender;
#elif defined(SENDER_BECOMES_RECEIVER)
  const runnel::recv_channel<int> other = sender;
#elif defined(SEND_CASE_OF_RECEIVER)
  runnel::select(runnel::on_send(receiver, 1));
#elif defined(RECV_CASE_OF_SENDER)
  runnel::select(runnel::on_recv(sender));
#endif
}
