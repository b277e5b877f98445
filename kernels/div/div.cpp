#include "kernels/div/div.h"

#include "kernels/common/binary.h"
#include "kernels/div/div_functor.h"

namespace warptape {

void div_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y);
void div_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to);

Tensor div(const Operand& a, const Operand& b) {
  return binary_op("div", a, b, {div_forward_cpu, div_backward_cpu, DivFunctor::saves_inputs});
}

}  // namespace warptape
