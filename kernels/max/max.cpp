#include "kernels/max/max.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/profile.h"
#include "kernels/max/max_kernels.h"

namespace warptape {

Tensor max(const Operand& x, const std::vector<int>& dims, bool keepdim) {
  check_floating("max", x);
  const ReductionDims reduction = reduction_dims("max", x, dims, keepdim);
  check<ShapeError>(reduction.count > 0, x.site(), "[max] got shape {}: no element to take",
                    x.shape());
  const profile::Range range("max");
  Tensor y = Tensor::empty(reduction.kept, x.dtype(), x.device());
  on_device(
      "max", x.device(), [&] { max_forward_cpu(x.tensor(), reduction, y); },
      [&] { max_forward_cuda(x.tensor(), reduction, y); });
  Tensor result = y.view(reduction.output);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("max", {&x}, {&result},
                 [saved_x = Saved(x.tensor()), saved_y = Saved(y), reduction](Backward& context) {
                   if (!context.needs(0)) {
                     return;
                   }
                   const Tensor dy = context.grad().view(reduction.kept);
                   const Tensor& x_then = saved_x.get();
                   const Tensor& y_then = saved_y.get();
                   on_device(
                       "max", dy.device(),
                       [&] { max_backward_cpu(dy, x_then, y_then, reduction, context.into(0)); },
                       [&] { max_backward_cuda(dy, x_then, y_then, reduction, context.into(0)); });
                 });
  }
  return result;
}

}  // namespace warptape
