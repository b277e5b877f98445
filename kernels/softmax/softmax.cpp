#include "kernels/softmax/softmax.h"

#include "kernels/common/softmax_op.h"
#include "kernels/softmax/softmax_functor.h"

namespace warptape {

Tensor softmax(const Operand& x, int dim) {
  return softmax_op<SoftmaxFunctor>("softmax", x, dim);
}

}  // namespace warptape
