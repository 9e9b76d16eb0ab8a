// The peers that CMake has found, for the programs that measure them.
#pragma once

#include "subjects.hpp"

#include <optional>

#if RUNNEL_BENCH_FIBER
#include <boost/fiber/all.hpp>
#endif
#if RUNNEL_BENCH_MOODYCAMEL
#include <blockingconcurrentqueue.h>
#endif
#if RUNNEL_BENCH_READERWRITER
#include <readerwritercircularbuffer.h>
#endif
#if RUNNEL_BENCH_TBB
#include <tbb/concurrent_queue.h>
#include <tbb/task_group.h>
#endif

namespace bench {

/// Those of one kind that are there; maybe none.
template <class... Subjects>
struct peers {
  template <class F>
  static void each([[maybe_unused]] F f) {
    (f(Subjects()), ...);
  }
};

#if RUNNEL_BENCH_FIBER
/// Boost.Fiber, all fibers on the calling thread, under its default scheduler, round robin.
struct fiber_subject {
  static constexpr const char* name = "fiber";

  /// A buffered_channel(n), for n a power of two from 2 on, has room for n - 1: with 2 it is of capacity 1, with 1024 of 1023.
  template <class T>
  class channel_of {
   public:
    explicit channel_of(std::size_t capacity) {
      if (capacity > 0) buffer_.emplace(std::max<std::size_t>(capacity, 2));
    }
    void send(T value) { buffer_ ? buffer_->push(value) : rendezvous_.push(value); }
    std::optional<T> recv() {
      T value{};
      const auto how = buffer_ ? buffer_->pop(value) : rendezvous_.pop(value);
      return how == boost::fibers::channel_op_status::success ? std::optional<T>(value) : std::nullopt;
    }
    void close() { buffer_ ? buffer_->close() : rendezvous_.close(); }

   private:
    boost::fibers::unbuffered_channel<T> rendezvous_;
    std::optional<boost::fibers::buffered_channel<T>> buffer_;
  };
  using channel = channel_of<item>;

  /// Stacks come from a pool: none is mapped anew for each fiber.
  class group {
   public:
    template <class F>
    void run(F f) {
      fibers_.emplace_back(std::allocator_arg, stacks(), std::move(f));
    }
    void wait() {
      for (auto& fiber : fibers_) fiber.join();
      fibers_.clear();
    }

   private:
    static boost::fibers::pooled_fixedsize_stack& stacks() {
      static boost::fibers::pooled_fixedsize_stack pool;
      return pool;
    }
    std::vector<boost::fibers::fiber> fibers_;
  };
  static double run(const std::vector<std::function<void()>>& parts) {
    return run_here([&] {
      group all;
      for (const auto& part : parts) all.run([&part] { part(); });
      all.wait();
    });
  }
};
using fiber_peers = peers<fiber_subject>;
#else
using fiber_peers = peers<>;
#endif

#if RUNNEL_BENCH_TBB
/// oneTBB has no rendezvous: a capacity of 0 is one of 1.
struct tbb_subject : on_threads {
  static constexpr const char* name = "tbb";

  class channel {
   public:
    explicit channel(std::size_t capacity) { queue_.set_capacity(static_cast<std::ptrdiff_t>(std::max<std::size_t>(capacity, 1))); }
    void send(item value) { queue_.push(value); }
    std::optional<item> recv() {
      item value = 0;
      queue_.pop(value);
      return value;
    }

   private:
    tbb::concurrent_bounded_queue<item> queue_;
  };
  using group = tbb::task_group;
};
using tbb_peers = peers<tbb_subject>;
#else
using tbb_peers = peers<>;
#endif

#if RUNNEL_BENCH_MOODYCAMEL
/// moodycamel's queue knows no bound: who sends never waits. Each thread has its token, as the documentation advises.
struct moodycamel_subject : on_threads {
  static constexpr const char* name = "moodycamel";

  class channel {
    using queue = moodycamel::BlockingConcurrentQueue<item>;

   public:
    class sending {
     public:
      explicit sending(queue& q) : queue_(&q), token_(q) {}
      void send(item value) { queue_->enqueue(token_, value); }
      void send_many(const std::vector<item>& values) { queue_->enqueue_bulk(token_, values.begin(), values.size()); }

     private:
      queue* queue_;
      moodycamel::ProducerToken token_;
    };
    class receiving {
     public:
      explicit receiving(queue& q) : queue_(&q), token_(q) {}
      std::optional<item> recv() {
        item value = 0;
        queue_->wait_dequeue(token_, value);
        return value;
      }
      std::size_t recv_many(std::vector<item>& out, std::size_t max) {
        out.resize(max);
        out.resize(queue_->wait_dequeue_bulk(token_, out.begin(), max));
        return out.size();
      }

     private:
      queue* queue_;
      moodycamel::ConsumerToken token_;
    };
    explicit channel(std::size_t capacity) : queue_(capacity) {}
    sending sender() { return sending(queue_); }
    receiving receiver() { return receiving(queue_); }

   private:
    queue queue_;
  };
};
using moodycamel_peers = peers<moodycamel_subject>;
#else
using moodycamel_peers = peers<>;
#endif

#if RUNNEL_BENCH_READERWRITER
/// moodycamel's ring for one sender and one receiver. It has no rendezvous: a capacity of 0 is one of 1.
struct readerwriter_subject : on_threads {
  static constexpr const char* name = "readerwriter";

  class channel {
   public:
    explicit channel(std::size_t capacity) : queue_(std::max<std::size_t>(capacity, 1)) {}
    void send(item value) { queue_.wait_enqueue(value); }
    std::optional<item> recv() {
      item value = 0;
      queue_.wait_dequeue(value);
      return value;
    }

   private:
    moodycamel::BlockingReaderWriterCircularBuffer<item> queue_;
  };
};
using readerwriter_peers = peers<readerwriter_subject>;
#else
using readerwriter_peers = peers<>;
#endif

/// Calls f(subject) for every peer with channels between threads; for those that hold to a capacity; and for those, too, with any
/// number of senders and receivers.
template <class F>
void each_on_threads(F f) {
  f(naive_subject());
  tbb_peers::each(f);
  moodycamel_peers::each(f);
  readerwriter_peers::each(f);
}
template <class F>
void each_bounded(F f) {
  f(naive_subject());
  tbb_peers::each(f);
  readerwriter_peers::each(f);
}
template <class F>
void each_of_many(F f) {
  f(naive_subject());
  tbb_peers::each(f);
  moodycamel_peers::each(f);
}

}  // namespace bench
