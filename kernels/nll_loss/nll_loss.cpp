#include "kernels/nll_loss/nll_loss.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/nll_loss/nll_loss_kernels.h"

namespace warptape {

Tensor nll_loss(const Operand& input, const Tensor& labels, NllLossOptions options) {
  check_labels("nll_loss", "input", input, labels);
  const profile::Range range("nll_loss");
  const NllLossCall call{.each = options.reduction == Reduction::None,
                         .mean = options.reduction == Reduction::Mean,
                         .ignore_index = options.ignore_index};
  const Tensor rows = primitives::relayout(labels, MemoryFormat::RowMajor);
  Tensor y = Tensor::empty(call.each ? labels.shape() : Shape{}, input.dtype(), input.device());
  Tensor counted = Tensor::empty({}, float64, input.device());
  on_device(
      "nll_loss", input.device(),
      [&] {
        check_counted("nll_loss", nll_loss_forward_cpu(call, input.tensor(), rows, counted, y),
                      input.shape()[1], call.ignore_index, input.site());
      },
      [&] { nll_loss_forward_cuda(call, input.tensor(), rows, counted, y); });
  if (Tape* tape = Tape::recording({&input})) {
    tape->record("nll_loss", {&input}, {&y},
                 [call, saved = Saved(rows), counted](Backward& context) {
                   if (!context.needs(0)) {
                     return;
                   }
                   const Tensor& dy = context.grad();
                   const GradientTarget to = context.into(0);
                   on_device(
                       "nll_loss", dy.device(),
                       [&] { nll_loss_backward_cpu(call, dy, saved.get(), counted, to); },
                       [&] { nll_loss_backward_cuda(call, dy, saved.get(), counted, to); });
                 });
  }
  return y;
}

}  // namespace warptape
