#include "kernels/mse_loss/mse_loss.h"

#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"

namespace warptape {

// loss = scale * sum of (input - target)^2; both in one memory format.
void mse_loss_forward_cpu(const Tensor& input, const Tensor& target, double scale, Tensor& loss);
// to = scale * dy * 2 * (input - target)
void mse_loss_backward_cpu(const Tensor& dy, const Tensor& input, const Tensor& target,
                           double scale, GradientTarget to);

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
  on_device("mse_loss", input.device(),
            [&] { mse_loss_forward_cpu(input.tensor(), aligned, scale, loss); });
  if (Tape* tape = Tape::recording({&input, &target})) {
    tape->record("mse_loss", {&input, &target}, {&loss},
                 [saved_input = Saved(input.tensor()), saved_target = Saved(aligned),
                  scale](Backward& context) {
                   const Tensor& dy = context.grad();
                   const Tensor& a = saved_input.get();
                   const Tensor& b = saved_target.get();
                   on_device("mse_loss", dy.device(), [&] {
                     if (context.needs(0)) {
                       mse_loss_backward_cpu(dy, a, b, scale, context.into(0));
                     }
                     if (context.needs(1)) {
                       // In the format of the input; the tape brings it into the target's.
                       Tensor gradient = Tensor::empty_like(a);
                       mse_loss_backward_cpu(dy, b, a, scale, {gradient, WriteMode::Overwrite});
                       context.give(1, std::move(gradient));
                     }
                   });
                 });
  }
  return loss;
}

}  // namespace warptape
