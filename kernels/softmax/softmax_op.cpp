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
    tape->record(
        name, {&x}, {&y},
        [saved = Saved(y), name, d, kernels](Backward& context) {
          if (!context.needs(0)) {
            return;
          }
          if (context.creates_graph()) {
            const Tensor result = context.output(0, saved.get());
            const std::vector<int> dims(result.rank() == 0 ? 0 : 1, d);
            context.give(0, kernels.recorded(context.grad(), result, dims));
          } else {
            kernels.backward(name, context.grad(), saved.get(), d, context.into(0));
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
