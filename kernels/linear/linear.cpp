#include "kernels/linear/linear.h"

#include <string_view>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "core/widened.h"
#include "kernels/linear/linear_kernels.h"
#include "kernels/linear/linear_work.h"
#include "kernels/matmul/matmul.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pointwise/unary.h"
#include "kernels/reshape/reshape.h"
#include "kernels/sum/sum.h"
#include "kernels/where/where.h"

namespace warptape {
namespace {

constexpr const char* name = "linear";

// Of the product that makes y, and of each gradient.
int64_t flops_of(const Tensor& x, const Tensor& weight) {
  return 2 * x.numel() * weight.size(0);
}

void backward_cpu(Backward& context, const Tensor& dy, const Tensor& x) {
  const DType dtype = compute_dtype(dy.dtype());
  if (context.needs(1)) {
    linear_weight_grad_cpu(dy, x, context.into(1, dtype));
  }
  if (context.needs(2)) {
    linear_bias_grad_cpu(dy, context.into(2, dtype));
  }
}

// The gradient of what ReLU was given, in dy's place where nobody else has that.
Tensor before_relu(Tensor dy, const Tensor& y) {
  const GradientTarget to{dy.is_sole_owner() ? dy : Tensor::empty_like(dy), WriteMode::Overwrite};
  profile::note([&] { return profile::moved({&dy, &y}, to); });
  unary_backward(name, pointwise::Relu(), dy, y, to);
  return to.buffer;
}

// y is undefined where no ReLU followed.
void backward(Backward& context, const Tensor& x, const Tensor& weight, const Tensor& y) {
  const Tensor dy = y.defined() ? before_relu(context.take_grad(), y) : context.grad();
  if (context.needs(0)) {
    // Row-major like the saved rows; give() brings it into x's format.
    Tensor dx = Tensor::empty_like(x);
    profile::note([&] { return profile::moved({&dy, &weight}, {&dx}, flops_of(x, weight)); });
    on_device(
        name, dy.device(), [&] { linear_data_grad_cpu(dy, weight, dx); },
        [&] { linear_data_grad_cuda(name, dy, weight, dx); });
    context.give(0, std::move(dx));
  }
  profile::note([&] { return work_of_parameter_grads(context, 1, 2, dy, x); });
  on_device(
      name, dy.device(), [&] { backward_cpu(context, dy, x); },
      [&] { linear_parameter_grads_cuda(name, context, 1, 2, dy, x); });
}

// The same as ops that are recorded.
void backward_as_ops(Backward& context, const Tensor& x, const Tensor& weight, const Tensor& y) {
  const Tensor dy = y.defined() ? where(y <= 0, 0, context.grad()) : context.grad();
  const Tensor rows = reshape(dy, {-1, weight.size(0)});
  if (context.needs(0)) {
    const Tensor dx = matmul(rows, context.input(1, weight));
    context.give(0, reshape(dx, {x.shape().begin(), x.shape().end()}));
  }
  if (context.needs(1)) {
    const Tensor rows_of_x = reshape(context.input(0, x), {-1, weight.size(1)});
    context.give(1, matmul(rows, rows_of_x, {.transpose_a = true}));
  }
  if (context.needs(2)) {
    context.give(2, sum(rows, {0}));
  }
}

void check_arguments(const Operand& x, const Operand& weight, const Operand& bias) {
  check_floating(name, x);
  check_same_kind(name, x, weight);
  const Site& site = x.site();
  check<ShapeError>(weight.rank() == 2, site,
                    "[{}] weight: got shape {}, wanted (out_features, in_features)", name,
                    weight.shape());
  check<ShapeError>(x.rank() >= 1 && x.size(-1) == weight.size(1), site,
                    "[{}] input features: got shape {}, wanted (..., {}) for weight {}", name,
                    x.shape(), weight.size(1), weight.shape());
  if (bias.defined()) {
    check_bias_kind(name, x, bias);
    check<ShapeError>(bias.shape() == Shape{weight.size(0)}, site,
                      "[{}] bias: got shape {}, wanted ({},)", name, bias.shape(), weight.size(0));
  }
}

}  // namespace

LinearWork::LinearWork(const Operand& x, const Operand& weight, const Operand& bias,
                       Activation activation)
    : x(x),
      weight(weight),
      bias(bias),
      activation(activation),
      rows(primitives::relayout(x.tensor(), MemoryFormat::RowMajor)) {}

Shape LinearWork::shape() const {
  Shape shape = x.shape();
  shape[-1] = weight.size(0);
  return shape;
}

Tensor LinearWork::compute() {
  const profile::Range range(name);
  Tensor y = Tensor::empty(shape(), x.dtype(), x.device());
  const Tensor wide_bias = widened(bias.tensor());
  profile::note([&] {
    return profile::moved({&rows, &weight.tensor(), &wide_bias}, {&y},
                          flops_of(rows, weight.tensor()));
  });
  on_device(
      name, x.device(),
      [&] {
        linear_forward_cpu(rows, weight.tensor(), wide_bias, y);
        if (has_relu()) {
          unary_forward(name, pointwise::Relu(), y, y);
        }
      },
      [&] { linear_forward_cuda(name, rows, weight.tensor(), wide_bias, has_relu(), y); });
  return y;
}

void LinearWork::computed(const Tensor& y) {
  if (has_relu()) {
    *kept = Saved(y);
  }
}

Tensor LinearWork::followed_by(const char* op) {
  if (has_relu() || op != std::string_view("relu")) {
    return {};
  }
  return linear(x, weight, bias, {.activation = Activation::ReLU});
}

Tensor linear(const Operand& x, const Operand& weight, const Operand& bias, LinearOptions options) {
  check_arguments(x, weight, bias);
  const auto has_relu = [](const LinearWork& work) { return work.has_relu(); };
  if (has_gpu && x.device().type == DeviceType::CUDA && options.activation == Activation::None) {
    if (const auto hidden = Deferred::take<LinearWork>(x, has_relu)) {
      Tensor y;
      on_device(
          name, x.device(), [] {}, [&] { y = hidden_linear_cuda(*hidden, weight, bias); });
      return y;
    }
  }
  const auto work = std::make_shared<LinearWork>(x, weight, bias, options.activation);
  check_countable(name, "output", work->shape(), x.dtype(), x.site());
  return Deferred::result(
      work, {work->shape(), x.dtype(), x.device(), MemoryFormat::RowMajor}, [&](Tensor& y) {
        if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
          tape->record(
              name, {&x, &weight, &bias}, {&y},
              [rows = Saved(work->rows), saved_weight = Saved(weight.tensor()),
               y = work->has_relu() ? work->kept : nullptr](Backward& context) {
                const auto give = context.creates_graph() ? backward_as_ops : backward;
                give(context, rows.get(), saved_weight.get(), y ? y->get() : Tensor());
              },
              Differentiable::Twice);
        }
      });
}

}  // namespace warptape
