#include "core/parallel.h"
#include "core/strided.h"
#include "kernels/dropout/dropout_kernels.h"

namespace warptape {

void dropout_cpu(const Tensor& x, double p, const RandomStream& stream, GradientTarget to) {
  // Memory offset of x and logical index, side by side.
  const auto loop = make_strided_loop<2>(
      x.shape(), x.memory_format(), {x.strides(), strides_of(x.shape(), MemoryFormat::RowMajor)});
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* out = to.buffer.mutable_data<T>();
    const auto scale = static_cast<Compute<T>>(p < 1 ? 1 / (1 - p) : 0);
    const bool accumulate = to.mode == WriteMode::Accumulate;
    parallel_for(loop.numel(), 1024, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          const int64_t offset = at[0] + i * step[0];
          const bool keep = stream.uniform(static_cast<uint64_t>(at[1] + i * step[1])) >= p;
          out[offset] = written(accumulate, out[offset], keep ? from[offset] * scale : 0);
        }
      });
    });
  });
}

}  // namespace warptape
