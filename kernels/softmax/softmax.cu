#include "kernels/common/softmax_op.cuh"
#include "kernels/softmax/softmax_functor.h"

namespace warptape {

template struct SoftmaxCuda<SoftmaxFunctor, float>;
template struct SoftmaxCuda<SoftmaxFunctor, double>;

}  // namespace warptape
