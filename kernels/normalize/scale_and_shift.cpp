#include "kernels/normalize/scale_and_shift.h"

#include <cmath>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/mean/mean.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"

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

Tensor normalized_over(const Operand& x, const std::vector<int>& dims, double eps) {
  const Tensor wide = x.to(compute_dtype(x.dtype()));
  const Tensor centered = wide - mean(wide, dims, true);
  return centered * rsqrt(mean(centered * centered, dims, true) + eps);
}

Tensor scaled_and_shifted(const Operand& y, const Tensor& weight, const Tensor& bias,
                          const Shape& shape) {
  const auto beside = [&](const Tensor& parameter) {
    return reshape(parameter.to(y.dtype()), {shape.begin(), shape.end()});
  };
  const Tensor scaled = weight.defined() ? y * beside(weight) : y.tensor();
  return bias.defined() ? scaled + beside(bias) : scaled;
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
