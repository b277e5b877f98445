#include "kernels/mul/mul.h"

#include "kernels/common/binary.h"
#include "kernels/mul/mul_functor.h"

namespace warptape {

Tensor mul(const Operand& a, const Operand& b) {
  return binary_op<MulFunctor>("mul", a, b);
}

}  // namespace warptape
