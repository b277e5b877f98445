#include "kernels/div/div_functor.h"

#include "kernels/common/binary_cpu.h"

namespace warptape {

template struct BinaryCpu<DivFunctor>;

}  // namespace warptape
