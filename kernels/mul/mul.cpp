#include "kernels/mul/mul.h"

#include "kernels/common/binary.h"
#include "kernels/mul/mul_functor.h"

namespace warptape {

void mul_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y);
void mul_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to);

Tensor mul(const Operand& a, const Operand& b) {
  return binary_op("mul", a, b, {mul_forward_cpu, mul_backward_cpu, MulFunctor::saves_inputs});
}

}  // namespace warptape
