#pragma once
// The losses of functors.h, element by element, as ops that are recorded: what their gradients'
// gradients are made from. third: in a shape that broadcasts to x's.

#include "core/operand.h"
#include "kernels/losses/functors.h"

namespace warptape::losses {

Tensor value_as_ops(const Mse& loss, const Operand& x, const Operand& target, const Operand& third);
Tensor value_as_ops(const L1& loss, const Operand& x, const Operand& target, const Operand& third);
Tensor value_as_ops(const Huber& loss, const Operand& x, const Operand& target,
                    const Operand& third);
Tensor value_as_ops(const SmoothL1& loss, const Operand& x, const Operand& target,
                    const Operand& third);
Tensor value_as_ops(const BceWithLogits& loss, const Operand& x, const Operand& target,
                    const Operand& third);
Tensor value_as_ops(const GaussianNll& loss, const Operand& x, const Operand& target,
                    const Operand& third);
Tensor value_as_ops(const Quantile& loss, const Operand& x, const Operand& target,
                    const Operand& third);

}  // namespace warptape::losses
