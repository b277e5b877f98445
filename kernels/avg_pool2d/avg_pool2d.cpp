#include "kernels/avg_pool2d/avg_pool2d.h"

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/avg_pool2d/avg_pool.h"
#include "kernels/avg_pool2d/avg_pool2d_kernels.h"
#include "kernels/geometry/give_viewed.h"

namespace warptape {

namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

void backward(Backward& context, const PoolGeometry& geometry, bool include_pad) {
  if (!context.needs(0)) {
    return;
  }
  const Tensor dy = context.grad().view(pooled_image(geometry));
  Tensor dx = Tensor::empty(pool_image(geometry), dy.dtype(), dy.device(), channels_last);
  on_device(
      geometry.op, dy.device(), [&] { avg_pool2d_backward_cpu(dy, geometry, include_pad, dx); },
      [&] { avg_pool2d_backward_cuda(dy, geometry, include_pad, dx); });
  give_viewed(context, 0, dx, pool_shape(geometry));
}

}  // namespace

Tensor avg_pool(const Operand& x, const PoolGeometry& geometry, bool include_pad) {
  const profile::Range range(geometry.op);
  const Tensor pixels =
      primitives::relayout(x.tensor().detach().view(pool_image(geometry)), channels_last);
  Tensor image = Tensor::empty(pooled_image(geometry), x.dtype(), x.device(), channels_last);
  on_device(
      geometry.op, x.device(),
      [&] { avg_pool2d_forward_cpu(pixels, geometry, include_pad, image); },
      [&] { avg_pool2d_forward_cuda(pixels, geometry, include_pad, image); });
  Tensor y = image.view(pooled_shape(geometry));
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(geometry.op, {&x}, {&y}, [geometry, include_pad](Backward& context) {
      backward(context, geometry, include_pad);
    });
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
