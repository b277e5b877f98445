#pragma once
// checkpoint.safetensors: all that a run needs to go on as if it had never stopped.

#include <string>

#include "layers/state_dict.h"
#include "training/recipe.h"
#include "training/trainer.h"

namespace warptape {

struct RunState {
  Recipe recipe = {};
  TrainingPosition position = {};
  uint64_t seed = 0;     // of the default generator
  uint64_t streams = 0;  // that it has given
  StateDict model = {};
  StateDict optimizer = {};
  StateDict average = {};  // empty for a run without one
};

// One safetensors file: tensors "model.KEY" and "optimizer.KEY", "average.KEY" where there is an
// average, "best.KEY" where the position has the weights of its best epoch, the rest as JSON in the
// metadata. Replaces the file in one step, on the disk before this returns.
void save_run_state(const std::string& path, const RunState& state);

// FileError for what is no such file.
RunState load_run_state(const std::string& path);

}  // namespace warptape
