#pragma once
// The weight-normalised layers of a model, for what initialises them.

#include <string>
#include <vector>

#include "layers/weight_norm.h"

namespace warptape {

// How a weight lies for its product.
struct ProductLayout {
  int output_axis = 0;  // of (O, I, ...); of transposed convolutions, (I, O, ...), 1
  int64_t groups = 1;
};

struct NormalizedLayer {
  Module* module;
  std::string name;  // its path; "" of the model itself
  Weight* weight;
  WeightNorm* norm;  // of the weight
  Parameter* bias;   // null: none
  ProductLayout layout;
};

// In the order of fields, without embeddings, which are no products. Of layers that are not known
// the weight is taken for (O, I, ...). ValueError for a model that has none, and for two
// weight-normalised weights in one layer.
std::vector<NormalizedLayer> normalized_layers(Module& model, const char* who, const Site& site);

}  // namespace warptape
