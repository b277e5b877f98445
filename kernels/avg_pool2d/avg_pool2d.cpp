#include "kernels/avg_pool2d/avg_pool2d.h"

#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/avg_pool2d/avg_pool.h"
#include "kernels/avg_pool2d/avg_pool2d_kernels.h"
#include "kernels/geometry/give_viewed.h"

namespace warptape {

namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

Tensor pooled(const Tensor& x, const PoolGeometry& geometry, bool include_pad) {
  const Tensor pixels = primitives::relayout(x.view(pool_image(geometry)), channels_last);
  Tensor image = Tensor::empty(pooled_image(geometry), x.dtype(), x.device(), channels_last);
  on_device(
      geometry.op, x.device(),
      [&] { avg_pool2d_forward_cpu(pixels, geometry, include_pad, image); },
      [&] { avg_pool2d_forward_cuda(pixels, geometry, include_pad, image); });
  return image.view(pooled_shape(geometry));
}

// The gradient of an image, in the shape that kernels see.
Tensor spread(const Tensor& of_y, const PoolGeometry& geometry, bool include_pad) {
  const Tensor dy = of_y.view(pooled_image(geometry));
  Tensor dx = Tensor::empty(pool_image(geometry), dy.dtype(), dy.device(), channels_last);
  on_device(
      geometry.op, dy.device(), [&] { avg_pool2d_backward_cpu(dy, geometry, include_pad, dx); },
      [&] { avg_pool2d_backward_cuda(dy, geometry, include_pad, dx); });
  return dx;
}

void backward(Backward& context, const PoolGeometry& geometry, bool include_pad) {
  if (!context.needs(0)) {
    return;
  }
  Tensor dx = spread(context.grad(), geometry, include_pad);
  give_viewed(context, 0, dx, pool_shape(geometry));
}

}  // namespace

Tensor avg_pool(const Operand& x, const PoolGeometry& geometry, bool include_pad) {
  const profile::Range range(geometry.op);
  Tensor y = pooled(x.tensor().detach(), geometry, include_pad);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        geometry.op, {&x}, {&y},
        [geometry, include_pad](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(
                context, {geometry.op,
                          [=](const Tensor& image) { return pooled(image, geometry, include_pad); },
                          [=](const Tensor& dy) {
                            return spread(dy, geometry, include_pad).view(pool_shape(geometry));
                          }});
          } else {
            backward(context, geometry, include_pad);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

Tensor avg_pool2d(const Operand& x, AvgPool2dOptions options) {
  return avg_pool(x,
                  make_pool_geometry("avg_pool2d", x, options.kernel_size, options.stride,
                                     options.padding, 1, options.ceil_mode),
                  options.count_include_pad);
}

}  // namespace warptape
