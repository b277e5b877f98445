#include "kernels/common/softmax_cpu.h"
#include "kernels/log_softmax/log_softmax_functor.h"

namespace warptape {

template struct SoftmaxCpu<LogSoftmaxFunctor>;

}  // namespace warptape
