#include "kernels/div/div_functor.h"

#include "kernels/pointwise/binary.cuh"

namespace warptape {

template struct BinaryCuda<DivFunctor, float>;
template struct BinaryCuda<DivFunctor, double>;

}  // namespace warptape
