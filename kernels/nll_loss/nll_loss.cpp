#include "kernels/nll_loss/nll_loss.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/nll_loss/nll_loss_kernels.h"

namespace warptape {
namespace {

Tensor forward(const NllLossCall& call, const Tensor& input, const Tensor& labels, Tensor& counted,
               const Site& site) {
  Tensor y = Tensor::empty(call.each ? labels.shape() : Shape{}, input.dtype(), input.device());
  on_device(
      "nll_loss", input.device(),
      [&] {
        check_counted("nll_loss", nll_loss_forward_cpu(call, input, labels, counted, y),
                      input.shape()[1], call.ignore_index, site);
      },
      [&] { nll_loss_forward_cuda(call, input, labels, counted, y); });
  return y;
}

void backward(const NllLossCall& call, const Tensor& dy, const Tensor& labels,
              const Tensor& counted, const GradientTarget& dinput) {
  on_device(
      "nll_loss", dy.device(), [&] { nll_loss_backward_cpu(call, dy, labels, counted, dinput); },
      [&] { nll_loss_backward_cuda(call, dy, labels, counted, dinput); });
}

LinearMap as_map(const NllLossCall& call, const Tensor& labels, const Tensor& counted,
                 const Shape& shape, MemoryFormat format) {
  return {"nll_loss",
          [=](const Tensor& input) {
            Tensor counted_again = Tensor::empty({}, float64, input.device());
            return forward(call, input, labels, counted_again, {});
          },
          [=](const Tensor& dy) {
            const Tensor dinput = Tensor::empty(shape, dy.dtype(), dy.device(), format);
            backward(call, dy, labels, counted, {dinput, WriteMode::Overwrite});
            return dinput;
          }};
}

}  // namespace

Tensor nll_loss(const Operand& input, const Tensor& labels, NllLossOptions options) {
  check_labels("nll_loss", "input", input, labels);
  const profile::Range range("nll_loss");
  const NllLossCall call{.each = options.reduction == Reduction::None,
                         .mean = options.reduction == Reduction::Mean,
                         .ignore_index = options.ignore_index};
  const Tensor rows = primitives::relayout(labels, MemoryFormat::RowMajor);
  Tensor counted = Tensor::empty({}, float64, input.device());
  Tensor y = forward(call, input.tensor(), rows, counted, input.site());
  if (Tape* tape = Tape::recording({&input})) {
    tape->record(
        "nll_loss", {&input}, {&y},
        [call, saved = Saved(rows), counted, shape = input.shape(),
         format = input.memory_format()](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(context, as_map(call, saved.get(), counted, shape, format));
          } else if (context.needs(0)) {
            backward(call, context.grad(), saved.get(), counted, context.into(0));
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
