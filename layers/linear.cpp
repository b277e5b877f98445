#include "layers/linear.h"

#include "core/check.h"
#include "kernels/linear/linear.h"
#include "layers/init.h"

namespace warptape {

Linear::Linear(Options options, const Site& site) : options_(options) {
  check<ValueError>(options.in_features >= 1, site,
                    "[Linear] in_features: got {}, wanted 1 or more", options.in_features);
  check<ValueError>(options.out_features >= 1, site,
                    "[Linear] out_features: got {}, wanted 1 or more", options.out_features);
  check_countable("Linear", "weight", {options.out_features, options.in_features}, options.dtype,
                  site);
  weight = Weight(Tensor::empty({options.out_features, options.in_features}, options.dtype));
  if (options.bias) {
    bias = Parameter(Tensor::empty({options.out_features}, options.dtype));
  }
  init::torch_default(weight, bias);
}

void Linear::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor Linear::forward(const Operand& x) {
  if (weight.computes_in_bfloat16()) {
    return linear(weight.input(x), weight.operand(x.site()), bias);
  }
  // x itself: a copy would be another holder of a layer that waits.
  return linear(x, weight.operand(x.site()), bias);
}

std::string Linear::settings() const {
  return fmt::format("in_features={}, out_features={}, bias={}", options_.in_features,
                     options_.out_features, options_.bias ? "True" : "False");
}

}  // namespace warptape
