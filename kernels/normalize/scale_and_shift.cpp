#include "kernels/normalize/scale_and_shift.h"

#include <cmath>

#include "core/check.h"
#include "core/primitives.h"

namespace warptape::normalize {

void check_parameter(const char* op, const char* what, const Operand& x, const Operand& parameter,
                     const Shape& shape) {
  if (!parameter.defined()) {
    return;
  }
  check_bias_kind(op, x, parameter);
  check<ShapeError>(parameter.shape() == shape, x.site(), "[{}] {}: got shape {}, wanted {}", op,
                    what, parameter.shape(), shape);
}

void check_eps(const char* op, const Operand& x, double eps) {
  check<ValueError>(eps >= 0 && std::isfinite(eps), x.site(),
                    "[{}] eps: got {}, wanted a finite number, 0 or more", op, eps);
}

Tensor as_computed(const Tensor& parameter, DType dtype) {
  if (!parameter.defined()) {
    return {};
  }
  return primitives::relayout(primitives::cast(parameter, compute_dtype(dtype)),
                              MemoryFormat::RowMajor);
}

GradientTarget wanted_gradient(Backward& context, int i, DType dtype) {
  if (!context.needs(i)) {
    return {};
  }
  return context.into(i, compute_dtype(dtype));
}

void backward_of_nothing(Backward& context) {
  for (int i : {0, 1, 2}) {
    if (context.needs(i)) {
      Tensor zeros = context.overwrite(i);
      primitives::fill(zeros, 0);
    }
  }
}

}  // namespace warptape::normalize
