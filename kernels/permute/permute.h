#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// x with its dimensions in another order: dimension i of the result is dims[i] of x. A copy,
// row-major. Any dtype. ShapeError unless dims names every dimension once; they count from the end
// where negative. Differentiable.
Tensor permute(const Operand& x, const std::vector<int>& dims);

}  // namespace warptape
