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
#include "kernels/optimizer/rmsprop_rule.h"
#include "kernels/optimizer/sgd_rule.h"

// Every rule, by the constants that it is made from: X(constants, argument). Those that update
// weights can project their rows.
#define WARPTAPE_CONSTRAINED_RULES(X, argument) \
  X(AdamConstants, argument)                    \
  X(RmsPropConstants, argument)                 \
  X(SgdConstants, argument)
#define WARPTAPE_OPTIMIZER_RULES(X, argument) \
  WARPTAPE_CONSTRAINED_RULES(X, argument)     \
  X(AverageConstants, argument)

namespace warptape {

// A rule keeps at most so many tensors like the parameter.
inline constexpr int most_buffers = 3;

// What to scale gradients by so that their norm does not exceed max_norm, as
// torch.nn.utils.clip_grad_norm_. A norm that is NaN gives NaN.
WARPTAPE_HOST_DEVICE inline double clip_factor(double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor >= 1 ? 1.0 : factor;
}

}  // namespace warptape
