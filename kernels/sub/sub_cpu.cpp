#include "kernels/sub/sub_functor.h"

#include "kernels/pointwise/binary_cpu.h"

namespace warptape {

template struct BinaryCpu<SubFunctor>;

}  // namespace warptape
