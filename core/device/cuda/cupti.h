#pragma once
// CUPTI's records of kernels, copies and fills. It is loaded while the program runs, never linked.
// Internal to the CUDA half.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device/activity.h"

namespace warptape::gpu {

class Cupti {
 public:
  enum class Of : uint8_t { Range, Launch };

  virtual ~Cupti() = default;
  // Begins to record; nullptr, and why in a few words, where it cannot.
  static std::unique_ptr<Cupti> start(std::string* reason);

  virtual std::string version() const = 0;  // "CUPTI 13.0"
  // What the calling thread queues from here to pop() belongs to this range or launch.
  virtual void push(Of of, uint64_t id) = 0;
  virtual void pop(Of of) = 0;
  // Ends; all work has been waited for.
  virtual std::vector<Activity> finish() = 0;
};

}  // namespace warptape::gpu
