#include "kernels/avg_pool1d/avg_pool1d.h"

#include "kernels/avg_pool2d/avg_pool.h"

namespace warptape {

Tensor avg_pool1d(const Operand& x, AvgPool1dOptions options) {
  return avg_pool(x,
                  make_pool_geometry_1d("avg_pool1d", x, options.kernel_size, options.stride,
                                        options.padding, 1, options.ceil_mode),
                  options.count_include_pad);
}

}  // namespace warptape
