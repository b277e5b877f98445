#include "kernels/relu/relu.h"

#include "kernels/pointwise/unary.h"
#include "kernels/relu/relu_functor.h"

namespace warptape {

Tensor relu(const Operand& x) {
  return unary_op<ReluFunctor>("relu", x, Saves::Output);
}

}  // namespace warptape
