#include "kernels/add/add.h"

#include "kernels/add/add_functor.h"
#include "kernels/common/binary.h"

namespace warptape {

void add_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y);
void add_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to);

Tensor add(const Operand& a, const Operand& b) {
  return binary_op("add", a, b, {add_forward_cpu, add_backward_cpu, AddFunctor::saves_inputs});
}

}  // namespace warptape
