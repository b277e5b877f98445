#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d.h"

#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d_kernels.h"
#include "kernels/gather/gather.h"
#include "kernels/max_pool2d/max_pool.h"
#include "kernels/pool/adaptive_geometry.h"

namespace warptape {
namespace {

constexpr const char* name = "adaptive_max_pool1d";
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

// The gradient of the lines.
Tensor spread(const Tensor& dy, const AdaptiveWindows& windows, const Tensor& indices) {
  Tensor dx =
      Tensor::empty({dy.size(0), dy.size(1), windows.size}, dy.dtype(), dy.device(), channels_last);
  on_device(
      name, dy.device(), [&] { adaptive_max_pool1d_backward_cpu(dy, indices, windows, dx); },
      [&] { adaptive_max_pool1d_backward_cuda(dy, indices, windows, dx); });
  return dx;
}

Tensor of_unequal_windows(const Operand& x, const AdaptiveWindows& windows) {
  const profile::Range range(name);
  const Tensor lines = primitives::relayout(x.tensor(), channels_last);
  const Shape shape{x.size(0), x.size(1), windows.windows};
  Tensor y = Tensor::empty(shape, x.dtype(), x.device(), channels_last);
  Tensor indices = Tensor::empty(shape, int64, x.device(), channels_last);
  on_device(
      name, x.device(), [&] { adaptive_max_pool1d_forward_cpu(lines, windows, y, indices); },
      [&] { adaptive_max_pool1d_forward_cuda(lines, windows, y, indices); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        name, {&x}, {&y},
        [windows, saved = Saved(indices)](Backward& context) {
          const Tensor& places = saved.get();
          if (context.creates_graph()) {  // what was taken are elements of x
            give_transposed(
                context, {name, [places](const Tensor& image) { return gather(image, 2, places); },
                          [=](const Tensor& dy) { return spread(dy, windows, places); }});
          } else if (context.needs(0)) {
            context.give(0, spread(context.grad(), windows, places));
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace

Tensor adaptive_max_pool1d(const Operand& x, int64_t output_size) {
  const AdaptiveWindows windows = adaptive_windows(name, x, output_size);
  if (windows.are_equal()) {
    const int64_t window = windows.size / output_size;
    return max_pool(x, make_pool_geometry_1d(name, x, window, window, 0, 1, false),
                    Activation::None);
  }
  return of_unequal_windows(x, windows);
}

}  // namespace warptape
