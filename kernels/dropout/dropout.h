#pragma once
#include "core/operand.h"
#include "core/random.h"

namespace warptape {

// Sets each element to zero with probability p and scales the others by 1 / (1 - p). Outside
// training, and for p = 0, returns x. The mask is a function of (generator's seed and draw, logical
// index): the same in every memory format; backward draws it again instead of keeping it.
// Differentiable. ValueError unless 0 <= p <= 1.
Tensor dropout(const Operand& x, double p = 0.5, bool training = true,
               Generator& generator = default_generator());

}  // namespace warptape
