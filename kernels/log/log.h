#pragma once
#include "core/operand.h"

namespace warptape {

// The natural logarithm.
// x: any shape, float32 or float64. Returns the same shape, dtype and memory format.
// Differentiable.
Tensor log(const Operand& x);

}  // namespace warptape
