#include "kernels/add/add_functor.h"

#include "kernels/pointwise/binary.cuh"

namespace warptape {

template struct BinaryCuda<AddFunctor, float>;
template struct BinaryCuda<AddFunctor, double>;

}  // namespace warptape
