#pragma once
#include "core/operand.h"

namespace warptape {

// exp(x_i) / sum over j of exp(x_j) along `dim`.
// x: floating, any shape; the largest element is subtracted first, sums accumulate in
// float64. Returns x's shape and format. Differentiable.
Tensor softmax(const Operand& x, int dim);

}  // namespace warptape
