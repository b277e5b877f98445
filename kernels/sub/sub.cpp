#include "kernels/sub/sub.h"

#include "kernels/pointwise/binary.h"
#include "kernels/sub/sub_functor.h"

namespace warptape {

Tensor sub(const Operand& a, const Operand& b) {
  return binary_op<SubFunctor>("sub", a, b);
}

}  // namespace warptape
