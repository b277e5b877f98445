#pragma once
// bfloat16 where a kernel has loops for wider types only: operands as float32 copies.

#include "core/primitives.h"

namespace warptape {

// A float32 copy of a bfloat16 tensor; any other tensor, also an undefined one, itself.
inline Tensor widened(const Tensor& x) {
  return x.defined() && x.dtype() == bfloat16 ? primitives::cast(x, float32) : x;
}

// Returns run(stand-in): of a bfloat16 `to` a float32 tensor, which is rounded into `to` if run
// returns true; else `to` itself.
template <class Run>
bool through_wide(Tensor& to, const Run& run) {
  if (to.dtype() != bfloat16) {
    return run(to);
  }
  Tensor wide = Tensor::empty(to.shape(), float32, to.device(), to.memory_format());
  if (!run(wide)) {
    return false;
  }
  primitives::copy(primitives::cast(wide, bfloat16), to);
  return true;
}

}  // namespace warptape
