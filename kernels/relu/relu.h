#pragma once
#include "core/operand.h"

namespace warptape {

// max(x, 0); the gradient at 0 is 0, a NaN stays one.
// x: any shape, float32 or float64. Returns the same shape, dtype and memory format.
// Differentiable.
Tensor relu(const Operand& x);

}  // namespace warptape
