#include "kernels/relu/relu.h"

#include "kernels/common/unary.h"

namespace warptape {

void relu_forward_cpu(const Tensor& x, Tensor& y);
void relu_backward_cpu(const Tensor& dy, const Tensor& saved, GradientTarget dx);

Tensor relu(const Operand& x) {
  return unary_op("relu", x, {relu_forward_cpu, relu_backward_cpu, Saves::Output});
}

}  // namespace warptape
