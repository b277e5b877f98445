#include "kernels/relu_max_pool2d/relu_max_pool2d.h"

#include "kernels/max_pool2d/max_pool2d_kernels.h"

namespace warptape {

Tensor relu_max_pool2d(const Operand& x, MaxPool2dOptions options) {
  return max_pool2d_op("relu_max_pool2d", x, options, true);
}

}  // namespace warptape
