#include "kernels/log/log_functor.h"

#include "kernels/common/unary.h"

namespace warptape {

void log_forward_cpu(const Tensor& x, Tensor& y) {
  unary_forward_cpu<LogFunctor>(x, y);
}

void log_backward_cpu(const Tensor& dy, const Tensor& saved, GradientTarget dx) {
  unary_backward_cpu<LogFunctor>(dy, saved, dx);
}

}  // namespace warptape
