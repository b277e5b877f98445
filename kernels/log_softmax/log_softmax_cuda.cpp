#include "kernels/log_softmax/log_softmax_cuda.h"

#include "kernels/common/along_dim.h"
#include "kernels/log_softmax/log_softmax_kernels.h"

namespace warptape {

void log_softmax_forward_cuda(const Tensor& x, int dim, Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    cuda::log_softmax_forward(gpu::current_stream(), extents_along(x, dim), x.data<T>(),
                              y.mutable_data<T>());
  });
}

void log_softmax_backward_cuda(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx) {
  dispatch_floating(y.dtype(), [&]<class T>() {
    cuda::log_softmax_backward(gpu::current_stream(), extents_along(y, dim), dy.data<T>(),
                               y.data<T>(), dx.buffer.mutable_data<T>(),
                               dx.mode == WriteMode::Accumulate);
  });
}

}  // namespace warptape
