#include "kernels/div/div.h"

#include "kernels/div/div_functor.h"
#include "kernels/pointwise/binary.h"

namespace warptape {

Tensor div(const Operand& a, const Operand& b) {
  return binary_op<DivFunctor>("div", a, b);
}

}  // namespace warptape
