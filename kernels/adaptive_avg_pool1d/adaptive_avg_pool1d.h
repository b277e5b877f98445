#pragma once
#include "core/operand.h"

namespace warptape {

// Means of as many windows as are asked for, as torch.nn.functional.adaptive_avg_pool1d: window i
// of L' covers the elements floor(i L / L') to ceil((i + 1) L / L') - 1. Where L' divides L these
// lie side by side, else some share an element. x: (N, C, L), floating; L and output_size 1 or
// more. Returns (N, C, L'), channels-last unless L' is 1. Sums in float64. Differentiable.
Tensor adaptive_avg_pool1d(const Operand& x, int64_t output_size);

}  // namespace warptape
