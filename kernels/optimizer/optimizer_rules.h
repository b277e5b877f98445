#pragma once
// The update rules of optimizers for one element, written once for the CPU and for CUDA. Rules and
// the order of operations are PyTorch's (torch.optim), in the parameter's dtype; in float32 of
// bfloat16.
//
// A rule is made once per parameter and step from what is constant there, then applied to every
// element, which it gets with its gradient and its buffers. step counts the parameter's updates,
// this one included; at 1 the buffers hold nothing yet.

#include <cmath>
#include <cstdint>

#include "core/simt/host_device.h"
#include "kernels/optimizer/adam_rule.h"
#include "kernels/optimizer/average_rule.h"
#include "kernels/optimizer/muon_rule.h"
#include "kernels/optimizer/rmsprop_rule.h"
#include "kernels/optimizer/sgd_rule.h"

// Every rule, by the constants that it is made from: X(constants, argument). Those of weights may
// have their rows projected, or normalised, in the same launch.
#define WARPTAPE_WEIGHT_RULES(X, argument) \
  X(AdamConstants, argument)               \
  X(DirectionConstants, argument)          \
  X(RmsPropConstants, argument)            \
  X(SgdConstants, argument)
#define WARPTAPE_OPTIMIZER_RULES(X, argument) \
  WARPTAPE_WEIGHT_RULES(X, argument)          \
  X(AverageConstants, argument)               \
  X(MomentumConstants, argument)

namespace warptape {

// A rule keeps at most so many tensors like the parameter.
inline constexpr int most_buffers = 3;

template <class Constants>
inline constexpr bool is_weight_rule = false;
#define WARPTAPE_IS_WEIGHT_RULE(Constants, unused) \
  template <>                                      \
  inline constexpr bool is_weight_rule<Constants> = true;
WARPTAPE_WEIGHT_RULES(WARPTAPE_IS_WEIGHT_RULE, )
#undef WARPTAPE_IS_WEIGHT_RULE

// What to scale gradients by so that their norm does not exceed max_norm, as
// torch.nn.utils.clip_grad_norm_. A norm that is NaN gives NaN.
WARPTAPE_HOST_DEVICE inline double clip_factor(double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor >= 1 ? 1.0 : factor;
}

}  // namespace warptape
