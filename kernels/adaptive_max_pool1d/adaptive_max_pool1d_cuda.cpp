#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d_cuda.h"

#include "core/tensor.h"
#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d_kernels.h"

namespace warptape {

void adaptive_max_pool1d_forward_cuda(const Tensor& x, const AdaptiveWindows& windows, Tensor& y,
                                      Tensor& indices) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    on_cuda::adaptive_max_pool1d_forward(gpu::current_stream(), windows, x.size(0), x.size(1),
                                         x.data<T>(), y.mutable_data<T>(),
                                         indices.mutable_data<int64_t>());
  });
}

void adaptive_max_pool1d_backward_cuda(const Tensor& dy, const Tensor& indices,
                                       const AdaptiveWindows& windows, Tensor& dx) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::adaptive_max_pool1d_backward(gpu::current_stream(), windows, dy.size(0), dy.size(1),
                                          dy.data<T>(), indices.data<int64_t>(),
                                          dx.mutable_data<T>());
  });
}

}  // namespace warptape
