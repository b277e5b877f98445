#include "kernels/avg_pool2d/avg_pool2d_cuda.h"

#include "kernels/avg_pool2d/avg_pool2d_kernels.h"

namespace warptape {

void avg_pool2d_forward_cuda(const Tensor& x, const PoolGeometry& geometry, bool count_include_pad,
                             Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    on_cuda::avg_pool2d_forward(gpu::current_stream(), geometry, count_include_pad, x.data<T>(),
                                y.mutable_data<T>());
  });
}

void avg_pool2d_backward_cuda(const Tensor& dy, const PoolGeometry& geometry,
                              bool count_include_pad, Tensor& dx) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::avg_pool2d_backward(gpu::current_stream(), geometry, count_include_pad, dy.data<T>(),
                                 dx.mutable_data<T>());
  });
}

}  // namespace warptape
