#pragma once
#include "core/operand.h"

namespace warptape {

// x W^T + bias, as torch.nn.functional.linear. x: (..., in_features), weight: (out_features,
// in_features), bias: (out_features) or left out. float32 or float64. Returns (..., out_features),
// row-major. Differentiable.
Tensor linear(const Operand& x, const Operand& weight, const Operand& bias = Tensor());

}  // namespace warptape
