#include "kernels/max/max.h"

#include "core/profile.h"
#include "core/tape.h"
#include "kernels/common/dims.h"

namespace warptape {

// y has dims.kept as shape and is row-major.
void max_forward_cpu(const Tensor& x, const ReductionDims& dims, Tensor& y);
// dx = dy / (number of elements equal to y) where x equals y, else 0.
void max_backward_cpu(const Tensor& dy, const Tensor& x, const Tensor& y, const ReductionDims& dims,
                      GradientTarget dx);

Tensor max(const Operand& x, const std::vector<int>& dims, bool keepdim) {
  check_floating("max", x);
  const ReductionDims reduction = reduction_dims("max", x, dims, keepdim);
  check<ShapeError>(reduction.count > 0, x.site(), "[max] got shape {}: no element to take",
                    x.shape());
  const profile::Range range("max");
  const Tensor y = Tensor::empty(reduction.kept, x.dtype(), x.device());
  Tensor result = y.view(reduction.output);
  on_device("max", x.device(),
            [&, kept = y]() mutable { max_forward_cpu(x.tensor(), reduction, kept); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("max", {&x}, {&result},
                 [saved_x = Saved(x.tensor()), saved_y = Saved(y), reduction](Backward& context) {
                   if (!context.needs(0)) {
                     return;
                   }
                   const Tensor dy = context.grad().view(reduction.kept);
                   on_device("max", dy.device(), [&] {
                     max_backward_cpu(dy, saved_x.get(), saved_y.get(), reduction, context.into(0));
                   });
                 });
  }
  return result;
}

}  // namespace warptape
