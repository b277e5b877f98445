#include <utility>

#include "core/primitives_cuda.h"
#include "core/strided.h"
#include "kernels/transpose/transpose_kernels.h"

namespace warptape {

void transpose_cuda(const Tensor& from, int dim0, int dim1, Tensor& to, WriteMode mode) {
  Strides source = from.strides();
  std::swap(source[static_cast<size_t>(dim0)], source[static_cast<size_t>(dim1)]);
  const auto loop = make_strided_loop<2>(to.shape(), to.memory_format(), {to.strides(), source});
  dispatch_all(from.dtype(), [&]<class T>() {
    if (mode == WriteMode::Accumulate) {
      primitives::cuda::add(gpu::current_stream(), loop, to.mutable_data<T>(), from.data<T>());
    } else {
      primitives::cuda::copy(gpu::current_stream(), loop, to.mutable_data<T>(), from.data<T>());
    }
  });
}

}  // namespace warptape
