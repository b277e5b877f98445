#include "kernels/softmax/softmax.h"

#include "core/device/on_device.h"
#include "core/profile.h"
#include "kernels/softmax/softmax_kernels.h"

namespace warptape {

Tensor softmax(const Operand& x, int dim) {
  check_floating("softmax", x);
  // A scalar has one row of one element.
  const int d = x.rank() == 0 && (dim == 0 || dim == -1)
                    ? 0
                    : normalized_dim(dim, x.rank(), "softmax", x.site());
  const profile::Range range("softmax");
  Tensor y = Tensor::empty_like(x.tensor());
  on_device(
      "softmax", x.device(), [&] { softmax_forward_cpu(x.tensor(), d, y); },
      [&] { softmax_forward_cuda(x.tensor(), d, y); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("softmax", {&x}, {&y}, [saved = Saved(y), d](Backward& context) {
      if (!context.needs(0)) {
        return;
      }
      const Tensor& dy = context.grad();
      on_device(
          "softmax", dy.device(),
          [&] { softmax_backward_cpu(dy, saved.get(), d, context.into(0)); },
          [&] { softmax_backward_cuda(dy, saved.get(), d, context.into(0)); });
    });
  }
  return y;
}

}  // namespace warptape
