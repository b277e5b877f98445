#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// The same elements in logical order under another shape; one size may be -1 (whatever remains).
// Shares x's storage if x is row-major, copies otherwise; the result is row-major. Any dtype.
// Differentiable. ShapeError if the numbers of elements differ.
Tensor reshape(const Operand& x, const std::vector<int64_t>& sizes);

}  // namespace warptape
