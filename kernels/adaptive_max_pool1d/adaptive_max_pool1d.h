#pragma once
#include "core/operand.h"

namespace warptape {

// The largest elements of as many windows as are asked for, as
// torch.nn.functional.adaptive_max_pool1d: window i of L' covers the elements floor(i L / L') to
// ceil((i + 1) L / L') - 1. A NaN wins; of equal elements the first takes the gradient. x: (N, C,
// L), floating; L and output_size 1 or more. Returns (N, C, L') in channels-last. Differentiable.
Tensor adaptive_max_pool1d(const Operand& x, int64_t output_size);

}  // namespace warptape
