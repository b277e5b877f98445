#include "kernels/div/div_functor.h"

#include "kernels/common/binary.h"

namespace warptape {

void div_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y) {
  binary_forward_cpu<DivFunctor>(a, b, y);
}

void div_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to) {
  binary_backward_cpu<DivFunctor>(side, dy, a, b, to);
}

}  // namespace warptape
