#include "kernels/log/log.h"

#include "kernels/log/log_functor.h"
#include "kernels/pointwise/unary.h"

namespace warptape {

Tensor log(const Operand& x) {
  return unary_op<LogFunctor>("log", x, Saves::Input);
}

}  // namespace warptape
