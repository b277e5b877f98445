#include "kernels/mse_loss/mse_loss.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/mse_loss/mse_loss_kernels.h"

namespace warptape {

Tensor mse_loss(const Operand& input, const Operand& target, Reduction reduction) {
  check_floating("mse_loss", input);
  check_same_kind("mse_loss", input, target);
  check<ShapeError>(input.shape() == target.shape(), input.site(),
                    "[mse_loss] shapes: got {} and {}, wanted equal ones", input.shape(),
                    target.shape());
  const profile::Range range("mse_loss");
  const Tensor aligned = primitives::relayout(target.tensor(), input.memory_format());
  const double scale =
      reduction == Reduction::Mean ? 1.0 / static_cast<double>(input.numel()) : 1.0;
  Tensor loss = Tensor::empty({}, input.dtype(), input.device());
  on_device(
      "mse_loss", input.device(),
      [&] { mse_loss_forward_cpu(input.tensor(), aligned, scale, loss); },
      [&] { mse_loss_forward_cuda(input.tensor(), aligned, scale, loss); });
  if (Tape* tape = Tape::recording({&input, &target})) {
    tape->record(
        "mse_loss", {&input, &target}, {&loss},
        [saved_input = Saved(input.tensor()), saved_target = Saved(aligned),
         scale](Backward& context) {
          const Tensor& dy = context.grad();
          const Tensor& a = saved_input.get();
          const Tensor& b = saved_target.get();
          const auto run = [&](const Tensor& from, const Tensor& minus, GradientTarget to) {
            on_device(
                "mse_loss", dy.device(), [&] { mse_loss_backward_cpu(dy, from, minus, scale, to); },
                [&] { mse_loss_backward_cuda(dy, from, minus, scale, to); });
          };
          if (context.needs(0)) {
            run(a, b, context.into(0));
          }
          if (context.needs(1)) {
            // In the format of the input; the tape brings it into the target's.
            Tensor gradient = Tensor::empty_like(a);
            run(b, a, {gradient, WriteMode::Overwrite});
            context.give(1, std::move(gradient));
          }
        });
  }
  return loss;
}

}  // namespace warptape
