#include "kernels/transpose/transpose.h"

#include <utility>

#include "core/device/on_device.h"
#include "core/profile.h"
#include "kernels/transpose/transpose_kernels.h"

namespace warptape {

Tensor transpose(const Operand& x, int dim0, int dim1) {
  check_defined("transpose", x);
  const int first = normalized_dim(dim0, x.rank(), "transpose", x.site());
  const int second = normalized_dim(dim1, x.rank(), "transpose", x.site());
  const profile::Range range("transpose");
  Shape shape = x.shape();
  std::swap(shape[first], shape[second]);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  on_device(
      "transpose", x.device(),
      [&] { transpose_cpu(x.tensor(), first, second, y, WriteMode::Overwrite); },
      [&] { transpose_cuda(x.tensor(), first, second, y, WriteMode::Overwrite); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("transpose", {&x}, {&y}, [first, second](Backward& context) {
      if (!context.needs(0)) {
        return;
      }
      const Tensor& dy = context.grad();
      GradientTarget dx = context.into(0);
      on_device(
          "transpose", dy.device(), [&] { transpose_cpu(dy, first, second, dx.buffer, dx.mode); },
          [&] { transpose_cuda(dy, first, second, dx.buffer, dx.mode); });
    });
  }
  return y;
}

}  // namespace warptape
