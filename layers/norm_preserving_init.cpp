#include "layers/norm_preserving_init.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/transpose/transpose.h"
#include "layers/init.h"
#include "layers/normalized_layers.h"

namespace warptape {
namespace {

constexpr const char* preserving = "norm_preserving_init";

// For each group rows of length 1, orthogonal as far as there are no more of them than columns.
Tensor unit_rows(int64_t groups, int64_t rows_of_group, int64_t columns, Generator& generator) {
  const int64_t rows = groups * rows_of_group;
  Tensor matrix = Tensor::zeros({rows, columns}, float64);
  for (int64_t group = 0; group < groups; ++group) {
    Tensor of_group = matrix.slice(group * rows_of_group, (group + 1) * rows_of_group);
    init::orthogonal(of_group, 1, generator);
  }
  auto* const values = matrix.mutable_data<double>();
  for (int64_t row = 0; row < rows; ++row) {
    double* const first = values + row * columns;
    double squares = 0;
    for (int64_t k = 0; k < columns; ++k) {
      squares += first[k] * first[k];
    }
    for (int64_t k = 0; k < columns; ++k) {
      first[k] /= std::sqrt(squares);
    }
  }
  return matrix;
}

bool matches(const std::vector<std::string>& patterns, const std::string& path) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), path.c_str(), 0) == 0;
  });
}

int64_t count_matching(const std::vector<std::string>& patterns,
                       const std::vector<NormalizedLayer>& layers) {
  return std::count_if(layers.begin(), layers.end(),
                       [&](const NormalizedLayer& layer) { return matches(patterns, layer.name); });
}

}  // namespace

namespace init {

void norm_preserving(Weight& weight, const NormPreservingWeight& options, Generator& generator,
                     const Site& site) {
  constexpr const char* who = "norm_preserving";
  auto* const norm = dynamic_cast<WeightNorm*>(weight.reparametrization());
  check<ValueError>(norm != nullptr, site,
                    "[{}] weight: got one that is not weight-normalised, wanted g and v", who);
  check<ValueError>(options.gamma > 0 && std::isfinite(options.gamma), site,
                    "[{}] gamma: got {}, wanted a number above 0", who, options.gamma);
  check<ValueError>(options.blocks >= 1, site, "[{}] blocks: got {}, wanted 1 or more", who,
                    options.blocks);
  check<ValueError>(options.output_axis == 0 || options.output_axis == 1, site,
                    "[{}] output_axis: got {}, wanted 0 or 1", who, options.output_axis);
  const Shape& shape = weight.shape();
  check<ShapeError>(shape.rank() >= 2 && shape.numel() > 0, site,
                    "[{}] weight: got shape {}, wanted (O, I, ...) with elements", who, shape);
  const int64_t groups = options.groups;
  check<ValueError>(groups >= 1 && shape[0] % groups == 0, site,
                    "[{}] groups: got {}, wanted a divisor of {}", who, groups, shape[0]);
  // Both of a group.
  const int64_t outputs = options.output_axis == 0 ? shape[0] / groups : shape[1];
  const int64_t inputs = options.output_axis == 0 ? shape[1] : shape[0] / groups;
  const int64_t taps = shape.numel() / (groups * outputs * inputs);
  Tensor v = unit_rows(groups, outputs, inputs * taps, generator);
  if (options.output_axis == 1) {
    v = transpose(reshape(v, {groups, outputs, inputs, taps}), 1, 2);
  }
  v = reshape(v, std::vector<int64_t>(shape.begin(), shape.end()));
  const double g = std::sqrt(options.gamma * static_cast<double>(inputs) /
                             static_cast<double>(outputs * options.blocks));
  weight.assign(mul(v, g), site);  // g of any dim becomes the norms of this
  norm->v().assign(v, site);       // which the length of v does not change
}

}  // namespace init

std::vector<std::string> norm_preserving_init(Module& model, const NormPreservingOptions& options,
                                              Generator& generator, const Site& site) {
  const std::vector<NormalizedLayer> layers = normalized_layers(model, preserving, site);
  for (const auto& patterns : {options.linear, options.block_ends}) {
    for (const std::string& pattern : patterns) {
      check<ValueError>(count_matching({pattern}, layers) > 0, site,
                        "[{}] pattern \"{}\" matches no weight-normalised layer of {}", preserving,
                        escaped(pattern), model.type_name());
    }
  }
  const int64_t blocks = std::max<int64_t>(1, count_matching(options.block_ends, layers));
  std::vector<std::string> names;
  for (const NormalizedLayer& layer : layers) {
    init::norm_preserving(*layer.weight,
                          {.gamma = matches(options.linear, layer.name) ? 1.0 : 2.0,
                           .blocks = matches(options.block_ends, layer.name) ? blocks : 1,
                           .output_axis = layer.layout.output_axis,
                           .groups = layer.layout.groups},
                          generator, site);
    if (options.zero_biases && layer.bias != nullptr) {
      init::zeros(*layer.bias);
    }
    names.push_back(layer.name);
  }
  return names;
}

}  // namespace warptape
