#pragma once
#include <array>

#include "core/operand.h"
#include "kernels/geometry/padding.h"

namespace warptape {

struct Conv1dOptions {
  int64_t stride = 1;
  Padding1d padding = 0;
  int64_t dilation = 1;
  int64_t groups = 1;

  std::array<WindowOptions, 1> axes() const { return {{{stride, padding.axis, dilation}}}; }
};

// Cross-correlation along a sequence, as torch.nn.functional.conv1d. x: (N, C, L), weight: (O, C /
// groups, k), bias: (O) or left out; floating, one dtype and device. Returns (N, O, L')
// with L' = floor((L + left + right - dilation (k - 1) - 1) / stride) + 1, where left and right are
// the padding's. Zeros beside a sequence are not stored: causal padding costs nothing.
// Differentiable. On the CPU loops along lines serve float32 with stride 1 and one group, and give
// a row-major result, the same bits for any number of threads. Results and data gradients of 3 taps
// and 24 channels or more are sums of fewer products, of sums of two inputs (Winograd's F(2, 3)):
// each output's roundings are as large as the largest products of its inputs with any of the taps.
// Inside a module's call, what follows them is part of the same pass: ReLU, dropout, a residual
// that is added, and a ReLU behind that. oneDNN serves the rest of float32 and bfloat16, and on
// processors with AVX-512 also 96 channels and more. The memory format of the result is therefore
// the processor's choice; elsewhere it is channels-last.
Tensor conv1d(const Operand& x, const Operand& weight, const Operand& bias = Tensor(),
              Conv1dOptions options = {});

}  // namespace warptape
