#include "kernels/log_softmax/log_softmax.h"

#include "kernels/log_softmax/log_softmax_functor.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/softmax/softmax_op.h"
#include "kernels/sum/sum.h"

namespace warptape {
namespace {

Tensor gradient(const Operand& dy, const Operand& y, const std::vector<int>& dims) {
  return dy - exp(y) * sum(dy, dims, true);
}

}  // namespace

Tensor log_softmax(const Operand& x, int dim) {
  return softmax_op<LogSoftmaxFunctor>("log_softmax", x, dim, gradient);
}

}  // namespace warptape
