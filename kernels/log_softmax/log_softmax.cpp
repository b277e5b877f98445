#include "kernels/log_softmax/log_softmax.h"

#include "kernels/log_softmax/log_softmax_functor.h"
#include "kernels/softmax/softmax_op.h"

namespace warptape {

Tensor log_softmax(const Operand& x, int dim) {
  return softmax_op<LogSoftmaxFunctor>("log_softmax", x, dim);
}

}  // namespace warptape
