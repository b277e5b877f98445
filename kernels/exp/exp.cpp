#include "kernels/exp/exp.h"

#include "kernels/common/unary.h"

namespace warptape {

void exp_forward_cpu(const Tensor& x, Tensor& y);
void exp_backward_cpu(const Tensor& dy, const Tensor& saved, GradientTarget dx);

Tensor exp(const Operand& x) {
  return unary_op("exp", x, {exp_forward_cpu, exp_backward_cpu, Saves::Output});
}

}  // namespace warptape
