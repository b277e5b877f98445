#include "kernels/exp/exp_functor.h"

#include "kernels/common/unary.h"

namespace warptape {

void exp_forward_cpu(const Tensor& x, Tensor& y) {
  unary_forward_cpu<ExpFunctor>(x, y);
}

void exp_backward_cpu(const Tensor& dy, const Tensor& saved, GradientTarget dx) {
  unary_backward_cpu<ExpFunctor>(dy, saved, dx);
}

}  // namespace warptape
