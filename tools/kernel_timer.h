#pragma once
// The time that queued work takes on device cuda, by its own clock.

#include <functional>

#include "core/tensor.h"

namespace warptape::tools {

struct Timing {
  double median_ms = 0;
  double min_ms = 0;
  double max_ms = 0;
};

struct KernelTimes {
  Timing cold;  // after as much else was written that no cache holds the operands
  Timing hot;   // right after the same work
};

// Times work whose kernels are all queued before the first of them starts: a fill of a large buffer
// keeps the device busy until then, and flushes its caches. So the host's time does not count,
// while the gaps between kernels do.
class KernelTimer {
 public:
  // repeats: timed runs of each kind. buffer_bytes: more than the caches hold.
  KernelTimer(int repeats, int64_t buffer_bytes);

  // What `run` queues on the current stream. It must not synchronise.
  KernelTimes time(const std::function<void()>& run);

 private:
  void fill(int times);
  int fills_to_hide(const std::function<void()>& run);
  Timing timing_of(int fills, bool hot, const std::function<void()>& run);

  int repeats_;
  Tensor buffer_;
};

}  // namespace warptape::tools
