#include "kernels/where/where_cuda.h"

#include "kernels/where/where_kernels.h"

namespace warptape {

void where_cuda(const StridedLoop<4>& loop, const Tensor& condition, const Tensor& a,
                const Tensor& b, Tensor& y) {
  dispatch_all(y.dtype(), [&]<class T>() {
    on_cuda::where(gpu::current_stream(), loop, condition.data<uint8_t>(), a.data<T>(), b.data<T>(),
                   y.mutable_data<T>());
  });
}

void where_gradient_cuda(const StridedLoop<4>& loop, bool taken, const Tensor& condition,
                         const Tensor& dy, GradientTarget to) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::where_gradient(gpu::current_stream(), loop, taken, condition.data<uint8_t>(),
                            dy.data<T>(), to.mode == WriteMode::Accumulate,
                            to.buffer.mutable_data<T>());
  });
}

}  // namespace warptape
