#include "kernels/log/log_functor.h"

#include "kernels/pointwise/unary.cuh"

namespace warptape {

template struct UnaryCuda<LogFunctor, float>;
template struct UnaryCuda<LogFunctor, double>;

}  // namespace warptape
