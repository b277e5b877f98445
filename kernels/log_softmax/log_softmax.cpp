#include "kernels/log_softmax/log_softmax.h"

#include "core/profile.h"
#include "core/tape.h"

namespace warptape {

void log_softmax_forward_cpu(const Tensor& x, int dim, Tensor& y);
void log_softmax_backward_cpu(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx);

Tensor log_softmax(const Operand& x, int dim) {
  check_floating("log_softmax", x);
  // A scalar has one row of one element.
  const int d = x.rank() == 0 && (dim == 0 || dim == -1)
                    ? 0
                    : normalized_dim(dim, x.rank(), "log_softmax", x.site());
  const profile::Range range("log_softmax");
  Tensor y = Tensor::empty_like(x.tensor());
  on_device("log_softmax", x.device(), [&] { log_softmax_forward_cpu(x.tensor(), d, y); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("log_softmax", {&x}, {&y}, [saved = Saved(y), d](Backward& context) {
      if (!context.needs(0)) {
        return;
      }
      const Tensor& dy = context.grad();
      on_device("log_softmax", dy.device(),
                [&] { log_softmax_backward_cpu(dy, saved.get(), d, context.into(0)); });
    });
  }
  return y;
}

}  // namespace warptape
