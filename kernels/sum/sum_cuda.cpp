#include "kernels/sum/sum_cuda.h"

#include "kernels/sum/sum_kernels.h"

namespace warptape {

void sum_forward_cuda(const char* name, const Tensor& x, const ReductionDims& dims, double scale,
                      Tensor& y) {
  const ReducePlan<1> plan =
      reduce_plan_of<1>(make_reduce_loops<1>(x.shape(), x.memory_format(), dims.reduced,
                                             kept_strides(dims), {x.strides()}),
                        {&x});
  Tensor partials = Tensor::empty({plan.partials}, float64, x.device());
  dispatch_floating(x.dtype(), [&]<class T>() {
    cuda::sum_forward(name, gpu::current_stream(), plan, x.data<T>(), scale, y.mutable_data<T>(),
                      partials.mutable_data<double>());
  });
}

void sum_backward_cuda(const char* name, const Tensor& dy, const ReductionDims& dims, double scale,
                       GradientTarget dx) {
  Tensor& to = dx.buffer;
  const auto loop =
      make_strided_loop<2>(to.shape(), to.memory_format(), {to.strides(), kept_strides(dims)});
  dispatch_floating(dy.dtype(), [&]<class T>() {
    cuda::sum_backward(name, gpu::current_stream(), loop, dy.data<T>(), scale,
                       dx.mode == WriteMode::Accumulate, to.mutable_data<T>());
  });
}

}  // namespace warptape
