#pragma once
// Ops that go element by element. What each computes stands at its functor (functors.h), whose
// members are its options:
//
//   Tensor gelu(const Operand& x, const pointwise::Gelu& options = {});
//   gelu(x), gelu(x, {.tanh = true})
//
// One tensor: any shape, floating; the result has its shape, dtype and memory format.
// Two tensors: NumPy's broadcasting, one dtype and device; ShapeError where the shapes do not
// broadcast. The result takes the memory format of the operand of higher rank (a's if equal). A
// scalar on either side takes the tensor's dtype; ValueError where that is one of integers and the
// scalar is none of them.
// All are differentiable, but for comparisons: these take any dtype, and what they give is a
// constant of uint8, 1 where they hold and 0 elsewhere, which where() takes as its condition.

#include "core/operand.h"
#include "kernels/pointwise/functors.h"
#include "kernels/pointwise/table.h"

namespace warptape {

#define WARPTAPE_DECLARE(name, Functor, default_options, fill) \
  Tensor name(const Operand& x, const pointwise::Functor& options default_options);
WARPTAPE_UNARY_OPS(WARPTAPE_DECLARE)
#undef WARPTAPE_DECLARE

inline Tensor pow(const Operand& x, double exponent) {
  return pow(x, pointwise::Pow{exponent});
}

// ValueError if x's dtype is one of integers and the scalar is none of them.
void check_scalar(const char* op, const Operand& x, double value);
// A scalar as an operand of `op` beside x, with its dtype.
Operand scalar_beside(const char* op, const Operand& x, double value);

#define WARPTAPE_DECLARE(name, ...)                \
  Tensor name(const Operand& a, const Operand& b); \
  inline Tensor name(const Operand& a, double b) { \
    return name(a, scalar_beside(#name, a, b));    \
  }                                                \
  inline Tensor name(double a, const Operand& b) { \
    return name(scalar_beside(#name, b, a), b);    \
  }
WARPTAPE_BINARY_OPS(WARPTAPE_DECLARE)
WARPTAPE_COMPARISONS(WARPTAPE_DECLARE)
#undef WARPTAPE_DECLARE

inline Tensor operator-(const Operand& x) {
  return neg(x);
}
#define WARPTAPE_OPERATOR(symbol, name)                               \
  inline Tensor operator symbol(const Operand& a, const Operand& b) { \
    return name(a, b);                                                \
  }                                                                   \
  inline Tensor operator symbol(const Operand& a, double b) {         \
    return name(a, b);                                                \
  }                                                                   \
  inline Tensor operator symbol(double a, const Operand& b) {         \
    return name(a, b);                                                \
  }
WARPTAPE_OPERATOR(+, add)
WARPTAPE_OPERATOR(-, sub)
WARPTAPE_OPERATOR(*, mul)
WARPTAPE_OPERATOR(/, div)
// Element by element: a == b is a tensor, and no bool.
WARPTAPE_OPERATOR(==, eq)
WARPTAPE_OPERATOR(>=, ge)
WARPTAPE_OPERATOR(>, gt)
WARPTAPE_OPERATOR(<=, le)
WARPTAPE_OPERATOR(<, lt)
WARPTAPE_OPERATOR(!=, ne)
#undef WARPTAPE_OPERATOR

}  // namespace warptape
