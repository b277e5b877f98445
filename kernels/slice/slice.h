#pragma once
#include <optional>

#include "core/operand.h"

namespace warptape {

// x[start:end:step] along `dim`, as Python has it: start and end count from the end where negative,
// and are cut to the dimension; without them the slice begins or ends where x does. Any dtype.
//   step: 1 or more, else ValueError
//   result: x's memory format. It shares x's storage where it is all of x or, with step 1, some of
//     dimension 0, and is a copy otherwise.
// Differentiable.
Tensor slice(const Operand& x, int dim, std::optional<int64_t> start = std::nullopt,
             std::optional<int64_t> end = std::nullopt, int64_t step = 1);

}  // namespace warptape
