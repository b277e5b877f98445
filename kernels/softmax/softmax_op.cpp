#include "kernels/softmax/softmax_op.h"

#include "core/profile.h"

namespace warptape {

Tensor softmax_op(const char* name, const Operand& x, int dim, const SoftmaxKernels& kernels) {
  check_floating(name, x);
  // A scalar has one row of one element.
  const int d =
      x.rank() == 0 && (dim == 0 || dim == -1) ? 0 : normalized_dim(dim, x.rank(), name, x.site());
  const profile::Range range(name);
  Tensor y = Tensor::empty_like(x.tensor());
  kernels.forward(name, x.tensor(), d, y);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(name, {&x}, {&y},
                 [saved = Saved(y), name, d, backward = kernels.backward](Backward& context) {
                   if (context.needs(0)) {
                     backward(name, context.grad(), saved.get(), d, context.into(0));
                   }
                 });
  }
  return y;
}

}  // namespace warptape
