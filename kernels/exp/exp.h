#pragma once
#include "core/operand.h"

namespace warptape {

// e to the power x.
// x: any shape, float32 or float64. Returns the same shape, dtype and memory format.
// Differentiable.
Tensor exp(const Operand& x);

}  // namespace warptape
