#pragma once
#include "core/operand.h"

namespace warptape {

// As torch.nn.functional.layer_norm: x minus its mean, over the square root of its biased variance
// plus eps, both over the trailing dimensions normalized_shape; times weight, plus bias, if there
// are such. x: (..., *normalized_shape), floating, in either memory format; y has its shape and
// format. weight, bias: normalized_shape, of x's dtype or, where x is bfloat16, float32. Statistics
// are those of x's values, whatever their mean; y is computed in x's dtype, of bfloat16 in float32.
// Differentiable by x, weight and bias.
Tensor layer_norm(const Operand& x, const Shape& normalized_shape, const Operand& weight = Tensor(),
                  const Operand& bias = Tensor(), double eps = 1e-5);

}  // namespace warptape
