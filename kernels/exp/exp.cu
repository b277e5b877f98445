#include "kernels/exp/exp_functor.h"

#include "kernels/pointwise/unary.cuh"

namespace warptape {

template struct UnaryCuda<ExpFunctor, float>;
template struct UnaryCuda<ExpFunctor, double>;

}  // namespace warptape
