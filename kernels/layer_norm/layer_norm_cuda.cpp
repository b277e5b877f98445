#include "kernels/layer_norm/layer_norm_cuda.h"

#include "kernels/layer_norm/layer_norm_kernels.h"
#include "kernels/normalize/normalize.h"

namespace warptape {
namespace {

Tensor states_of(const rows::Plan& plan, Device device) {
  return Tensor::empty({plan.states() * on_cuda::layer_norm_state_bytes}, uint8, device);
}

}  // namespace

void layer_norm_forward_cuda(const Tensor& x, const LayerNormRows& rows, Tensor& y,
                             Tensor& statistics) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    using C = Compute<T>;
    T* const to = y.mutable_data<T>();
    const rows::Plan plan = rows::plan_of<T>(rows.extents, {x.data<T>(), to});
    Tensor states = states_of(plan, x.device());
    on_cuda::layer_norm_forward(gpu::current_stream(), plan, x.data<T>(),
                                normalize::data_or_null<C>(rows.weight),
                                normalize::data_or_null<C>(rows.bias), rows.eps, to,
                                normalize::mutable_pairs<normalize::Statistics>(statistics),
                                states.mutable_data<uint8_t>());
  });
}

void layer_norm_backward_cuda(const Tensor& dy, const Tensor& x, const Tensor& statistics,
                              const LayerNormRows& rows, const GradientTarget& dx) {
  Tensor buffer = dx.buffer;
  dispatch_floating(x.dtype(), [&]<class T>() {
    T* const to = buffer.mutable_data<T>();
    const rows::Plan plan = rows::plan_of<T>(rows.extents, {dy.data<T>(), x.data<T>(), to});
    Tensor states = states_of(plan, x.device());
    on_cuda::layer_norm_backward(gpu::current_stream(), plan, dy.data<T>(), x.data<T>(),
                                 normalize::SourceTensors::pairs<normalize::Statistics>(statistics),
                                 normalize::data_or_null<Compute<T>>(rows.weight),
                                 dx.mode == WriteMode::Accumulate, to,
                                 states.mutable_data<uint8_t>());
  });
}

}  // namespace warptape
