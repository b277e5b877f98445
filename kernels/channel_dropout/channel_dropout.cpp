#include "kernels/channel_dropout/channel_dropout.h"

#include "core/check.h"
#include "kernels/dropout/dropout.h"
#include "kernels/pointwise/pointwise.h"

namespace warptape {

Tensor channel_dropout(const Operand& x, double p, bool training, Generator& generator) {
  check_floating("channel_dropout", x);
  check<ShapeError>(x.rank() >= 2, x.site(), "[channel_dropout] shape: got {}, wanted (N, C, ...)",
                    x.shape());
  check<ValueError>(p >= 0 && p <= 1, x.site(), "[channel_dropout] p: got {}, wanted 0 to 1", p);
  if (!training || p == 0) {
    return dropout(x, p, false);  // x itself
  }
  Shape channels = x.shape();
  for (int dim = 2; dim < channels.rank(); ++dim) {
    channels[dim] = 1;
  }
  return mul(x, dropout(Tensor::full(channels, 1, x.dtype(), x.device()), p, true, generator));
}

}  // namespace warptape
