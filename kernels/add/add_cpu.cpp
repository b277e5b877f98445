#include "kernels/add/add_functor.h"

#include "kernels/common/binary_cpu.h"

namespace warptape {

template struct BinaryCpu<AddFunctor>;

}  // namespace warptape
