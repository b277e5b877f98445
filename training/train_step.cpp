#include "training/train_step.h"

#include "core/profile.h"
#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "layers/precision.h"

namespace warptape {

QueuedStep train_step(Module& model, Optimizer& optimizer, const ParameterStates& states,
                      const Batch& batch, const Loss& loss_of, std::optional<double> clip_norm) {
  const profile::Range range("step");
  optimizer.zero_grad();
  Tape tape;
  const Tensor loss = loss_of(in_float32(model(batch.input)), batch.target);
  tape.backward(loss);
  if (!clip_norm) {
    const Tensor norm = queue_grad_norm(states);
    optimizer.step();
    return {loss, norm};
  }
  const ClipFactor clip = queue_clip_factor(states, *clip_norm);
  optimizer.step({.clip = clip});
  return {loss, clip.norm_and_factor.slice(0, 1)};
}

Loss cross_entropy_loss() {
  return [](const Tensor& logits, const Tensor& labels) { return cross_entropy(logits, labels); };
}

}  // namespace warptape
