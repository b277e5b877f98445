#include "kernels/div/div_functor.h"

#include "kernels/pointwise/binary_cpu.h"

namespace warptape {

template struct BinaryCpu<DivFunctor>;

}  // namespace warptape
