#include "kernels/exp/exp_functor.h"

#include "kernels/pointwise/unary_cpu.h"

namespace warptape {

template struct UnaryCpu<ExpFunctor>;

}  // namespace warptape
