#include "ops/softsign/softsign_kernels.h"

namespace mine {

using namespace warptape;

void softsign_forward_cuda(const Tensor& x, Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    launch_forward(gpu::current_stream(), x.numel(), x.data<T>(), y.mutable_data<T>());
  });
}

void softsign_backward_cuda(const Tensor& dy, const Tensor& x, GradientTarget to) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    launch_backward(gpu::current_stream(), x.numel(), dy.data<T>(), x.data<T>(),
                    to.mode == WriteMode::Accumulate, to.buffer.mutable_data<T>());
  });
}

}  // namespace mine
