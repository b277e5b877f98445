#include "kernels/pointwise/unary.h"

#include "core/profile.h"

namespace warptape {

Tensor unary_op(const char* name, const Operand& x, const UnaryKernels& kernels) {
  check_floating(name, x);
  const profile::Range range(name);
  Tensor y = Tensor::empty_like(x.tensor());
  kernels.forward(name, x.tensor(), y);
  if (Tape* tape = Tape::recording({&x})) {
    const Tensor nothing;
    const Saved saved(kernels.saves == Saves::Input    ? x.tensor()
                      : kernels.saves == Saves::Output ? y
                                                       : nothing);
    tape->record(name, {&x}, {&y}, [saved, name, backward = kernels.backward](Backward& context) {
      if (context.needs(0)) {
        const Tensor& dy = context.grad();
        backward(name, dy, saved.defined() ? saved.get() : dy, context.into(0));
      }
    });
  }
  return y;
}

}  // namespace warptape
