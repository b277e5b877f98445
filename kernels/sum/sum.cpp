#include "kernels/sum/sum.h"

#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/profile_work.h"
#include "kernels/sum/sum_kernels.h"

namespace warptape {

namespace {

Tensor forward(const char* name, const Tensor& x, const ReductionDims& dims, double scale) {
  Tensor y = Tensor::empty(dims.kept, x.dtype(), x.device());
  on_device(
      name, x.device(), [&] { sum_forward_cpu(x, dims, scale, y); },
      [&] { sum_forward_cuda(name, x, dims, scale, y); });
  return y.view(dims.output);
}

void backward(const char* name, const Tensor& dy, const ReductionDims& dims, double scale,
              const GradientTarget& dx) {
  on_device(
      name, dy.device(), [&] { sum_backward_cpu(dy, dims, scale, dx); },
      [&] { sum_backward_cuda(name, dy, dims, scale, dx); });
}

LinearMap as_map(const char* name, const ReductionDims& dims, double scale, const Shape& shape,
                 MemoryFormat format) {
  return {name, [=](const Tensor& x) { return forward(name, x, dims, scale); },
          [=](const Tensor& dy) {
            const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device(), format);
            backward(name, dy.view(dims.kept), dims, scale, {dx, WriteMode::Overwrite});
            return dx;
          }};
}

}  // namespace

Tensor scaled_sum(const char* name, const Operand& x, const ReductionDims& dims, double scale) {
  const profile::Range range(name);
  Tensor y = forward(name, x.tensor(), dims, scale);
  profile::note([&] { return profile::moved({&x.tensor()}, {&y}); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        name, {&x}, {&y},
        [dims, scale, name, shape = x.shape(), format = x.memory_format()](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(context, as_map(name, dims, scale, shape, format));
          } else if (context.needs(0)) {
            const Tensor dy = context.grad().view(dims.kept);
            const GradientTarget dx = context.into(0);
            profile::note([&] { return profile::moved({&dy}, dx); });
            backward(name, dy, dims, scale, dx);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

Tensor sum(const Operand& x, const std::vector<int>& dims, bool keepdim) {
  check_floating("sum", x);
  return scaled_sum("sum", x, reduction_dims("sum", x, dims, keepdim), 1);
}

}  // namespace warptape
