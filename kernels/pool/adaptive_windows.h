#pragma once
// The windows of adaptive pooling: plain numbers for the loops of the CPU and the CUDA kernels.

#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

// `windows` of a line of `size` elements. The rule is its own inverse: of an element, the windows
// that cover it are those of its place when the roles are exchanged.
struct AdaptiveWindows {
  int64_t size, windows;

  WARPTAPE_HOST_DEVICE int64_t begin(int64_t window) const { return window * size / windows; }
  WARPTAPE_HOST_DEVICE int64_t end(int64_t window) const {
    return ((window + 1) * size + windows - 1) / windows;
  }
  WARPTAPE_HOST_DEVICE double share(int64_t window) const {
    return 1 / static_cast<double>(end(window) - begin(window));
  }
  bool are_equal() const { return size % windows == 0; }  // and lie side by side
  WARPTAPE_HOST_DEVICE AdaptiveWindows inverse() const { return {windows, size}; }

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

}  // namespace warptape
