#pragma once
// What would be launched, without running it: sizes that no emulation could compute cost nothing.

#include <string>
#include <vector>

#include "emulator/engine/host_types.h"

namespace warptape::gpu::emulated {

struct DryLaunch {
  std::string name;
  dim3 grid;
  dim3 block;
  const void* function = nullptr;  // the __global__ function
  size_t largest_bytes = 0;        // of the allocations that its arguments point into
  size_t bytes = 0;                // of all of these, each once
  size_t written_bytes = 0;        // of those among them that it may write
  size_t dynamic_shared = 0;       // bytes of a block

  int64_t blocks() const { return int64_t{grid.x} * grid.y * grid.z; }
};

// While one lives, kernels are checked and noted but not run, device memory is handed out but not
// touched, and copies from, to and within it and fills do nothing. One at a time; what was
// allocated meanwhile is freed before it ends.
class DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;

  // Those since the last call, in their order.
  std::vector<DryLaunch> take_launches();
};

}  // namespace warptape::gpu::emulated
