#include "kernels/max_pool2d/max_pool2d.h"

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/max_pool2d/max_pool2d_kernels.h"

namespace warptape {

DType pool_index_dtype(const PoolGeometry& geometry) {
  return geometry.kernel.height * geometry.kernel.width < 256 ? uint8 : int64;
}

Tensor max_pool2d_op(const char* name, const Operand& x, const MaxPool2dOptions& options,
                     bool with_relu) {
  const PoolGeometry geometry =
      make_pool_geometry(name, x, options.kernel_size, options.stride, options.padding,
                         options.dilation, options.ceil_mode);
  const profile::Range range(name);
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const Tensor pixels = primitives::relayout(x.tensor(), channels_last);
  const Shape shape{geometry.batch, geometry.channels, geometry.out_height, geometry.out_width};
  Tensor y = Tensor::empty(shape, x.dtype(), x.device(), channels_last);
  Tape* tape = Tape::recording({&x});
  Tensor indices;
  if (tape != nullptr) {
    indices = Tensor::empty(shape, pool_index_dtype(geometry), x.device(), channels_last);
  }
  on_device(
      name, x.device(), [&] { max_pool2d_forward_cpu(pixels, geometry, with_relu, y, indices); },
      [&] { max_pool2d_forward_cuda(pixels, geometry, with_relu, y, indices); });
  if (tape != nullptr) {
    tape->record(name, {&x}, {&y}, [saved = Saved(indices), geometry, name](Backward& context) {
      if (!context.needs(0)) {
        return;
      }
      const Tensor& dy = context.grad();
      Tensor dx =
          Tensor::empty({geometry.batch, geometry.channels, geometry.height, geometry.width},
                        dy.dtype(), dy.device(), MemoryFormat::ChannelsLast);
      on_device(
          name, dy.device(), [&] { max_pool2d_backward_cpu(dy, saved.get(), geometry, dx); },
          [&] { max_pool2d_backward_cuda(dy, saved.get(), geometry, dx); });
      context.give(0, std::move(dx));
    });
  }
  return y;
}

Tensor max_pool2d(const Operand& x, MaxPool2dOptions options) {
  return max_pool2d_op("max_pool2d", x, options, false);
}

}  // namespace warptape
