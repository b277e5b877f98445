#include "kernels/common/binary.h"

#include "core/profile.h"

namespace warptape {

Tensor binary_op(const char* name, const Operand& a, const Operand& b,
                 const BinaryKernels& cpu_kernels) {
  check_floating(name, a);
  check_same_kind(name, a, b);
  const profile::Range range(name);
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), name, a.site());
  const MemoryFormat format = a.rank() >= b.rank() ? a.memory_format() : b.memory_format();
  Tensor y = Tensor::empty(shape, a.dtype(), a.device(), format);
  on_device(name, a.device(), [&] { cpu_kernels.forward(a.tensor(), b.tensor(), y); });
  if (Tape* tape = Tape::recording({&a, &b})) {
    const bool saves = cpu_kernels.saves_inputs;
    tape->record(name, {&a, &b}, {&y},
                 [saved_a = saves ? Saved(a.tensor()) : Saved(),
                  saved_b = saves ? Saved(b.tensor()) : Saved(), name,
                  backward = cpu_kernels.backward](Backward& context) {
                   const Tensor& dy = context.grad();
                   on_device(name, dy.device(), [&] {
                     if (context.needs(0)) {
                       backward(Side::A, dy, saved_a.get(), saved_b.get(), context.into(0));
                     }
                     if (context.needs(1)) {
                       backward(Side::B, dy, saved_a.get(), saved_b.get(), context.into(1));
                     }
                   });
                 });
  }
  return y;
}

}  // namespace warptape
