#include "kernels/pointwise/unary.h"

#include "core/profile.h"

namespace warptape {

Tensor unary_op(const char* name, const Operand& x, Saves saves, const UnaryKernels& kernels) {
  check_floating(name, x);
  const profile::Range range(name);
  Tensor y = Tensor::empty_like(x.tensor());
  kernels.forward(name, x.tensor(), y);
  if (Tape* tape = Tape::recording({&x})) {
    Saved saved(saves == Saves::Input ? x.tensor() : y);
    tape->record(name, {&x}, {&y}, [saved, name, backward = kernels.backward](Backward& context) {
      if (context.needs(0)) {
        backward(name, context.grad(), saved.get(), context.into(0));
      }
    });
  }
  return y;
}

}  // namespace warptape
