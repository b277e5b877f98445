#pragma once
// What `warptape bench step` times, by name: a model with a batch of random numbers.

#include <functional>
#include <memory>
#include <string>

#include "core/registry.h"
#include "layers/module.h"
#include "training/loader.h"
#include "training/optimizer.h"
#include "training/train_step.h"

namespace warptape::tools {

// On the CPU.
struct StepParts {
  std::unique_ptr<Module> model;
  Batch batch;
  Loss loss;
  std::function<std::unique_ptr<Optimizer>(const ParameterStates&)> make_optimizer;
};

struct StepCase {
  std::string name;         // "tcn_adding"
  std::string description;  // the model, the input behind the batch, the optimizer
  int64_t batch_size = 0;   // where none is asked for
  std::function<StepParts(int64_t batch_size)> make;
};

// Those of images, one for each model, and those of sequences.
Registry<StepCase> step_cases();

}  // namespace warptape::tools
