#pragma once
#include <optional>

#include "core/operand.h"

namespace warptape {

// The index of the largest element along `dim`, or in the flattened tensor without one; the first
// of equal ones, a NaN wins. x: floating. Returns int64. Not differentiable (a constant).
Tensor argmax(const Operand& x, std::optional<int> dim = std::nullopt, bool keepdim = false);

}  // namespace warptape
