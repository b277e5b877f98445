#include "kernels/max/max_cuda.h"

#include "kernels/max/max_kernels.h"

namespace warptape {

void max_forward_cuda(const Tensor& x, const ReductionDims& dims, Tensor& y) {
  const ReducePlan<1> plan =
      reduce_plan_of<1>(make_reduce_loops<1>(x.shape(), x.memory_format(), dims.reduced,
                                             kept_strides(dims), {x.strides()}),
                        {&x});
  dispatch_floating(x.dtype(), [&]<class T>() {
    Tensor partials = Tensor::empty({plan.partials}, dtype_of<Compute<T>>(), x.device());
    on_cuda::max_forward(gpu::current_stream(), plan, x.data<T>(), y.mutable_data<T>(),
                         partials.mutable_data<Compute<T>>());
  });
}

void max_backward_cuda(const Tensor& dy, const Tensor& x, const Tensor& y,
                       const ReductionDims& dims, GradientTarget dx) {
  const Strides kept = kept_strides(dims);
  const ReducePlan<2> plan = reduce_plan_of<2>(
      make_reduce_loops<2>(x.shape(), x.memory_format(), dims.reduced, kept, {x.strides(), kept}),
      {&x, &y});
  Tensor& to = dx.buffer;
  const auto loop =
      make_strided_loop<4>(to.shape(), to.memory_format(), {to.strides(), x.strides(), kept, kept});
  Tensor partials = Tensor::empty({plan.partials}, int64, x.device());
  Tensor shares = Tensor::empty_like(dy);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const gpu::StreamHandle stream = gpu::current_stream();
    on_cuda::max_shares(stream, plan, x.data<T>(), y.data<T>(), dy.data<T>(),
                        shares.mutable_data<T>(), partials.mutable_data<int64_t>());
    on_cuda::max_backward(stream, loop, x.data<T>(), y.data<T>(), shares.data<T>(),
                          dx.mode == WriteMode::Accumulate, to.mutable_data<T>());
  });
}

}  // namespace warptape
