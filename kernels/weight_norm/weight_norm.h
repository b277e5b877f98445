#pragma once
#include "core/operand.h"

namespace warptape {

// Weight normalization (Salimans & Kingma 2016, arXiv 1602.07868), one norm per output channel:
//   w = g * v / ||v||   with the norm over all dimensions but the first.
// v: (O, ...), rank 1 or more, float32 or float64. g: (O, 1, ..., 1), the rank of v. Returns w like
// v, row-major. Norms accumulate in float64. A row of zeros gives w = 0 and zero gradients; nothing
// else has an epsilon, so that every other value is PyTorch's. One pass over v forward; one over v
// and dw backward, with 1 / ||v|| saved:
//   dg = s r,  dv = g r (dw - v s r r)   where r = 1 / ||v||, s = sum of dw v per row.
// Differentiable by both.
Tensor weight_norm(const Operand& v, const Operand& g);

// The norm of every row of v in the shape that g has: weight_norm(v, norm_per_channel(v)) equals v.
// Not recorded.
Tensor norm_per_channel(const Tensor& v);

}  // namespace warptape
