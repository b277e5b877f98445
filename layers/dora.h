#pragma once
// DoRA (Liu et al. 2024, arXiv 2402.09353): a weight that is fine-tuned as a magnitude and a
// low-rank change of its direction,
//   w = m (W + s B A) / ||W + s B A||
// with a norm per index of the first dimension. W stays as it is; magnitude, A and B are trained.
// As published the norm counts as a constant in backward, which saves memory; with detach_norm =
// false it is weight normalization of W + s B A, exact.
//
//   Linear layer({.in_features = 512, .out_features = 512});
//   dora(layer, {.rank = 8, .alpha = 16});   // the function is unchanged: B starts with zeros

#include <concepts>

#include "layers/weight.h"

namespace warptape {

struct DoraOptions {
  std::string name = "weight";  // which of the layer's weights
  int rank = 8;
  double alpha = 8;         // s = alpha / rank
  bool detach_norm = true;  // as published
};

class Dora final : public Reparametrization {
 public:
  Dora(const Tensor& weight, const DoraOptions& options);  // draws A from the default generator
  std::unique_ptr<Reparametrization> clone() const override {
    return std::make_unique<Dora>(*this);
  }
  Tensor materialize(const Site& site) override;
  // The weight becomes W, without a change.
  void split(const Tensor& weight) override;
  // parametrizations.NAME.original (W), .0.magnitude, .0.lora_A, .0.lora_B
  void fields(const std::string& name, Visitor& visit) override;
  std::string settings() const override;
  ParameterRole role_of(const Parameter& field) const override {
    return field.state() == magnitude_.state() ? ParameterRole::G : ParameterRole::Other;
  }
  void set_requires_grad(bool on) override;  // of all but W
  bool requires_grad() const override { return magnitude_.requires_grad(); }

 private:
  Parameter original_;   // W, the weight's shape
  Parameter magnitude_;  // (O, 1, ..., 1)
  Parameter a_;          // (rank, elements of a row)
  Parameter b_;          // (O, rank)
  DoraOptions options_;
};

// ValueError if the weight has a reparametrization already, or the layer has no weight of that
// name, or for a rank below 1; ShapeError for a weight of rank 0 or 1.
void apply_dora(Module& layer, const DoraOptions& options, const Site& site);

template <std::derived_from<Module> Layer>
Layer& dora(Layer& layer, const DoraOptions& options = {}, const Site& site = Site::here()) {
  apply_dora(layer, options, site);
  return layer;
}

}  // namespace warptape
