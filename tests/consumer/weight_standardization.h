#pragma once
// A reparametrisation of one's own: weight standardization (Qiao et al. 2019, arXiv 1903.10520),
// w = (raw - mean) / std over everything that an output is computed from.

#include <memory>
#include <string>

#include "warptape.h"

namespace mine {

class WeightStandardization final : public warptape::Reparametrization {
 public:
  explicit WeightStandardization(const warptape::Tensor& weight) : raw_(weight.clone()) {}
  std::unique_ptr<Reparametrization> clone() const override {
    return std::make_unique<WeightStandardization>(*this);
  }
  warptape::Tensor materialize(const warptape::Site& site) override;
  void split(const warptape::Tensor& weight) override { raw_.assign(weight); }
  void fields(const std::string& name, warptape::Visitor& visit) override {
    visit("parametrizations." + name + ".original", raw_);
  }
  std::string settings() const override { return "weight_standardization()"; }

 private:
  warptape::Parameter raw_;  // the weight's shape
};

// Of the layer's `weight`.
void standardize(warptape::Module& layer, const warptape::Site& site = warptape::Site::here());

}  // namespace mine
