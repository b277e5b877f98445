#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// The sum over `dims` (counted from the end when negative; empty: all of them). Reduced dimensions
// have size 1 with keepdim and are gone without. Accumulates in float64; an empty sum is 0. x:
// floating. Returns a row-major tensor of x's dtype. Differentiable.
Tensor sum(const Operand& x, const std::vector<int>& dims = {}, bool keepdim = false);

}  // namespace warptape
