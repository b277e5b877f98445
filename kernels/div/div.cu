#include "kernels/div/div_functor.h"

#include "kernels/common/binary.cuh"

namespace warptape {

template struct BinaryCuda<DivFunctor, float>;
template struct BinaryCuda<DivFunctor, double>;

}  // namespace warptape
