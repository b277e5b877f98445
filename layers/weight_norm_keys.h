#pragma once
// The forms that weight-normalised weights have in checkpoints, and from one to the other without a
// model.

#include <string>
#include <vector>

#include "layers/state_dict.h"

namespace warptape {

enum class WeightNormKeys {
  Old,    // NAME_g, NAME_v: torch.nn.utils.weight_norm
  New,    // parametrizations.NAME.original0, .original1: torch.nn.utils.parametrizations
  Folded  // NAME: what weight norm computes of them
};

struct WithWeightNormKeys {
  StateDict state;
  std::vector<std::string> weights;  // the paths of those that were found: "conv1.weight"
};

// The tensors with those of every pair of g and v in this form, where the pair was; other tensors
// stay as they are. Two keys are a pair if g has the shape that some dim gives it beside v. Weights
// are computed in float64 and rounded to v's dtype. ValueError where a key would be there twice.
WithWeightNormKeys with_weight_norm_keys(const StateDict& state, WeightNormKeys keys);

}  // namespace warptape
