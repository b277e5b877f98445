#pragma once
// The arithmetic of optimizers, for all parameters of a model in one call. Not ops: nothing here is
// recorded. Rules are PyTorch's (torch.optim.SGD, Adam, AdamW), in the parameters' dtype.

#include <cstdint>
#include <span>

#include "core/tensor.h"

namespace warptape {

// One parameter: all tensors of one shape, dtype and memory format.
struct ParameterUpdate {
  Tensor value;   // updated
  Tensor grad;    // read
  Tensor first;   // SGD: momentum buffer (undefined without momentum); Adam: mean of gradients
  Tensor second;  // Adam: mean of squared gradients
  int64_t step;   // updates of this parameter so far, this one included
};

// What changes from step to step, read through a pointer: on a GPU it lies in device memory, so
// that a captured step sees new values.
struct StepScalars {
  double learning_rate;
};

struct SgdConstants {
  double momentum;
  double dampening;
  double weight_decay;
  bool nesterov;
};

struct AdamConstants {
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  bool decoupled;  // AdamW: the decay shrinks the value instead of adding to the gradient
};

void sgd_step_cpu(std::span<ParameterUpdate> updates, const SgdConstants& constants,
                  const StepScalars* scalars);
void adam_step_cpu(std::span<ParameterUpdate> updates, const AdamConstants& constants,
                   const StepScalars* scalars);

// The sum of squares of all elements, in float64, in an order that does not depend on the threads.
double sum_of_squares_cpu(std::span<const Tensor> tensors);
void scale_cpu(std::span<Tensor> tensors, double factor);

}  // namespace warptape
