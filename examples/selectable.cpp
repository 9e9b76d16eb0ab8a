// An event of one's own that select can wait for: a latch. It is ready once it has been counted down to zero.
#include <iostream>
#include <mutex>
#include <runnel/channel.hpp>
#include <runnel/select.hpp>
#include <runnel/selectable.hpp>
#include <runnel/wait_group.hpp>
#include <utility>
#include <vector>

namespace rn = runnel;

class latch final : public rn::selectable {
 public:
  explicit latch(int count) : count_(count) {}

  void count_down() {
    std::vector<rn::wait_node*> ready;
    {
      const std::lock_guard lock(mutex_);
      if (--count_ == 0)
        for (rn::wait_node* node : std::exchange(waiting_, {}))
          if (claim(*node)) ready.push_back(node);  // false: that select has already made another case happen
    }
    for (rn::wait_node* node : ready) node->owner->resume();  // the last access, with nothing locked
  }

  rn::attempt try_now() override {
    const std::lock_guard lock(mutex_);
    return count_ == 0 ? rn::attempt::done : rn::attempt::not_yet;
  }
  void join(rn::wait_node& node) override {
    {
      const std::lock_guard lock(mutex_);
      if (count_ > 0) return waiting_.push_back(&node);
      if (!claim(node)) return;
    }
    node.owner->resume();  // it became ready since try_now
  }
  bool leave(rn::wait_node& node) noexcept override {
    const std::lock_guard lock(mutex_);
    return std::erase(waiting_, &node) != 0;
  }
  bool finish(rn::wait_node& /*node*/) noexcept override { return true; }

 private:
  std::mutex mutex_;
  std::vector<rn::wait_node*> waiting_;
  int count_;
};

int main() {
  latch all_ready(3);
  const rn::channel<void> alarm;
  rn::select(rn::on_event(all_ready), rn::otherwise([] { std::cout << "not all are ready\n"; }));
  rn::wait_group runners;
  for (int i = 0; i < 3; ++i) runners.go([&] { all_ready.count_down(); });
  rn::select(rn::on_event(all_ready, [] { std::cout << "go!\n"; }), rn::on_recv(alarm, [] { std::cout << "alarm\n"; }));
  runners.wait();
}
