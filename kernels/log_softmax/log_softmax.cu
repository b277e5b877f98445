#include "kernels/common/softmax_op.cuh"
#include "kernels/log_softmax/log_softmax_functor.h"

namespace warptape {

template struct SoftmaxCuda<LogSoftmaxFunctor, float>;
template struct SoftmaxCuda<LogSoftmaxFunctor, double>;

}  // namespace warptape
