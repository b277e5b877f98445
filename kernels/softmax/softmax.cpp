#include "kernels/softmax/softmax.h"

#include "kernels/softmax/softmax_functor.h"
#include "kernels/softmax/softmax_op.h"

namespace warptape {

Tensor softmax(const Operand& x, int dim) {
  return softmax_op<SoftmaxFunctor>("softmax", x, dim);
}

}  // namespace warptape
