#pragma once
// Items made ahead on a thread of their own, and taken in order.

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <cstdint>

namespace warptape {

template <class Item>
class Prefetcher {
 public:
  // At most `ahead` items wait to be taken, while one more is made.
  explicit Prefetcher(int64_t ahead) : ahead_(ahead) {}
  ~Prefetcher() { stop(); }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Makes items 0 to count - 1, and drops what is left of an earlier start.
  void start(int64_t count, std::function<Item(int64_t)> make) {
    stop();
    finished_ = false;
    stopping_ = false;
    failure_ = nullptr;
    thread_ = std::thread(&Prefetcher::produce, this, count, std::move(make));
  }

  // Afterwards the thread is gone, and nothing waits to be taken.
  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
      thread_.join();
    }
    ready_.clear();
    finished_ = true;
  }

  // Nothing at the end; rethrows what the thread threw.
  std::optional<Item> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_ || !ready_.empty(); });
    if (!ready_.empty()) {
      std::optional<Item> item = std::move(ready_.front());
      ready_.pop_front();
      lock.unlock();
      changed_.notify_all();
      return item;
    }
    if (failure_) {
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
    return std::nullopt;
  }

 private:
  void produce(int64_t count, const std::function<Item(int64_t)>& make) {
    std::exception_ptr failure;
    try {
      for (int64_t i = 0; i < count; ++i) {
        Item item = make(i);
        std::unique_lock lock(mutex_);
        changed_.wait(lock,
                      [&] { return stopping_ || static_cast<int64_t>(ready_.size()) < ahead_; });
        if (stopping_) {
          return;
        }
        ready_.push_back(std::move(item));
        lock.unlock();
        changed_.notify_all();
      }
    } catch (...) {
      failure = std::current_exception();
    }
    {
      std::lock_guard lock(mutex_);
      finished_ = true;
      failure_ = std::move(failure);  // whoever takes it is the last to hold it
    }
    changed_.notify_all();
  }

  int64_t ahead_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> ready_;  // these four under the mutex
  bool finished_ = true;
  bool stopping_ = false;
  std::exception_ptr failure_;
};

}  // namespace warptape
