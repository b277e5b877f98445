#include "kernels/gather/gather_cuda.h"

#include "kernels/gather/gather_kernels.h"
#include "kernels/gather/index_report.h"

namespace warptape {
void gather_cuda(const GatherLoop& loop, const Tensor& x, const Tensor& index, Tensor& y) {
  dispatch_all(x.dtype(), [&]<class T>() {
    on_cuda::gather(gpu::current_stream(), loop, x.data<T>(), index.data<int64_t>(),
                    gpu::report_word(), bad_index_code("gather", loop.line), y.mutable_data<T>());
  });
}

void gather_backward_cuda(const GatherLines& lines, const Tensor& dy, const Tensor& index,
                          GradientTarget dx) {
  Tensor partials = Tensor::empty({lines.partials()}, float64, dy.device());
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::gather_backward(gpu::current_stream(), lines, dy.data<T>(), index.data<int64_t>(),
                             dx.mode == WriteMode::Accumulate, partials.mutable_data<double>(),
                             dx.buffer.mutable_data<T>());
  });
}

}  // namespace warptape
