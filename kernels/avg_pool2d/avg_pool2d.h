#pragma once
#include "core/operand.h"
#include "kernels/geometry/pair.h"

namespace warptape {

struct AvgPool2dOptions {
  Pair kernel_size = 2;
  Pair stride = 0;   // 0: the kernel size
  Pair padding = 0;  // zeros; at most half of the kernel size
  bool ceil_mode = false;
  bool count_include_pad = true;  // whether the padding's zeros count as elements
};

// The mean of each window, as torch.nn.functional.avg_pool2d. x: (N, C, H, W), floating.
// Returns (N, C, H', W') in channels-last. Accumulates in float64. Differentiable.
Tensor avg_pool2d(const Operand& x, AvgPool2dOptions options);

}  // namespace warptape
