#pragma once
// Losses, element by element. What each computes stands at its functor (kernels/losses/functors.h),
// whose members are its options, by PyTorch's names and with its defaults:
//
//   Tensor huber_loss(input, target, {.reduction = Reduction::Mean, .delta = 1}, mask = none);
//   huber_loss(y, target), huber_loss(y, target, {.delta = 2}), mse_loss(y, target, {}, mask)
//
//   input, target: one shape, dtype and device; floating
//   mask: uint8, as comparisons give it: an element counts where it is not 0. Its dimensions are
//     the input's first ones, where 1 repeats: beside an input (N, L, Q) it may be (N, L, Q),
//     (N, L), (1, L) or (N, 1, Q).
//   result: by Reduction a scalar, Mean or Sum, or None, the loss of each element, which is laid as
//     the input
//
// Mean divides by the number of elements that count: it is NaN if there are none, with gradients of
// 0. An element that does not count has a loss and a gradient of 0, whatever stands there, NaN too.
// Sums are in float64 and the same in every run and for any number of threads. Differentiable by
// all floating operands.

#include <vector>

#include "core/operand.h"
#include "kernels/losses/functors.h"
#include "kernels/losses/table.h"

namespace warptape {

#define WARPTAPE_DECLARE(name, Functor)                                                         \
  Tensor name(const Operand& input, const Operand& target, const losses::Functor& options = {}, \
              const Operand& mask = Tensor());                                                  \
  inline Tensor name(const Operand& input, const Operand& target, Reduction reduction) {        \
    return name(input, target, losses::Functor{.reduction = reduction});                        \
  }
WARPTAPE_LOSSES_OF_TWO(WARPTAPE_DECLARE)
#undef WARPTAPE_DECLARE

// torch.nn.functional.binary_cross_entropy_with_logits of logits and targets from 0 to 1.
// pos_weight: the weight of what is positive, of the input's dtype; its dimensions are the input's
// last ones, where 1 repeats.
Tensor bce_with_logits_loss(const Operand& input, const Operand& target,
                            const losses::BceWithLogits& options = {},
                            const Operand& mask = Tensor());
Tensor bce_with_logits_loss(const Operand& input, const Operand& target, const Operand& pos_weight,
                            const losses::BceWithLogits& options = {},
                            const Operand& mask = Tensor());

// var: a variance for each element; its dimensions are the input's first ones, where 1 repeats. One
// below 0 that counts is a ValueError, on "cuda" at the next synchronisation.
Tensor gaussian_nll_loss(const Operand& input, const Operand& target, const Operand& var,
                         const losses::GaussianNll& options = {}, const Operand& mask = Tensor());

// The pinball loss of forecasts of quantiles.
//   input (N, ..., Q): a forecast for each level
//   target (N, ...)
//   quantiles: the Q levels, above 0 and below 1, 128 at most
// Mean divides by all N ... Q elements that count; a sum over the levels, which some take before
// the mean, is Q times that. mask as above: (N, ...) or (N, ..., Q).
Tensor quantile_loss(const Operand& input, const Operand& target,
                     const std::vector<double>& quantiles, Reduction reduction = Reduction::Mean,
                     const Operand& mask = Tensor());

}  // namespace warptape
