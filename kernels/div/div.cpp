#include "kernels/div/div.h"

#include "kernels/common/binary.h"
#include "kernels/div/div_functor.h"

namespace warptape {

Tensor div(const Operand& a, const Operand& b) {
  return binary_op<DivFunctor>("div", a, b);
}

}  // namespace warptape
