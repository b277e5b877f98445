#pragma once
#include "core/operand.h"

namespace warptape {

// a + b, element by element with NumPy's broadcasting.
// a, b: float32 or float64, one dtype and device; ShapeError where the shapes do not broadcast. The
// result takes the memory format of the operand of higher rank (a's if equal). Differentiable.
Tensor add(const Operand& a, const Operand& b);

// The scalar takes a's dtype.
inline Tensor add(const Operand& a, double b) {
  return add(a, Tensor::full({}, b, a.dtype(), a.device()));
}

inline Tensor operator+(const Operand& a, double b) {
  return add(a, b);
}
inline Tensor operator+(const Operand& a, const Operand& b) {
  return add(a, b);
}

}  // namespace warptape
