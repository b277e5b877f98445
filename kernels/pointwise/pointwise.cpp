#include "kernels/pointwise/pointwise.h"

#include "kernels/pointwise/binary.h"
#include "kernels/pointwise/unary.h"

namespace warptape {

#define WARPTAPE_DEFINE(name, Functor, default_options, fill)        \
  Tensor name(const Operand& x, const pointwise::Functor& options) { \
    return unary_op(#name, x, options);                              \
  }
WARPTAPE_UNARY_OPS(WARPTAPE_DEFINE)
#undef WARPTAPE_DEFINE

#define WARPTAPE_DEFINE(name, Functor, fill)           \
  Tensor name(const Operand& a, const Operand& b) {    \
    return binary_op<pointwise::Functor>(#name, a, b); \
  }
WARPTAPE_BINARY_OPS(WARPTAPE_DEFINE)
#undef WARPTAPE_DEFINE

}  // namespace warptape
