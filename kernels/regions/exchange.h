#pragma once
// Exchanges of dimensions: permute and transpose.

#include <vector>

#include "core/operand.h"

namespace warptape {

// dims: every dimension of x once, none negative.
Tensor exchange_dims(const char* op, const Operand& x, const std::vector<int>& dims);

}  // namespace warptape
