#pragma once
#include "core/operand.h"

namespace warptape {

// The op on "cuda", for arguments that were checked; records itself.
Tensor linear_relu_linear_cuda(const char* name, const Operand& x, const Operand& weight1,
                               const Operand& bias1, const Operand& weight2, const Operand& bias2);

}  // namespace warptape
