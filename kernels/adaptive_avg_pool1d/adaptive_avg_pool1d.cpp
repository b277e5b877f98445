#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d.h"

#include <utility>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d_kernels.h"
#include "kernels/avg_pool2d/avg_pool.h"
#include "kernels/mean/mean.h"

namespace warptape {
namespace {

constexpr const char* name = "adaptive_avg_pool1d";
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

void backward(Backward& context, const AdaptiveWindows& windows) {
  if (!context.needs(0)) {
    return;
  }
  const Tensor& dy = context.grad();
  Tensor dx =
      Tensor::empty({dy.size(0), dy.size(1), windows.size}, dy.dtype(), dy.device(), channels_last);
  on_device(
      name, dy.device(), [&] { adaptive_avg_pool1d_backward_cpu(dy, windows, dx); },
      [&] { adaptive_avg_pool1d_backward_cuda(dy, windows, dx); });
  context.give(0, std::move(dx));
}

Tensor of_unequal_windows(const Operand& x, const AdaptiveWindows& windows) {
  const profile::Range range(name);
  const Tensor lines = primitives::relayout(x.tensor(), channels_last);
  Tensor y =
      Tensor::empty({x.size(0), x.size(1), windows.windows}, x.dtype(), x.device(), channels_last);
  on_device(
      name, x.device(), [&] { adaptive_avg_pool1d_forward_cpu(lines, windows, y); },
      [&] { adaptive_avg_pool1d_forward_cuda(lines, windows, y); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(name, {&x}, {&y}, [windows](Backward& context) { backward(context, windows); });
  }
  return y;
}

}  // namespace

Tensor adaptive_avg_pool1d(const Operand& x, int64_t output_size) {
  check_floating(name, x);
  check_rank(name, x, 3, "(N, C, L)");
  check<ValueError>(output_size >= 1, x.site(), "[{}] output_size: got {}, wanted 1 or more", name,
                    output_size);
  const int64_t length = x.size(2);
  check<ShapeError>(length >= 1, x.site(), "[{}] input length: got 0, wanted 1 or more", name);
  for (const int64_t number : {output_size, length}) {
    check<ValueError>(number <= PoolGeometry::largest, x.site(),
                      "[{}] output_size and sequence: got {}, wanted at most {}", name, number,
                      PoolGeometry::largest);
  }
  if (output_size == 1) {
    return mean(x, {2}, true);
  }
  if (length % output_size == 0) {
    const int64_t window = length / output_size;
    return avg_pool(x, make_pool_geometry_1d(name, x, window, window, 0, 1, false), true);
  }
  check_countable(name, "output", {x.size(0), x.size(1), output_size}, x.dtype(), x.site());
  return of_unequal_windows(x, {length, output_size});
}

}  // namespace warptape
