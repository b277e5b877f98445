#pragma once
#include "core/operand.h"
#include "core/random.h"

namespace warptape {

// Sets whole channels of x (N, C, ...) to zero, each of each sample with probability p, and scales
// the others by 1 / (1 - p), as torch.nn.functional.dropout1d and dropout2d (Tompson et al. 2015,
// "spatial dropout"); of rank 2 these are its elements, where PyTorch
// reads (C, L). Outside training, and for p = 0, returns x. The mask is a function of
// (generator's seed and draw, n C + c). Differentiable. ValueError unless 0 <= p <= 1; ShapeError
// below rank 2.
Tensor channel_dropout(const Operand& x, double p = 0.5, bool training = true,
                       Generator& generator = default_generator());

}  // namespace warptape
