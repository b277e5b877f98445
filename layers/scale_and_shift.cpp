#include "layers/scale_and_shift.h"

#include <cmath>

#include "core/check.h"

namespace warptape {

void check_eps(const char* type, double eps, const Site& site) {
  check<ValueError>(eps >= 0 && std::isfinite(eps), site,
                    "[{}] eps: got {}, wanted a finite number, 0 or more", type, eps);
}

void make_scale_and_shift(Weight& weight, Parameter& bias, const Shape& shape, DType dtype,
                          bool has_weight, bool has_bias) {
  if (has_weight) {
    weight = Weight(Tensor::ones(shape, dtype), Weight::InProducts::No);
  }
  if (has_bias) {
    bias = Parameter(Tensor::zeros(shape, dtype));
  }
}

Operand scale_of(Weight& weight, const Site& site) {
  return weight.defined() ? weight.operand(site) : Operand(Tensor());
}

}  // namespace warptape
