#pragma once
#include "core/operand.h"
#include "kernels/geometry/pair.h"

namespace warptape {

struct MaxPool2dOptions {
  Pair kernel_size = 2;
  Pair stride = 0;   // 0: the kernel size
  Pair padding = 0;  // never the largest; at most half of the kernel size
  Pair dilation = 1;
  bool ceil_mode = false;  // also take windows that the image ends in
};

// The largest element of each window, as torch.nn.functional.max_pool2d: a NaN wins; of equal
// elements the first in row-major order takes the gradient. x: (N, C, H, W), float32 or float64.
// Returns (N, C, H', W') in channels-last. Differentiable; keeps one byte per output for backward.
Tensor max_pool2d(const Operand& x, MaxPool2dOptions options);

}  // namespace warptape
