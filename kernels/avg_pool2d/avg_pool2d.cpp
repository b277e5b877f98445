#include "kernels/avg_pool2d/avg_pool2d.h"

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/avg_pool2d/avg_pool2d_kernels.h"

namespace warptape {

Tensor avg_pool2d(const Operand& x, AvgPool2dOptions options) {
  const PoolGeometry geometry = make_pool_geometry(
      "avg_pool2d", x, options.kernel_size, options.stride, options.padding, 1, options.ceil_mode);
  const profile::Range range("avg_pool2d");
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const bool include_pad = options.count_include_pad;
  const Tensor pixels = primitives::relayout(x.tensor(), channels_last);
  Tensor y =
      Tensor::empty({geometry.batch, geometry.channels, geometry.out_height, geometry.out_width},
                    x.dtype(), x.device(), channels_last);
  on_device(
      "avg_pool2d", x.device(), [&] { avg_pool2d_forward_cpu(pixels, geometry, include_pad, y); },
      [&] { avg_pool2d_forward_cuda(pixels, geometry, include_pad, y); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("avg_pool2d", {&x}, {&y}, [geometry, include_pad](Backward& context) {
      if (!context.needs(0)) {
        return;
      }
      const Tensor& dy = context.grad();
      Tensor dx =
          Tensor::empty({geometry.batch, geometry.channels, geometry.height, geometry.width},
                        dy.dtype(), dy.device(), channels_last);
      on_device(
          "avg_pool2d", dy.device(),
          [&] { avg_pool2d_backward_cpu(dy, geometry, include_pad, dx); },
          [&] { avg_pool2d_backward_cuda(dy, geometry, include_pad, dx); });
      context.give(0, std::move(dx));
    });
  }
  return y;
}

}  // namespace warptape
