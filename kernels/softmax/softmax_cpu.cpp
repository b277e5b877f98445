#include "kernels/softmax/softmax_cpu.h"
#include "kernels/softmax/softmax_functor.h"

namespace warptape {

template struct SoftmaxCpu<SoftmaxFunctor>;

}  // namespace warptape
