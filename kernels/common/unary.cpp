#include "kernels/common/unary.h"

#include "core/profile.h"

namespace warptape {

Tensor unary_op(const char* name, const Operand& x, const UnaryKernels& cpu_kernels) {
  check_floating(name, x);
  const profile::Range range(name);
  Tensor y = Tensor::empty_like(x.tensor());
  on_device(name, x.device(), [&] { cpu_kernels.forward(x.tensor(), y); });
  if (Tape* tape = Tape::recording({&x})) {
    Saved saved(cpu_kernels.saves == Saves::Input ? x.tensor() : y);
    tape->record(
        name, {&x}, {&y}, [saved, name, backward = cpu_kernels.backward](Backward& context) {
          if (!context.needs(0)) {
            return;
          }
          const Tensor& dy = context.grad();
          on_device(name, dy.device(), [&] { backward(dy, saved.get(), context.into(0)); });
        });
  }
  return y;
}

}  // namespace warptape
