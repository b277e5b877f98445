#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// x with `value` around it (torch.nn.functional.pad, mode constant). Any dtype.
//   padding: elements before and behind, in pairs, the last dimension's first: {left, right, top,
//     bottom, ...}; dimensions without a pair stay as they are. What is negative takes elements
//     away.
//   value: takes x's dtype; ValueError where that is one of integers and the value is none of them
//   result: x's memory format
// ShapeError for half a pair, for more pairs than dimensions, and where more is taken away than is
// there. Differentiable.
Tensor pad(const Operand& x, const std::vector<int64_t>& padding, double value = 0);

}  // namespace warptape
