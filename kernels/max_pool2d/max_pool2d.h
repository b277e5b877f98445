#pragma once
#include "core/operand.h"
#include "kernels/geometry/pair.h"
#include "kernels/pointwise/activation.h"

namespace warptape {

struct MaxPool2dOptions {
  Pair kernel_size = 2;
  Pair stride = 0;   // 0: the kernel size
  Pair padding = 0;  // never the largest; at most half of the kernel size
  Pair dilation = 1;
  bool ceil_mode = false;                    // also take windows that the image ends in
  Activation activation = Activation::None;  // of x, before the largest is taken
};

// The largest element of each window, as torch.nn.functional.max_pool2d: a NaN wins; of equal
// elements the first in row-major order takes the gradient. x: (N, C, H, W), floating.
// Returns (N, C, H', W') in channels-last. Differentiable; keeps one byte per output for backward.
//
// Activation::ReLU is max_pool2d(relu(x)) in one pass forward and one backward: the same values and
// gradients, because ReLU does not change which element is the largest of a window that has a
// positive one. It saves the pass over the activations that ReLU takes and the copy that its
// backward would keep. A ReLU that waits (core/deferred.h) is taken over so, and flatten has the
// result written row by row where the pooling still waits.
Tensor max_pool2d(const Operand& x, MaxPool2dOptions options);

}  // namespace warptape
