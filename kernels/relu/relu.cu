#include "kernels/relu/relu_functor.h"

#include "kernels/pointwise/unary.cuh"

namespace warptape {

template struct UnaryCuda<ReluFunctor, float>;
template struct UnaryCuda<ReluFunctor, double>;

}  // namespace warptape
