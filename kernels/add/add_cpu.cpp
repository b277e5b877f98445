#include "kernels/add/add_functor.h"

#include "kernels/common/binary.h"

namespace warptape {

void add_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y) {
  binary_forward_cpu<AddFunctor>(a, b, y);
}

void add_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                      GradientTarget to) {
  binary_backward_cpu<AddFunctor>(side, dy, a, b, to);
}

}  // namespace warptape
