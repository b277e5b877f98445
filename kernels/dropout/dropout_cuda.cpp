#include "kernels/dropout/dropout_cuda.h"

#include <cmath>

#include "kernels/dropout/dropout_kernels.h"

namespace warptape {

void dropout_cuda(const Tensor& x, double p, const RandomStream& stream, GradientTarget to) {
  on_cuda::DropoutExtents extents{.inner = x.numel()};
  if (x.memory_format() == MemoryFormat::ChannelsLast && x.numel() > 0) {
    extents.images = x.shape()[0];
    extents.channels = x.shape()[1];
    extents.inner = x.numel() / (extents.images * extents.channels);
  }
  // word / 2^32 >= p, in whole numbers.
  const auto threshold = static_cast<uint64_t>(std::ceil(p * 0x1p32));
  dispatch_floating(x.dtype(), [&]<class T>() {
    const auto scale = static_cast<Compute<T>>(p < 1 ? 1 / (1 - p) : 0);
    on_cuda::dropout(gpu::current_stream(), extents, x.data<T>(), threshold, scale, stream,
                     to.buffer.mutable_data<T>(), to.mode == WriteMode::Accumulate);
  });
}

}  // namespace warptape
