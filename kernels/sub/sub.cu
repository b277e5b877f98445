#include "kernels/sub/sub_functor.h"

#include "kernels/pointwise/binary.cuh"

namespace warptape {

template struct BinaryCuda<SubFunctor, float>;
template struct BinaryCuda<SubFunctor, double>;

}  // namespace warptape
