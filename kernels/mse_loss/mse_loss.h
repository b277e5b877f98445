#pragma once
#include "core/operand.h"
#include "kernels/reduce/reduction.h"

namespace warptape {

// (input - target)^2, averaged over all elements or summed; as torch.nn.functional.mse_loss.
// One shape and dtype for both, floating. Returns a scalar. Differentiable by both.
Tensor mse_loss(const Operand& input, const Operand& target, Reduction reduction = Reduction::Mean);

}  // namespace warptape
