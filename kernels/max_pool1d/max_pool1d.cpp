#include "kernels/max_pool1d/max_pool1d.h"

#include "kernels/max_pool2d/max_pool.h"

namespace warptape {

Tensor max_pool1d(const Operand& x, MaxPool1dOptions options) {
  return max_pool(x,
                  make_pool_geometry_1d("max_pool1d", x, options.kernel_size, options.stride,
                                        options.padding, options.dilation, options.ceil_mode),
                  options.activation);
}

}  // namespace warptape
