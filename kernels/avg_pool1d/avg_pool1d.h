#pragma once
#include "core/operand.h"

namespace warptape {

struct AvgPool1dOptions {
  int64_t kernel_size = 2;
  int64_t stride = 0;   // 0: the kernel size
  int64_t padding = 0;  // zeros; at most half of the kernel size
  bool ceil_mode = false;
  bool count_include_pad = true;  // whether the padding's zeros count as elements
};

// The mean of each window, as torch.nn.functional.avg_pool1d. x: (N, C, L), floating. Returns (N,
// C, L') in channels-last. Accumulates in float64. Differentiable.
Tensor avg_pool1d(const Operand& x, AvgPool1dOptions options);

}  // namespace warptape
