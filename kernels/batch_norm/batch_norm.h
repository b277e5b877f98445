#pragma once
#include <optional>

#include "core/operand.h"

namespace warptape {

// What batch_norm averages over batches, on x's device, and writes to in training. Undefined: there
// is none.
struct RunningStatistics {
  Tensor mean{};      // (C), float64 for a float64 x, else float32
  Tensor variance{};  // likewise
  Tensor batches{};   // int64, one element: how many batches they have seen
};

struct BatchNormOptions {
  bool training = false;
  // Of the new batch in the running averages; none: they are averages of all batches so far.
  std::optional<double> momentum = 0.1;
  double eps = 1e-5;
};

// As torch.nn.functional.batch_norm: x minus a mean of its channel, over the square root of its
// variance plus eps; times weight, plus bias, if there are such.
// x: (N, C), (N, C, L) or (N, C, H, W), floating, in either memory format; y has its shape and
// format.
// training: mean and biased variance are those of x, of which each channel needs more than one
// value; the running statistics, if there are any, are moved towards them and the unbiased
// variance, and batches is counted up, all by the kernels that read x: a captured step goes on
// doing so. Otherwise the running statistics are mean and variance, and constants. weight, bias:
// (C), of x's dtype or, where x is bfloat16, float32. Differentiable by x, weight and bias.
Tensor batch_norm(const Operand& x, const RunningStatistics& running,
                  const Operand& weight = Tensor(), const Operand& bias = Tensor(),
                  const BatchNormOptions& options = {});

}  // namespace warptape
