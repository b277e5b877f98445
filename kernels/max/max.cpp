#include "kernels/max/max.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/profile.h"
#include "kernels/max/max_kernels.h"
#include "kernels/pointwise/pointwise.h"

namespace warptape {
namespace {

void backward(const Tensor& dy, const Tensor& x, const Tensor& y, const ReductionDims& reduction,
              const GradientTarget& dx) {
  on_device(
      "max", dy.device(), [&] { max_backward_cpu(dy, x, y, reduction, dx); },
      [&] { max_backward_cuda(dy, x, y, reduction, dx); });
}

}  // namespace

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
    tape->record(
        "max", {&x}, {&result},
        [saved_x = Saved(x.tensor()), saved_y = Saved(y), reduction](Backward& context) {
          if (!context.needs(0)) {
            return;
          }
          const Tensor dy = context.grad().view(reduction.kept);
          const Tensor& x_then = saved_x.get();
          const Tensor& y_then = saved_y.get();
          if (context.creates_graph()) {  // each element's share of dy is a constant
            const Tensor share = Tensor::empty_like(x_then);
            const Tensor one = Tensor::ones(dy.shape(), dy.dtype(), dy.device());
            backward(one, x_then, y_then, reduction, {share, WriteMode::Overwrite});
            context.give(0, share * dy);
          } else {
            backward(dy, x_then, y_then, reduction, context.into(0));
          }
        },
        Differentiable::Twice);
  }
  return result;
}

}  // namespace warptape
