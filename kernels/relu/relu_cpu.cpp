#include "kernels/relu/relu_functor.h"

#include "kernels/common/unary.h"

namespace warptape {

void relu_forward_cpu(const Tensor& x, Tensor& y) {
  unary_forward_cpu<ReluFunctor>(x, y);
}

void relu_backward_cpu(const Tensor& dy, const Tensor& saved, GradientTarget dx) {
  unary_backward_cpu<ReluFunctor>(dy, saved, dx);
}

}  // namespace warptape
