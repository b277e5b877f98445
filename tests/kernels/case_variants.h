#pragma once
#include "kernels/cases/case.h"

namespace warptape {

// What no case asks for and every op has to bear, forward and backward in float32, for gradients
// that are written and that are added to:
// - tensors that begin one element behind an aligned address: all of them, and each of them alone
//   (an input, the gradient of an input, the gradient of the output, what the op allocates);
// - inputs of rank 3 and more in both memory formats: all in one, and each alone in the other.
// Wanted are the case's reference, and the gradients that the case's own formats gave in float64 on
// the CPU.
void check_variants(const OpCase& op_case, Device device);

}  // namespace warptape
