#pragma once
#include "core/operand.h"
#include "kernels/reduce/reduction.h"

namespace warptape {

struct NllLossOptions {
  Reduction reduction = Reduction::Mean;
  int64_t ignore_index = -100;  // elements with this label count nowhere
};

// -input[label], as torch.nn.functional.nll_loss: of log-probabilities, as log_softmax(x, 1) gives
// them; cross_entropy does both in one pass.
//   input: (N, C) or (N, C, d1, ...), floating
//   labels: int64, (N) or (N, d1, ...), each in [0, C) or ignore_index; anything else is a
//     ValueError that names the place (on "cuda" at the next synchronisation)
//   result: a scalar, or, for Reduction::None, a loss for each label, 0 where that is ignored
// Mean divides by the number of labels that are not ignored (NaN if there are none). Sums are in
// float64. Differentiable by input; what is ignored gets a gradient of 0, whatever stands there.
Tensor nll_loss(const Operand& input, const Tensor& labels, NllLossOptions options = {});

}  // namespace warptape
