#pragma once
#include "core/operand.h"

namespace warptape {

// Merges dimensions start_dim to end_dim (both included) into one, in logical order: a reshape.
Tensor flatten(const Operand& x, int start_dim = 0, int end_dim = -1);

}  // namespace warptape
