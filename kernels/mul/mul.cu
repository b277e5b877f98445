#include "kernels/mul/mul_functor.h"

#include "kernels/pointwise/binary.cuh"

namespace warptape {

template struct BinaryCuda<MulFunctor, float>;
template struct BinaryCuda<MulFunctor, double>;

}  // namespace warptape
