#include "kernels/add/add_functor.h"

#include "kernels/pointwise/binary_cpu.h"

namespace warptape {

template struct BinaryCpu<AddFunctor>;

}  // namespace warptape
