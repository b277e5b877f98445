#include "kernels/mul/mul_functor.h"

#include "kernels/pointwise/binary_cpu.h"

namespace warptape {

template struct BinaryCpu<MulFunctor>;

}  // namespace warptape
