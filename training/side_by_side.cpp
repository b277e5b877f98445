#include "training/side_by_side.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "training/own_stream.h"

namespace warptape {

void run_side_by_side(int64_t count, int64_t threads, Device device,
                      const std::function<void(int64_t)>& task) {
  threads = std::min(threads, count);
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr thrown;
  const auto work = [&] {
    for (int64_t i = next++; i < count; i = next++) {
      try {
        if (threads > 1) {
          on_own_stream(device, [&] { task(i); });
        } else {
          task(i);
        }
      } catch (...) {
        const std::lock_guard lock(mutex);
        thrown = thrown ? thrown : std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> workers;
  for (int64_t i = 1; i < threads; ++i) {
    workers.emplace_back(work);
  }
  work();
  for (std::thread& worker : workers) {
    worker.join();
  }
  if (thrown) {
    std::rethrow_exception(thrown);
  }
}

}  // namespace warptape
