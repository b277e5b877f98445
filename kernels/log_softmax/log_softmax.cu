#include "kernels/log_softmax/log_softmax_functor.h"
#include "kernels/softmax/softmax_op.cuh"

namespace warptape {

template struct SoftmaxCuda<LogSoftmaxFunctor, float>;
template struct SoftmaxCuda<LogSoftmaxFunctor, double>;

}  // namespace warptape
