#pragma once
#include "core/operand.h"
#include "kernels/geometry/pair.h"

namespace warptape {

struct Conv2dOptions {
  Pair stride = 1;
  Pair padding = 0;  // zeros on each side
  Pair dilation = 1;
  int64_t groups = 1;

  auto operator<=>(const Conv2dOptions&) const = default;
};

// Cross-correlation, as torch.nn.functional.conv2d. x: (N, C, H, W), weight: (O, C / groups, kH,
// kW), bias: (O) or left out; floating, one dtype and device. Returns (N, O, H', W') in
// channels-last, with H' = floor((H + 2 padding - dilation (kH - 1) - 1) / stride) + 1.
// Differentiable. On the CPU float32 runs on oneDNN where it is built in and has a fast
// implementation; the loops accumulate in float64.
Tensor conv2d(const Operand& x, const Operand& weight, const Operand& bias = Tensor(),
              Conv2dOptions options = {});

}  // namespace warptape
