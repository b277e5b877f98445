#include "kernels/sub/sub_functor.h"

#include "kernels/common/binary.h"

namespace warptape {

void sub_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y) {
  binary_forward_cpu<SubFunctor>(a, b, y);
}

void sub_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to) {
  binary_backward_cpu<SubFunctor>(side, dy, a, b, to);
}

}  // namespace warptape
