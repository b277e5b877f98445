#include "kernels/log_softmax/log_softmax.h"

#include "core/device/on_device.h"
#include "core/profile.h"
#include "kernels/log_softmax/log_softmax_kernels.h"

namespace warptape {

Tensor log_softmax(const Operand& x, int dim) {
  check_floating("log_softmax", x);
  // A scalar has one row of one element.
  const int d = x.rank() == 0 && (dim == 0 || dim == -1)
                    ? 0
                    : normalized_dim(dim, x.rank(), "log_softmax", x.site());
  const profile::Range range("log_softmax");
  Tensor y = Tensor::empty_like(x.tensor());
  on_device(
      "log_softmax", x.device(), [&] { log_softmax_forward_cpu(x.tensor(), d, y); },
      [&] { log_softmax_forward_cuda(x.tensor(), d, y); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("log_softmax", {&x}, {&y}, [saved = Saved(y), d](Backward& context) {
      if (!context.needs(0)) {
        return;
      }
      const Tensor& dy = context.grad();
      on_device(
          "log_softmax", dy.device(),
          [&] { log_softmax_backward_cpu(dy, saved.get(), d, context.into(0)); },
          [&] { log_softmax_backward_cuda(dy, saved.get(), d, context.into(0)); });
    });
  }
  return y;
}

}  // namespace warptape
