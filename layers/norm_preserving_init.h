#pragma once
// Norm-preserving initialisation of weight-normalised layers (Arpit, Campos & Bengio 2019, "How to
// Initialize your Network? Robust Initialization for WeightNorm & ResNets", arXiv 1906.02341): the
// rows of v are orthogonal, and
//
//   g = sqrt(gamma * fan_in / fan_out)
//
// keeps the norm of activations from layer to layer, with gamma = 2 in front of ReLU, which drops
// half of it, and 1 otherwise. The last layer of each of B residual blocks has g / sqrt(B).
//
//   norm_preserving_init(model, {.linear = {"head"}, .block_ends = {"blocks.*.conv2"}});

#include <string>
#include <vector>

#include "core/random.h"
#include "layers/weight.h"

namespace warptape {

struct NormPreservingOptions {
  // Paths of layers, as shell patterns. ValueError for one that no weight-normalised layer matches.
  // linear: no ReLU follows these, gamma is 1
  // block_ends: the last layers of the residual blocks, B is their number
  std::vector<std::string> linear = {};
  std::vector<std::string> block_ends = {};
  bool zero_biases = true;  // of the layers that are set, as in the paper
};

// Sets every weight-normalised layer of a model, in the order of fields; embeddings, which are no
// products, stay as they are. Returns their paths. Fans are those of a group where there are
// groups. ValueError for a model without weight-normalised layers; ShapeError for a weight of rank
// below 2.
std::vector<std::string> norm_preserving_init(Module& model,
                                              const NormPreservingOptions& options = {},
                                              Generator& generator = default_generator(),
                                              const Site& site = Site::here());

namespace init {

struct NormPreservingWeight {
  double gamma = 2;
  int64_t blocks = 1;   // B, of the last weight of a residual block
  int output_axis = 0;  // 0 of (O, I, ...), 1 of (I, O, ...), as transposed convolutions have it
  int64_t groups = 1;
};

// The same for one weight. v gets orthogonal rows of length 1 (where there are more rows than
// elements in one, the rows of a matrix with orthogonal columns, each scaled to length 1), and the
// weight those times g, whatever the dim of its norms. ValueError for a weight that is not
// weight-normalised, for gamma or blocks that are not positive, for another axis than 0 or 1, and
// for groups that do not divide the channels; ShapeError below rank 2.
void norm_preserving(Weight& weight, const NormPreservingWeight& options = {},
                     Generator& generator = default_generator(), const Site& site = Site::here());

}  // namespace init
}  // namespace warptape
