#include "kernels/mul/mul.h"

#include "kernels/mul/mul_functor.h"
#include "kernels/pointwise/binary.h"

namespace warptape {

Tensor mul(const Operand& a, const Operand& b) {
  return binary_op<MulFunctor>("mul", a, b);
}

}  // namespace warptape
