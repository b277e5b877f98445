#include "kernels/softmax/softmax_functor.h"
#include "kernels/softmax/softmax_op.cuh"

namespace warptape {

template struct SoftmaxCuda<SoftmaxFunctor, float>;
template struct SoftmaxCuda<SoftmaxFunctor, double>;

}  // namespace warptape
