#pragma once
#include "core/operand.h"

namespace mine {

// y = x / (1 + |x|), as torch.nn.functional.softsign. Any shape and format, floating.
// Differentiable.
warptape::Tensor softsign(const warptape::Operand& x);

}  // namespace mine
