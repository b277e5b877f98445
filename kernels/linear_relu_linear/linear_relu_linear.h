#pragma once
#include "core/operand.h"

namespace warptape {

// linear(relu(linear(x, weight1, bias1)), weight2, bias2): a perceptron with one hidden layer. On
// "cuda" ReLU is part of the first product, and its gradient with that of bias1, where cuBLASLt
// has an algorithm for it, part of the product that gives the hidden layer's gradient.
// x: (..., in_features), weight1: (hidden, in_features), weight2: (out_features, hidden), bias1:
// (hidden) and bias2: (out_features), or left out. float32 or float64. Returns (..., out_features),
// row-major. Differentiable.
Tensor linear_relu_linear(const Operand& x, const Operand& weight1, const Operand& bias1,
                          const Operand& weight2, const Operand& bias2);

}  // namespace warptape
