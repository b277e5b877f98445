#pragma once
#include <array>

#include "core/operand.h"
#include "kernels/geometry/padding.h"

namespace warptape {

struct ConvTranspose2dOptions {
  Pair stride = 1;
  Padding2d padding = 0;  // of the convolution: it cuts the result's edges; numbers, no rule
  Pair output_padding =
      0;  // as many more at the bottom and right; below the stride or the dilation
  Pair dilation = 1;
  int64_t groups = 1;

  std::array<WindowOptions, 2> axes() const {
    return {{{stride.height, padding.vertical, dilation.height},
             {stride.width, padding.horizontal, dilation.width}}};
  }
};

// The transpose of conv2d, as torch.nn.functional.conv_transpose2d. x: (N, C, H, W), weight: (C, O
// / groups, kH, kW), bias: (O) or left out; floating, one dtype and device. Returns (N, O, H', W')
// in channels-last, where H' = (H - 1) stride + dilation (kH - 1) + 1 and output_padding, less the
// padding's top and bottom.
// Differentiable. It is conv2d's gradient by x, and its gradients are conv2d and conv2d's gradient
// by the weight, on the same kernels and libraries.
Tensor conv_transpose2d(const Operand& x, const Operand& weight, const Operand& bias = Tensor(),
                        ConvTranspose2dOptions options = {});

}  // namespace warptape
