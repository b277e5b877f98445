#pragma once
// Where the windows of 2-D pooling lie: plain numbers for the loops of the CPU and the CUDA
// kernels.

#include <cstdint>

#include "core/simt/host_device.h"
#include "kernels/geometry/pair.h"

namespace warptape {

// One spatial dimension. A window is a number of elements, called taps, `dilation` apart. 32 bits,
// because kernels keep these numbers in registers; PoolGeometry's are small enough.
struct PoolAxis {
  int size, out_size;
  int kernel, stride, padding, dilation;

  // May lie in the padding.
  WARPTAPE_HOST_DEVICE int first_element(int window) const { return window * stride - padding; }

  // The first tap that does not lie in the padding before the image.
  WARPTAPE_HOST_DEVICE int first_tap(int window) const {
    const int before = -first_element(window);
    return before > 0 ? (before + dilation - 1) / dilation : 0;
  }
  // The windows begin, ..., end - 1 reach over the element; where they are dilated, some of them
  // without a tap on it.
  WARPTAPE_HOST_DEVICE int windows_begin(int element) const {
    const int before = element + padding - dilation * (kernel - 1);
    return before > 0 ? (before + stride - 1) / stride : 0;
  }
  WARPTAPE_HOST_DEVICE int windows_end(int element) const {
    const int end = (element + padding) / stride + 1;
    return end < out_size ? end : out_size;
  }
  // The tap of a window that reaches over the element on it; -1: none.
  WARPTAPE_HOST_DEVICE int tap_on(int element, int window) const {
    const int distance = element - first_element(window);
    if (dilation == 1) {
      return distance;
    }
    return distance % dilation == 0 ? distance / dilation : -1;
  }
};

struct PoolGeometry {
  // Of kernel, stride, dilation, height and width.
  static constexpr int64_t largest = int64_t{1} << 28;

  int64_t batch, channels, height, width;
  int64_t out_height, out_width;
  Pair kernel, stride, padding, dilation;
  const char* op = "pool";  // that asked, for messages
  int rank = 2;             // 1: sequences, which are images of one line

  PoolAxis vertical() const {
    return axis(height, out_height, kernel.height, stride.height, padding.height, dilation.height);
  }
  PoolAxis horizontal() const {
    return axis(width, out_width, kernel.width, stride.width, padding.width, dilation.width);
  }
  // No element lies in two windows, or between two.
  bool windows_are_adjacent() const {
    return stride == kernel && padding == Pair(0) && dilation == Pair(1);
  }

 private:
  template <class... Numbers>
  static PoolAxis axis(Numbers... numbers) {
    return {static_cast<int>(numbers)...};
  }
};

}  // namespace warptape
