#include "kernels/add/add.h"

#include "kernels/add/add_functor.h"
#include "kernels/pointwise/binary.h"

namespace warptape {

Tensor add(const Operand& a, const Operand& b) {
  return binary_op<AddFunctor>("add", a, b);
}

}  // namespace warptape
