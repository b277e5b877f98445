#include "layers/layer_norm.h"

#include <algorithm>

#include "core/check.h"
#include "layers/scale_and_shift.h"

namespace warptape {

LayerNorm::LayerNorm(const Options& options, const Site& site) : options_(options) {
  const Shape& shape = options.normalized_shape;
  options_.bias = options.elementwise_affine && options.bias;
  check<ValueError>(shape.rank() >= 1 && std::all_of(shape.begin(), shape.begin() + shape.rank(),
                                                     [](int64_t size) { return size >= 1; }),
                    site, "[LayerNorm] normalized_shape: got {}, wanted sizes of 1 or more", shape);
  check_eps("LayerNorm", options.eps, site);
  check_countable("LayerNorm", "weight", shape, options.dtype, site);
  make_scale_and_shift(weight, bias, shape, options.dtype, options.elementwise_affine,
                       options_.bias);
}

void LayerNorm::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor LayerNorm::forward(const Operand& x) {
  return layer_norm(x, options_.normalized_shape, scale_of(weight, x.site()), bias, options_.eps);
}

std::string LayerNorm::settings() const {
  return fmt::format("{}, eps={}, elementwise_affine={}, bias={}", options_.normalized_shape,
                     options_.eps, python(options_.elementwise_affine), python(options_.bias));
}

}  // namespace warptape
