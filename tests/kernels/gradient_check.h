#pragma once
#include "kernels/cases/case.h"

namespace warptape {

// Gradients in float64 against central differences with step 1e-6: |a - n| <= 1e-6 max(1, |a|,
// |n|), for a random weighting of the outputs. Large inputs are checked at a sample of their
// elements. The check checks itself: with the sign or one percent of a gradient changed it has to
// fail.
void check_gradients(const OpCase& op_case, Device device);

// The float32 backward (which may run on other code) against the float64 one.
void check_float32_gradients(const OpCase& op_case, Device device);
// Those of bfloat16 against those of float64 at the same, rounded inputs.
void check_bfloat16_gradients(const OpCase& op_case, Device device);

}  // namespace warptape
