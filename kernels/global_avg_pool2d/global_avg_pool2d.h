#pragma once
#include "core/operand.h"

namespace warptape {

// The mean of every channel, as torch.nn.functional.adaptive_avg_pool2d(x, 1). x: (N, C, H, W).
// Returns (N, C, 1, 1). Differentiable.
Tensor global_avg_pool2d(const Operand& x);

}  // namespace warptape
