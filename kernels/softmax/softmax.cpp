#include "kernels/softmax/softmax.h"

#include "kernels/pointwise/pointwise.h"
#include "kernels/softmax/softmax_functor.h"
#include "kernels/softmax/softmax_op.h"
#include "kernels/sum/sum.h"

namespace warptape {
namespace {

Tensor gradient(const Operand& dy, const Operand& y, const std::vector<int>& dims) {
  return y * (dy - sum(dy * y, dims, true));
}

}  // namespace

Tensor softmax(const Operand& x, int dim) {
  return softmax_op<SoftmaxFunctor>("softmax", x, dim, gradient);
}

}  // namespace warptape
