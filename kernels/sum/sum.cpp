#include "kernels/sum/sum.h"

#include "core/device/on_device.h"
#include "core/profile_work.h"
#include "kernels/sum/sum_kernels.h"

namespace warptape {

Tensor scaled_sum(const char* name, const Operand& x, const ReductionDims& dims, double scale) {
  const profile::Range range(name);
  Tensor y = Tensor::empty(dims.kept, x.dtype(), x.device());
  profile::note([&] { return profile::moved({&x.tensor()}, {&y}); });
  on_device(
      name, x.device(), [&] { sum_forward_cpu(x.tensor(), dims, scale, y); },
      [&] { sum_forward_cuda(name, x.tensor(), dims, scale, y); });
  y = y.view(dims.output);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(name, {&x}, {&y}, [dims, scale, name](Backward& context) {
      if (!context.needs(0)) {
        return;
      }
      const Tensor dy = context.grad().view(dims.kept);
      const GradientTarget dx = context.into(0);
      profile::note([&] { return profile::moved({&dy}, dx); });
      on_device(
          name, dy.device(), [&] { sum_backward_cpu(dy, dims, scale, dx); },
          [&] { sum_backward_cuda(name, dy, dims, scale, dx); });
    });
  }
  return y;
}

Tensor sum(const Operand& x, const std::vector<int>& dims, bool keepdim) {
  check_floating("sum", x);
  return scaled_sum("sum", x, reduction_dims("sum", x, dims, keepdim), 1);
}

}  // namespace warptape
