#pragma once
#include <array>

#include "core/operand.h"
#include "kernels/geometry/padding.h"

namespace warptape {

struct ConvTranspose1dOptions {
  int64_t stride = 1;
  Padding1d padding = 0;       // of the convolution: it cuts the result's ends; numbers, no rule
  int64_t output_padding = 0;  // as many elements more at the end; below the stride or the dilation
  int64_t dilation = 1;
  int64_t groups = 1;

  std::array<WindowOptions, 1> axes() const { return {{{stride, padding.axis, dilation}}}; }
};

// The transpose of conv1d, as torch.nn.functional.conv_transpose1d: each element of x adds its
// multiple of the filters to `dilation (k - 1) + 1` elements of the result, `stride` further for
// the next. x: (N, C, L), weight: (C, O / groups, k), bias: (O) or left out; floating, one dtype
// and device. Returns (N, O, L') in channels-last, where L' = (L - 1) stride + dilation (k - 1) + 1
// and output_padding, less the padding's left and right. Without padding on the left an element of
// the result sees no x behind it.
// Differentiable. It is conv1d's gradient by x, and its gradients are conv1d and conv1d's gradient
// by the weight, on the same kernels and libraries.
Tensor conv_transpose1d(const Operand& x, const Operand& weight, const Operand& bias = Tensor(),
                        ConvTranspose1dOptions options = {});

}  // namespace warptape
