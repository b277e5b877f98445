#include "kernels/sub/sub.h"

#include "kernels/common/binary.h"
#include "kernels/sub/sub_functor.h"

namespace warptape {

void sub_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y);
void sub_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to);

Tensor sub(const Operand& a, const Operand& b) {
  return binary_op("sub", a, b, {sub_forward_cpu, sub_backward_cpu, SubFunctor::saves_inputs});
}

}  // namespace warptape
