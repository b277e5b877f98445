#include "core/element_types.h"
#include "kernels/log_softmax/log_softmax_functor.h"
#include "kernels/softmax/softmax_op.cuh"

namespace warptape {

#define WARPTAPE_INSTANTIATE(dtype, T, name) template struct SoftmaxCuda<LogSoftmaxFunctor, T>;
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
