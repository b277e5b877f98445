#include "kernels/relu/relu_functor.h"

#include "kernels/pointwise/unary_cpu.h"

namespace warptape {

template struct UnaryCpu<ReluFunctor>;

}  // namespace warptape
