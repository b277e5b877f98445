#pragma once
#include "core/operand.h"
#include "kernels/reduce/reduction.h"

namespace warptape {

struct CrossEntropyOptions {
  Reduction reduction = Reduction::Mean;
  int64_t ignore_index = -100;  // elements with this label count nowhere
  double label_smoothing =
      0;  // in [0, 1]: this part of the target is spread evenly over the classes
};

// -log softmax(logits)[label], as torch.nn.functional.cross_entropy: softmax and logarithm in one
// pass. logits: (N, C) or (N, C, d1, ...), floating. labels: int64, (N) or (N, d1, ...),
// each in [0, C) or ignore_index; anything else is a ValueError that names the place (on "cuda" at
// the next synchronisation). Mean divides by the number of labels that are not ignored (NaN if
// there are none). Returns a scalar, or, for Reduction::None, which takes several passes, a loss
// for each label, 0 where that is ignored. Differentiable by logits.
Tensor cross_entropy(const Operand& logits, const Tensor& labels, CrossEntropyOptions options = {});

}  // namespace warptape
