#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// The arithmetic mean over `dims`; everything else as in sum(). The mean of nothing is NaN.
Tensor mean(const Operand& x, const std::vector<int>& dims = {}, bool keepdim = false);

}  // namespace warptape
