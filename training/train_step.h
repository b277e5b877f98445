#pragma once
#include <functional>
#include <optional>

#include "layers/module.h"
#include "training/loader.h"
#include "training/optimizer.h"

namespace warptape {

// The mean over the rows of a batch, as a tensor of one element. Gets a bfloat16 output in float32.
using Loss = std::function<Tensor(const Tensor& output, const Tensor& target)>;

// One element each, on the model's device, which may still be at work.
struct QueuedStep {
  Tensor loss;
  Tensor gradient_norm;  // before clipping
};

// One step of training: gradients to zero, forward, loss, backward, the gradients' norm (and
// clipping to it), update. states: the model's parameters. Their gradients are left as backward
// made them: the update clips what it reads. The training loop takes its steps so, and `warptape
// bench step` times them.
QueuedStep train_step(Module& model, Optimizer& optimizer, const ParameterStates& states,
                      const Batch& batch, const Loss& loss, std::optional<double> clip_norm = {});

// The loss of classifiers: of logits (N, classes, ...) and labels.
Loss cross_entropy_loss();

}  // namespace warptape
