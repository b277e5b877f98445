#pragma once
#include "core/operand.h"

namespace warptape {

// As torch.nn.functional.group_norm: channels in num_groups equal groups; x minus the mean of its
// sample's group, over the square root of its biased variance plus eps; times weight, plus bias, if
// there are such.
// x: (N, C, ...), floating, in either memory format; y has its shape and format.
// weight, bias: (C), of x's dtype or, where x is bfloat16, float32.
// Differentiable by x, weight and bias.
Tensor group_norm(const Operand& x, int64_t num_groups, const Operand& weight = Tensor(),
                  const Operand& bias = Tensor(), double eps = 1e-5);

}  // namespace warptape
