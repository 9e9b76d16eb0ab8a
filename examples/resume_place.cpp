// resume_place: coroutines that go on where you say; here, in a loop of one's own, such as that of a user interface.
#include <runnel/runnel.hpp>

#include <iostream>
#include <string>
#include <thread>

namespace rn = runnel;

// A loop that runs what is posted to it, in the thread that calls run().
class event_loop final : public rn::resume_place {
 public:
  void post(rn::work_item& item) noexcept override {
    steps_.with([&](list& steps) { steps.push(item); });
  }
  bool retract(rn::work_item& item) noexcept override {
    return steps_.with([&](list& steps) { return steps.remove(item); });
  }
  void run_until(const bool& done) {
    while (!done) {
      rn::work_item* step = nullptr;
      {
        auto steps = steps_.wait([](const list& s) { return s.first != nullptr; });
        step = steps->first;
        steps->remove(*step);
      }
      step->run();
    }
  }

 private:
  struct list {  // an item's links belong to the place that has it
    void push(rn::work_item& item) {
      item.next = nullptr;
      item.previous = last;
      (last == nullptr ? first : last->next) = &item;
      last = &item;
    }
    bool remove(rn::work_item& item) {
      for (const rn::work_item* at = first; at != &item; at = at->next)
        if (at == nullptr) return false;
      (item.previous == nullptr ? first : item.previous->next) = item.next;
      (item.next == nullptr ? last : item.next->previous) = item.previous;
      return true;
    }
    rn::work_item* first = nullptr;
    rn::work_item* last = nullptr;
  };
  rn::guarded<list> steps_;
};

event_loop loop;

// A coroutine of one's own: it begins at once, and its promise says where it goes on. Tasks that it awaits go on there, too.
struct on_loop {
  struct promise_type {
    on_loop get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    rn::resume_place* resume_place() { return &loop; }
  };
};

rn::task<std::string> next_line(rn::recv_channel<std::string> lines) {
  const auto line = co_await lines.async_recv();
  co_return line ? *line : "nothing more";
}

on_loop show(rn::recv_channel<std::string> lines, std::thread::id loop_thread, bool& done) {
  for (int i = 0; i < 3; ++i) {
    const std::string line = co_await next_line(lines);
    std::cout << line << (std::this_thread::get_id() == loop_thread ? ", in the loop\n" : ", elsewhere\n");
  }
  done = true;
}

int main() {
  auto [send, recv] = rn::make_channel<std::string>();
  bool done = false;
  show(recv, std::this_thread::get_id(), done);
  rn::go([out = std::move(send)] {  // on the global runtime; the channel closes with its last sender
    out.send("one");
    out.send("two");
  });
  loop.run_until(done);
}
