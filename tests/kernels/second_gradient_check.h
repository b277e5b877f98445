#pragma once
#include "kernels/cases/case.h"

namespace warptape {

// Gradients of gradients in float64. The gradients that a graph was created for have to be those of
// backward(), and theirs, by every input and by the output's gradient, those of central differences
// of backward() with step 1e-6: |a - n| <= 1e-6 max(1, |a|, |n|), at a sample of elements. A case
// that is not differentiable twice has to say so by a NotDifferentiable.
void check_second_gradients(const OpCase& op_case, Device device);

}  // namespace warptape
