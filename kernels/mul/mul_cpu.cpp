#include "kernels/mul/mul_functor.h"

#include "kernels/common/binary.h"

namespace warptape {

void mul_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y) {
  binary_forward_cpu<MulFunctor>(a, b, y);
}

void mul_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to) {
  binary_backward_cpu<MulFunctor>(side, dy, a, b, to);
}

}  // namespace warptape
