#pragma once
#include "core/operand.h"

namespace warptape {

struct MatmulOptions {
  bool transpose_a = false;  // use a with its last two dimensions exchanged
  bool transpose_b = false;
};

// The matrix product over the last two dimensions, (..., m, k) x (..., k, n) -> (..., m, n) after
// the transposes; leading dimensions broadcast. Floating, one dtype and device, rank 2 or
// more. Returns a row-major tensor. Differentiable. On the CPU float32 and bfloat16 run on oneDNN
// where it is built in.
Tensor matmul(const Operand& a, const Operand& b, MatmulOptions options = {});

}  // namespace warptape
