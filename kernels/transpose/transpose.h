#pragma once
#include "core/operand.h"

namespace warptape {

// x with two dimensions exchanged; a copy, row-major. Any dtype. Differentiable.
Tensor transpose(const Operand& x, int dim0, int dim1);

}  // namespace warptape
