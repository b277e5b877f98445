#pragma once
#include "core/operand.h"

namespace warptape {

// x_i - log(sum over j of exp(x_j)) along `dim`.
// x: floating, any shape; the largest element is subtracted first, sums accumulate in
// float64. Returns x's shape and format. Differentiable.
Tensor log_softmax(const Operand& x, int dim);

}  // namespace warptape
