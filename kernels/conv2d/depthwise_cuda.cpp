#include "kernels/conv2d/depthwise_cuda.h"

#include "core/primitives_cuda.h"
#include "core/strided.h"
#include "kernels/conv2d/depthwise.h"
#include "kernels/matrix/plan_listener.h"
#include "kernels/matrix/run_product.h"

namespace warptape {
namespace {

on_cuda::DepthwiseGeometry depthwise_geometry(const ConvGeometry& g) {
  const auto n = [&](int64_t size) { return matrix::index_of(g.op, size); };
  const WindowAxis& y = g.vertical();
  const WindowAxis& x = g.horizontal();
  return {n(g.batch),           n(y.size),     n(x.size),
          n(g.in_channels),     n(y.out),      n(x.out),
          n(g.out_per_group()), n(y.kernel),   n(x.kernel),
          n(y.stride),          n(x.stride),   n(y.padding_before),
          n(x.padding_before),  n(y.dilation), n(x.dilation)};
}

// Filters (O, 1, kH, kW) as (kH, kW, O), so that neighbouring channels are neighbours.
template <class T>
Tensor channels_innermost(const Tensor& weight, const ConvGeometry& g) {
  const int64_t taps = g.taps();
  const Shape shape{taps, g.out_channels};
  Tensor filters = Tensor::empty(shape, weight.dtype(), weight.device());
  const auto loop =
      make_strided_loop<2>(shape, MemoryFormat::RowMajor, {filters.strides(), Strides{1, taps}});
  primitives::on_cuda::copy(gpu::current_stream(), loop, filters.mutable_data<T>(),
                            weight.data<T>());
  return filters;
}

bool is_skipped(const char* op, const on_cuda::DepthwisePlan& plan) {
  return tell_plan(op, [&] { return to_string(plan); });
}

}  // namespace

bool is_depthwise(const ConvGeometry& g) {
  return g.groups > 1 && g.in_per_group() == 1 && !g.empty();
}

void depthwise_forward_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            const ConvGeometry& geometry, Tensor& y) {
  const on_cuda::DepthwiseGeometry g = depthwise_geometry(geometry);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const Tensor filters = channels_innermost<T>(weight, geometry);
    const Compute<T>* bias_data = bias.defined() ? bias.data<Compute<T>>() : nullptr;
    T* to = y.mutable_data<T>();
    const auto plan =
        on_cuda::plan_depthwise_forward<T>(g, x.data<T>(), filters.data<T>(), bias_data, to);
    if (!is_skipped(geometry.op, plan)) {
      on_cuda::depthwise_forward(gpu::current_stream(), plan, g, x.data<T>(), filters.data<T>(),
                                 bias_data, to);
    }
  });
}

void depthwise_data_grad_cuda(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                              const ConvGeometry& geometry, Tensor& dx) {
  const on_cuda::DepthwiseGeometry g = depthwise_geometry(geometry);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const Tensor filters = channels_innermost<T>(weight, geometry);
    const Compute<T>* bias_data = bias.defined() ? bias.data<Compute<T>>() : nullptr;
    T* to = dx.mutable_data<T>();
    const auto plan =
        on_cuda::plan_depthwise_data_grad<T>(g, dy.data<T>(), filters.data<T>(), bias_data, to);
    if (!is_skipped(geometry.op, plan)) {
      on_cuda::depthwise_data_grad(gpu::current_stream(), plan, g, dy.data<T>(), filters.data<T>(),
                                   bias_data, to);
    }
  });
}

void depthwise_weight_grad_cuda(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                                Tensor& dweight) {
  const on_cuda::DepthwiseGeometry g = depthwise_geometry(geometry);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const auto plan = on_cuda::plan_depthwise_weight_grad<T>(g, dy.data<T>(), x.data<T>());
    if (!is_skipped(geometry.op, plan)) {
      Tensor partials = Tensor::empty({plan.chunks, dweight.numel()}, dweight.dtype(), dy.device());
      on_cuda::depthwise_weight_grad(gpu::current_stream(), plan, g, dy.data<T>(), x.data<T>(),
                                     partials.mutable_data<Compute<T>>(),
                                     dweight.mutable_data<Compute<T>>());
    }
  });
}

}  // namespace warptape
