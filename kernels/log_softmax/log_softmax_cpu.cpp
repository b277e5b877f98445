#include "kernels/log_softmax/log_softmax_functor.h"
#include "kernels/softmax/softmax_cpu.h"

namespace warptape {

template struct SoftmaxCpu<LogSoftmaxFunctor>;

}  // namespace warptape
