#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d.h"

#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d_kernels.h"
#include "kernels/avg_pool2d/avg_pool.h"
#include "kernels/mean/mean.h"
#include "kernels/pool/adaptive_geometry.h"

namespace warptape {
namespace {

constexpr const char* name = "adaptive_avg_pool1d";
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

Tensor pooled(const Tensor& x, const AdaptiveWindows& windows) {
  const Tensor lines = primitives::relayout(x, channels_last);
  Tensor y =
      Tensor::empty({x.size(0), x.size(1), windows.windows}, x.dtype(), x.device(), channels_last);
  on_device(
      name, x.device(), [&] { adaptive_avg_pool1d_forward_cpu(lines, windows, y); },
      [&] { adaptive_avg_pool1d_forward_cuda(lines, windows, y); });
  return y;
}

// The gradient of the lines.
Tensor spread(const Tensor& dy, const AdaptiveWindows& windows) {
  Tensor dx =
      Tensor::empty({dy.size(0), dy.size(1), windows.size}, dy.dtype(), dy.device(), channels_last);
  on_device(
      name, dy.device(), [&] { adaptive_avg_pool1d_backward_cpu(dy, windows, dx); },
      [&] { adaptive_avg_pool1d_backward_cuda(dy, windows, dx); });
  return dx;
}

Tensor of_unequal_windows(const Operand& x, const AdaptiveWindows& windows) {
  const profile::Range range(name);
  Tensor y = pooled(x.tensor().detach(), windows);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        name, {&x}, {&y},
        [windows](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(
                context, {name, [windows](const Tensor& lines) { return pooled(lines, windows); },
                          [windows](const Tensor& dy) { return spread(dy, windows); }});
          } else if (context.needs(0)) {
            context.give(0, spread(context.grad(), windows));
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace

Tensor adaptive_avg_pool1d(const Operand& x, int64_t output_size) {
  const AdaptiveWindows windows = adaptive_windows(name, x, output_size);
  if (output_size == 1) {
    return mean(x, {2}, true);
  }
  if (windows.are_equal()) {
    const int64_t window = windows.size / output_size;
    return avg_pool(x, make_pool_geometry_1d(name, x, window, window, 0, 1, false), true);
  }
  return of_unequal_windows(x, windows);
}

}  // namespace warptape
