#include "kernels/global_avg_pool2d/global_avg_pool2d.h"

#include "kernels/mean/mean.h"

namespace warptape {

Tensor global_avg_pool2d(const Operand& x) {
  check_floating("global_avg_pool2d", x);
  check_rank("global_avg_pool2d", x, 4, "(N, C, H, W)");
  return mean(x, {2, 3}, true);
}

}  // namespace warptape
