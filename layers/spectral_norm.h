#pragma once
// Spectral normalization of a layer's weight (Miyato et al. 2018, arXiv 1802.05957), as
// torch.nn.utils.parametrizations.spectral_norm: w = original / sigma, where sigma, the largest
// singular value of the weight as a matrix (dim, all others), is u . W v with vectors that a step
// of the power method brings nearer each time a layer in training mode uses the weight.
//
//   Linear layer({.in_features = 20, .out_features = 40});
//   spectral_norm(layer);   // parametrizations.weight.original, parametrizations.weight.0._u, ._v

#include <concepts>
#include <optional>

#include "layers/weight.h"

namespace warptape {

struct SpectralNormOptions {
  std::string name = "weight";  // which of the layer's weights
  int n_power_iterations = 1;   // per use in training mode
  double eps = 1e-12;           // least norm that a vector is divided by
  std::optional<int> dim = {};  // the matrix's rows: 1 of transposed convolutions, else 0
};

class SpectralNorm final : public Reparametrization {
 public:
  // Draws u and v from the default generator, and improves them by 15 steps.
  SpectralNorm(const Tensor& weight, int dim, const SpectralNormOptions& options);
  std::unique_ptr<Reparametrization> clone() const override {
    return std::make_unique<SpectralNorm>(*this);
  }
  Tensor materialize(const Site& site) override;
  // The weight becomes the original one, whose largest singular value is looked for anew.
  void split(const Tensor& weight) override;
  void fields(const std::string& name, Visitor& visit) override;
  std::string settings() const override;
  void train(bool on) override { is_training_ = on; }
  // Besides: NAME_orig, NAME_u, NAME_v, as torch.nn.utils.spectral_norm has them.
  std::vector<std::vector<std::string>> spellings(const std::string& name) const override;

 private:
  void improve(int steps);

  Parameter original_;  // the weight's shape
  Buffer u_;            // (rows); undefined of a vector, which is divided by its norm
  Buffer v_;            // (columns)
  int dim_;
  int n_power_iterations_;
  double eps_;
  bool is_training_ = true;
};

// ValueError if the weight has a reparametrization already, or the layer has no weight of that
// name, or for an eps or a number of steps that is not positive; ShapeError for another dim.
void apply_spectral_norm(Module& layer, const SpectralNormOptions& options, const Site& site);

template <std::derived_from<Module> Layer>
Layer& spectral_norm(Layer& layer, const SpectralNormOptions& options = {},
                     const Site& site = Site::here()) {
  apply_spectral_norm(layer, options, site);
  return layer;
}

}  // namespace warptape
