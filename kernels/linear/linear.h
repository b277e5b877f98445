#pragma once
#include "core/operand.h"
#include "kernels/pointwise/activation.h"

namespace warptape {

struct LinearOptions {
  Activation activation = Activation::None;  // of the result, in the same pass
};

// x W^T + bias, as torch.nn.functional.linear. x: (..., in_features), weight: (out_features,
// in_features), bias: (out_features) or left out. All floating. Returns (..., out_features),
// row-major. Differentiable.
//
// A call that waits (core/deferred.h) takes a relu behind it for its activation.
Tensor linear(const Operand& x, const Operand& weight, const Operand& bias = Tensor(),
              LinearOptions options = {});

}  // namespace warptape
