#include <utility>

#include "core/parallel.h"
#include "core/strided.h"
#include "kernels/transpose/transpose_kernels.h"

namespace warptape {

void transpose_cpu(const Tensor& from, int dim0, int dim1, Tensor& to, WriteMode mode) {
  Strides source = from.strides();
  std::swap(source[static_cast<size_t>(dim0)], source[static_cast<size_t>(dim1)]);
  const auto loop = make_strided_loop<2>(to.shape(), to.memory_format(), {to.strides(), source});
  dispatch_all(from.dtype(), [&]<class T>() {
    const T* in = from.data<T>();
    T* out = to.mutable_data<T>();
    const bool accumulate = mode == WriteMode::Accumulate;
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          T& element = out[at[0] + i * step[0]];
          const T value = in[at[1] + i * step[1]];
          element = accumulate ? written(true, element, static_cast<Compute<T>>(value)) : value;
        }
      });
    });
  });
}

}  // namespace warptape
