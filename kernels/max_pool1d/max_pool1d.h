#pragma once
#include "core/operand.h"
#include "kernels/pointwise/activation.h"

namespace warptape {

struct MaxPool1dOptions {
  int64_t kernel_size = 2;
  int64_t stride = 0;   // 0: the kernel size
  int64_t padding = 0;  // never the largest; at most half of the kernel size
  int64_t dilation = 1;
  bool ceil_mode = false;                    // also take windows that the sequence ends in
  Activation activation = Activation::None;  // of x, before the largest is taken
};

// The largest element of each window, as torch.nn.functional.max_pool1d: a NaN wins; of equal
// elements the first takes the gradient. x: (N, C, L), floating. Returns (N, C, L') in
// channels-last. Differentiable. Sequences are max_pool2d's images of one line: what stands there
// of ReLU, of its fusion and of the index that is kept holds here.
Tensor max_pool1d(const Operand& x, MaxPool1dOptions options);

}  // namespace warptape
