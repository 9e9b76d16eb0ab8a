// The channel that a C++ user writes today: a mutex, two condition variables, a deque.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace naive {

template <class T>
class channel {
 public:
  /// 0: a rendezvous: a send also waits until its value has been taken.
  explicit channel(std::size_t capacity) : capacity_(capacity) {}

  void send(T value) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [this] { return closed_ || values_.size() < room(); });
    if (closed_) throw std::runtime_error("send on a closed channel");
    values_.push_back(std::move(value));
    const std::size_t number = ++sent_;
    not_empty_.notify_one();
    if (capacity_ == 0) taken_.wait(lock, [this, number] { return received_ >= number; });
  }
  std::optional<T> recv() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return closed_ || !values_.empty(); });
    return take();
  }
  std::optional<T> try_recv() {
    const std::lock_guard lock(mutex_);
    return take();
  }
  /// Several under one lock, as many at a time as there is room for.
  void send_many(const std::vector<T>& values) {
    std::unique_lock lock(mutex_);
    for (auto next = values.begin(); next != values.end();) {
      not_full_.wait(lock, [this] { return closed_ || values_.size() < capacity_; });
      if (closed_) throw std::runtime_error("send on a closed channel");
      for (; next != values.end() && values_.size() < capacity_; ++next) values_.push_back(*next);
      not_empty_.notify_one();
    }
  }
  std::size_t recv_many(std::vector<T>& out, std::size_t max) {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return closed_ || !values_.empty(); });
    const std::size_t count = std::min(max, values_.size());
    for (std::size_t i = 0; i < count; ++i) {
      out.push_back(std::move(values_.front()));
      values_.pop_front();
    }
    if (count > 0) not_full_.notify_one();
    return count;
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    not_empty_.notify_all();
    not_full_.notify_all();
  }

 private:
  [[nodiscard]] std::size_t room() const noexcept { return capacity_ == 0 ? 1 : capacity_; }
  std::optional<T> take() {
    if (values_.empty()) return std::nullopt;
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    ++received_;
    not_full_.notify_one();
    if (capacity_ == 0) taken_.notify_all();
    return value;
  }

  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  std::condition_variable taken_;  // rendezvous only
  std::deque<T> values_;
  std::size_t capacity_;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  bool closed_ = false;
};

}  // namespace naive
