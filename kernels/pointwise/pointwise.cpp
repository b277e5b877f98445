#include "kernels/pointwise/pointwise.h"

#include <cmath>
#include <limits>

#include "core/check.h"
#include "kernels/pointwise/binary.h"
#include "kernels/pointwise/compare.h"
#include "kernels/pointwise/unary.h"

namespace warptape {

void check_scalar(const char* op, const Operand& x, double value) {
  check_defined(op, x);
  dispatch_all(x.dtype(), [&]<class T>() {
    if constexpr (!is_floating(dtype_of<T>())) {
      constexpr auto lowest = static_cast<double>(std::numeric_limits<T>::min());
      const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);  // the largest, and 1
      check<ValueError>(value == std::floor(value) && value >= lowest && value < beyond, x.site(),
                        "[{}] scalar beside {}: got {}, wanted a number of that dtype", op,
                        to_string(x.dtype()), value);
    }
  });
}

Operand scalar_beside(const char* op, const Operand& x, double value) {
  check_scalar(op, x, value);
  return {Tensor::full({}, value, x.dtype(), x.device()), x.site().file, x.site().line};
}

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

#define WARPTAPE_DEFINE(name, Functor)                  \
  Tensor name(const Operand& a, const Operand& b) {     \
    return comparison<pointwise::Functor>(#name, a, b); \
  }
WARPTAPE_COMPARISONS(WARPTAPE_DEFINE)
#undef WARPTAPE_DEFINE

}  // namespace warptape
