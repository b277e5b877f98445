#include "kernels/losses/losses.h"

#include <algorithm>

#include "core/check.h"
#include "kernels/losses/loss.h"

namespace warptape {

#define WARPTAPE_DEFINE(name, Functor)                                                     \
  Tensor name(const Operand& input, const Operand& target, const losses::Functor& options, \
              const Operand& mask) {                                                       \
    return loss_op(#name, options, input, target, Tensor(), mask);                         \
  }
WARPTAPE_LOSSES_OF_TWO(WARPTAPE_DEFINE)
#undef WARPTAPE_DEFINE

Tensor bce_with_logits_loss(const Operand& input, const Operand& target,
                            const losses::BceWithLogits& options, const Operand& mask) {
  return loss_op("bce_with_logits_loss", options, input, target, Tensor(), mask);
}

Tensor bce_with_logits_loss(const Operand& input, const Operand& target, const Operand& pos_weight,
                            const losses::BceWithLogits& options, const Operand& mask) {
  check_defined("bce_with_logits_loss", pos_weight);
  return loss_op("bce_with_logits_loss", options, input, target, pos_weight, mask);
}

Tensor gaussian_nll_loss(const Operand& input, const Operand& target, const Operand& var,
                         const losses::GaussianNll& options, const Operand& mask) {
  check_defined("gaussian_nll_loss", var);
  return loss_op("gaussian_nll_loss", options, input, target, var, mask);
}

Tensor quantile_loss(const Operand& input, const Operand& target,
                     const std::vector<double>& quantiles, Reduction reduction,
                     const Operand& mask) {
  check_floating("quantile_loss", input);
  const Site& site = input.site();
  const auto count = static_cast<int64_t>(quantiles.size());
  check<ValueError>(count >= 1 && count <= losses::Quantile::most_levels, site,
                    "[quantile_loss] quantiles: got {} of them, wanted 1 to {}", count,
                    losses::Quantile::most_levels);
  check<ShapeError>(input.rank() >= 1 && input.shape()[input.rank() - 1] == count, site,
                    "[quantile_loss] input: got shape {}, wanted (N, ..., {}) for {} quantiles",
                    input.shape(), count, count);
  losses::Quantile functor{.reduction = reduction};
  for (size_t i = 0; i < quantiles.size(); ++i) {
    const double level = quantiles[i];
    check<ValueError>(level > 0 && level < 1, site,
                      "[quantile_loss] quantile {}: got {}, wanted a level above 0 and below 1", i,
                      level);
    functor.levels[i] = level;
  }
  return loss_op("quantile_loss", functor, input, target, Tensor(), mask);
}

}  // namespace warptape
