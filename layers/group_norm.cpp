#include "layers/group_norm.h"

#include "core/check.h"
#include "layers/scale_and_shift.h"

namespace warptape {

GroupNorm::GroupNorm(const Options& options, const Site& site) : options_(options) {
  options_.bias = options.affine && options.bias;
  check<ValueError>(options.num_channels >= 1, site,
                    "[GroupNorm] num_channels: got {}, wanted 1 or more", options.num_channels);
  check<ValueError>(options.num_groups >= 1 && options.num_channels % options.num_groups == 0, site,
                    "[GroupNorm] num_groups: got {}, wanted a divisor of num_channels {}",
                    options.num_groups, options.num_channels);
  check_eps("GroupNorm", options.eps, site);
  const Shape shape{options.num_channels};
  check_countable("GroupNorm", "weight", shape, options.dtype, site);
  make_scale_and_shift(weight, bias, shape, options.dtype, options.affine, options_.bias);
}

void GroupNorm::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor GroupNorm::forward(const Operand& x) {
  check_defined("GroupNorm", x);
  check<ShapeError>(x.rank() >= 2 && x.size(1) == options_.num_channels, x.site(),
                    "[GroupNorm] x: got shape {}, wanted (N, {}, ...)", x.shape(),
                    options_.num_channels);
  return group_norm(x, options_.num_groups, scale_of(weight, x.site()), bias, options_.eps);
}

std::string GroupNorm::settings() const {
  return fmt::format("{}, {}, eps={}, affine={}, bias={}", options_.num_groups,
                     options_.num_channels, options_.eps, python(options_.affine),
                     python(options_.bias));
}

}  // namespace warptape
