#pragma once
// Vector clocks: which work happened before which. Every stream is a lane that counts its works.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace warptape::gpu::emulated {

class Clock {
 public:
  uint64_t at(size_t lane) const { return lane < steps_.size() ? steps_[lane] : 0; }

  // The step of the lane's next work.
  uint64_t advance(size_t lane) {
    if (lane >= steps_.size()) {
      steps_.resize(lane + 1);
    }
    return ++steps_[lane];
  }

  void join(const Clock& other) {
    steps_.resize(std::max(steps_.size(), other.steps_.size()));
    for (size_t lane = 0; lane < other.steps_.size(); ++lane) {
      steps_[lane] = std::max(steps_[lane], other.steps_[lane]);
    }
  }

 private:
  std::vector<uint64_t> steps_;
};

// A work's use of memory.
struct Use {
  std::string work;
  size_t lane = 0;
  uint64_t step = 0;
  bool happened_before(const Clock& clock) const { return step <= clock.at(lane); }
};

}  // namespace warptape::gpu::emulated
