#include "kernels/exp/exp.h"

#include "kernels/exp/exp_functor.h"
#include "kernels/pointwise/unary.h"

namespace warptape {

Tensor exp(const Operand& x) {
  return unary_op<ExpFunctor>("exp", x, Saves::Output);
}

}  // namespace warptape
