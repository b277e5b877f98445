#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// The largest element over `dims` (empty: all), as torch.amax: a NaN wins, and the gradient is
// shared evenly among equal largest elements. Shapes as in sum(); ShapeError if there is nothing to
// reduce.
Tensor max(const Operand& x, const std::vector<int>& dims = {}, bool keepdim = false);

}  // namespace warptape
