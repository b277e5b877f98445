#include "kernels/linear/linear.h"

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "core/widened.h"
#include "kernels/linear/linear_kernels.h"

namespace warptape {
namespace {

void backward_cpu(Backward& context, const Tensor& dy, const Tensor& x) {
  const DType dtype = compute_dtype(dy.dtype());
  if (context.needs(1)) {
    linear_weight_grad_cpu(dy, x, context.into(1, dtype));
  }
  if (context.needs(2)) {
    linear_bias_grad_cpu(dy, context.into(2, dtype));
  }
}

void backward(Backward& context, const Tensor& x, const Tensor& weight) {
  const Tensor& dy = context.grad();
  if (context.needs(0)) {
    // Row-major like the saved rows; give() brings it into x's format.
    Tensor dx = Tensor::empty_like(x);
    on_device(
        "linear", dy.device(), [&] { linear_data_grad_cpu(dy, weight, dx); },
        [&] { linear_data_grad_cuda("linear", dy, weight, dx); });
    context.give(0, std::move(dx));
  }
  on_device(
      "linear", dy.device(), [&] { backward_cpu(context, dy, x); },
      [&] { linear_parameter_grads_cuda("linear", context, 1, 2, dy, x); });
}

}  // namespace

void check_linear(const char* name, const Operand& x, const Shape& inputs, const Operand& weight,
                  const Operand& bias) {
  check_floating(name, x);
  check_same_kind(name, x, weight);
  const Site& site = x.site();
  check<ShapeError>(weight.rank() == 2, site,
                    "[{}] weight: got shape {}, wanted (out_features, in_features)", name,
                    weight.shape());
  check<ShapeError>(inputs.rank() >= 1 && inputs[-1] == weight.size(1), site,
                    "[{}] input features: got shape {}, wanted (..., {}) for weight {}", name,
                    inputs, weight.size(1), weight.shape());
  if (bias.defined()) {
    check_bias_kind(name, x, bias);
    check<ShapeError>(bias.shape() == Shape{weight.size(0)}, site,
                      "[{}] bias: got shape {}, wanted ({},)", name, bias.shape(), weight.size(0));
  }
}

Tensor linear(const Operand& x, const Operand& weight, const Operand& bias) {
  check_linear("linear", x, x.shape(), weight, bias);
  const profile::Range range("linear");
  const Tensor rows = primitives::relayout(x.tensor(), MemoryFormat::RowMajor);
  Shape shape = x.shape();
  shape[-1] = weight.size(0);
  check_countable("linear", "output", shape, x.dtype(), x.site());
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  const Tensor wide_bias = widened(bias.tensor());
  on_device(
      "linear", x.device(), [&] { linear_forward_cpu(rows, weight.tensor(), wide_bias, y); },
      [&] { linear_forward_cuda("linear", rows, weight.tensor(), wide_bias, y); });
  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    tape->record("linear", {&x, &weight, &bias}, {&y},
                 [saved_x = Saved(rows), saved_weight = Saved(weight.tensor())](Backward& context) {
                   backward(context, saved_x.get(), saved_weight.get());
                 });
  }
  return y;
}

}  // namespace warptape
