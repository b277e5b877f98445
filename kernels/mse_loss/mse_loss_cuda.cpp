#include "kernels/mse_loss/mse_loss_cuda.h"

#include "kernels/mse_loss/mse_loss_kernels.h"
#include "kernels/reduce/reduce.h"

namespace warptape {

void mse_loss_forward_cuda(const Tensor& input, const Tensor& target, double scale, Tensor& loss) {
  DimMask all{};
  all.fill(true);
  const ReducePlan<2> plan =
      reduce_plan_of<2>(make_reduce_loops<2>(input.shape(), input.memory_format(), all, Strides{},
                                             {input.strides(), target.strides()}),
                        {&input, &target});
  Tensor partials = Tensor::empty({plan.partials}, float64, input.device());
  dispatch_floating(input.dtype(), [&]<class T>() {
    on_cuda::mse_loss_forward(gpu::current_stream(), plan, input.data<T>(), target.data<T>(), scale,
                              loss.mutable_data<T>(), partials.mutable_data<double>());
  });
}

void mse_loss_backward_cuda(const Tensor& dy, const Tensor& input, const Tensor& target,
                            double scale, GradientTarget to) {
  dispatch_floating(input.dtype(), [&]<class T>() {
    on_cuda::mse_loss_backward(gpu::current_stream(), input.numel(), dy.data<T>(), input.data<T>(),
                               target.data<T>(), scale, to.mode == WriteMode::Accumulate,
                               to.buffer.mutable_data<T>());
  });
}

}  // namespace warptape
