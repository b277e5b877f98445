#pragma once
// Folding: every weight of a model that is computed from other parameters becomes a plain one, for
// inference or for a checkpoint that needs no reparametrization; and back.
//
//   Folded folded = fold(model);          // 16 weights: "network.0.conv1.weight", ...
//   ...
//   unfold(model, std::move(folded));     // g and v are what they were

#include <memory>
#include <string>
#include <vector>

#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

struct FoldedWeight {
  std::string name;      // its path: "network.0.conv1.weight"
  std::string settings;  // "weight_norm(dim=0)"
  Shape shape;
  std::unique_ptr<Reparametrization> by;
};
using Folded = std::vector<FoldedWeight>;

// Returns what it folded, in the order of fields; nothing where all weights are plain already.
// Outputs are what they were, to the bit, on the device where the model is. Optimizers and
// parameters that were listed before know nothing of the plain weights.
Folded fold(Module& model, const Site& site = Site::here());

// Gives the weights back what they were computed from, on the device where the model is by now. One
// that has been written to since is split anew, as if it had been assigned. ValueError for a weight
// that is not there or is not plain, ShapeError for one of another shape; nothing is changed then.
void unfold(Module& model, Folded folded, const Site& site = Site::here());

}  // namespace warptape
