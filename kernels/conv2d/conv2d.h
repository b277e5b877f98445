#pragma once
#include <array>

#include "core/operand.h"
#include "kernels/geometry/padding.h"

namespace warptape {

struct Conv2dOptions {
  Pair stride = 1;
  Padding2d padding = 0;
  Pair dilation = 1;
  int64_t groups = 1;

  std::array<WindowOptions, 2> axes() const {
    return {{{stride.height, padding.vertical, dilation.height},
             {stride.width, padding.horizontal, dilation.width}}};
  }
};

// Cross-correlation, as torch.nn.functional.conv2d. x: (N, C, H, W), weight: (O, C / groups, kH,
// kW), bias: (O) or left out; floating, one dtype and device. Returns (N, O, H', W') in
// channels-last, with H' = floor((H + top + bottom - dilation (kH - 1) - 1) / stride) + 1, where
// top and bottom are the padding's.
// Differentiable. On the CPU float32 and bfloat16 run on oneDNN where it is built in and has a
// fast implementation; the loops accumulate in float64.
Tensor conv2d(const Operand& x, const Operand& weight, const Operand& bias = Tensor(),
              Conv2dOptions options = {});

}  // namespace warptape
