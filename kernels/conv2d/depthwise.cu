#include "kernels/conv2d/depthwise.cuh"

#include "core/device/launch.h"
#include "core/element_types.h"

namespace warptape::on_cuda {
namespace {

using namespace depthwise;

LaunchConfig config(gpu::StreamHandle stream, int64_t blocks) {
  return {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "conv2d_depthwise"};
}

}  // namespace

template <class T>
void depthwise_forward(gpu::StreamHandle stream, const DepthwisePlan& plan,
                       const DepthwiseGeometry& g, const T* x, const T* filters,
                       const Compute<T>* bias, T* y) {
  const auto kernel = plan.pack == 1 ? forward_kernel<1, T> : forward_kernel<simt::pack_size<T>, T>;
  launch(kernel, config(stream, plan.blocks), g, x, filters, bias, y);
}

template <class T>
void depthwise_data_grad(gpu::StreamHandle stream, const DepthwisePlan& plan,
                         const DepthwiseGeometry& g, const T* dy, const T* filters,
                         const Compute<T>* bias, T* dx) {
  const auto kernel =
      plan.pack == 1 ? data_grad_kernel<1, T> : data_grad_kernel<simt::pack_size<T>, T>;
  launch(kernel, config(stream, plan.blocks), g, dy, filters, bias, dx);
}

template <class T>
void depthwise_weight_grad(gpu::StreamHandle stream, const DepthwisePlan& plan,
                           const DepthwiseGeometry& g, const T* dy, const T* x,
                           Compute<T>* partials, Compute<T>* dfilters) {
  const auto kernel =
      plan.pack == 1 ? weight_grad_kernel<1, T> : weight_grad_kernel<simt::pack_size<T>, T>;
  LaunchConfig own = config(stream, plan.blocks / plan.chunks);
  own.grid.y = static_cast<unsigned>(plan.chunks);
  launch(kernel, own, g, plan.lanes, DepthwisePlan::chunk_pixels, dy, x, partials);
  launch(finish_weight_grad_kernel<Compute<T>>, config(stream, plan.finish.blocks),
         g.out_channels(), g.taps(), plan.chunks, plan.finish.sharers, partials, dfilters);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                       \
  template void depthwise_forward(gpu::StreamHandle, const DepthwisePlan&,                         \
                                  const DepthwiseGeometry&, const T*, const T*, const Compute<T>*, \
                                  T*);                                                             \
  template void depthwise_data_grad(gpu::StreamHandle, const DepthwisePlan&,                       \
                                    const DepthwiseGeometry&, const T*, const T*,                  \
                                    const Compute<T>*, T*);                                        \
  template void depthwise_weight_grad(gpu::StreamHandle, const DepthwisePlan&,                     \
                                      const DepthwiseGeometry&, const T*, const T*, Compute<T>*,   \
                                      Compute<T>*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
