#pragma once
#include "kernels/pointwise/pointwise.h"

namespace warptape {

// a where condition is not 0, b elsewhere, element by element with NumPy's broadcasting of all
// three; a and b of one dtype, any. A scalar beside a tensor takes its dtype.
//   condition: uint8, as comparisons give it; DTypeError otherwise
//   result: the memory format of the operand of highest rank, of a rather than b, of these rather
//     than condition. Elements are moved, bit for bit.
// Differentiable by a and b: the gradient goes to the one that was taken, and the other gets 0 even
// where it, or the gradient, is no number.
Tensor where(const Operand& condition, const Operand& a, const Operand& b);

inline Tensor where(const Operand& condition, const Operand& a, double b) {
  return where(condition, a, scalar_beside("where", a, b));
}
inline Tensor where(const Operand& condition, double a, const Operand& b) {
  return where(condition, scalar_beside("where", b, a), b);
}

}  // namespace warptape
