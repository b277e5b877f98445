#include "kernels/log/log_functor.h"

#include "kernels/pointwise/unary_cpu.h"

namespace warptape {

template struct UnaryCpu<LogFunctor>;

}  // namespace warptape
