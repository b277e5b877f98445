#pragma once
// Weight normalization of a layer's weight: w = g * v / ||v||, one norm per index along `dim`: by
// default 0, per output channel, and, as in PyTorch, per input channel of a transposed convolution.
//
//   Conv2d conv({.in_channels = 3, .out_channels = 64, .kernel_size = 3});
//   weight_norm(conv);   // its parameters are now weight_g and weight_v; the function is unchanged
//   weight_norm(transposed, {.dim = 1});   // per output channel of a transposed convolution
//
// w is computed once per change of g or v, however often and from however many threads it is used,
// and kept at a fixed address. In mixed precision (precision.h) it is written in bfloat16 at once.

#include <concepts>
#include <memory>
#include <string>
#include <vector>

#include "kernels/weight_norm/weight_norm.h"
#include "layers/weight.h"

namespace warptape {

class WeightNorm final : public Reparametrization {
 public:
  // g = ||weight||, v = weight
  explicit WeightNorm(const Tensor& weight, NormDim dim = 0, const Site& site = Site::here());
  WeightNorm(const WeightNorm& other) : dim_(other.dim_), g_(other.g_), v_(other.v_) {}
  WeightNorm& operator=(const WeightNorm&) = delete;
  std::unique_ptr<Reparametrization> clone() const override;
  Tensor materialize(const Site& site) override;
  Tensor materialize_in(DType dtype, const Site& site) override;
  void split(const Tensor& weight) override;
  void fields(const std::string& name, Visitor& visit) override;
  std::string settings() const override { return "weight_norm(dim=" + dim_.to_string() + ")"; }
  ParameterRole role_of(const Parameter& field) const override {
    return field.state() == g_.state() ? ParameterRole::G : ParameterRole::V;
  }
  // {NAME_g, NAME_v}, and the newer names of torch.nn.utils.parametrizations.
  static std::vector<std::vector<std::string>> keys_of(const std::string& name);
  std::vector<std::vector<std::string>> spellings(const std::string& name) const override {
    return keys_of(name);
  }
  // g may be that of another dim, which is taken then.
  std::vector<Shape> shapes_to_load(const std::vector<Shape>& found) const override;
  void load(const std::vector<Tensor>& values, const Site& site) override;

  const NormDim& dim() const { return dim_; }
  Parameter& g() { return g_; }
  Parameter& v() { return v_; }
  WeightNormUse use(const Site& site);
  WeightNormUse use_in(DType dtype, const Site& site);

 private:
  NormDim dim_;
  Parameter g_;  // (O, 1, ..., 1) of dim 0
  Parameter v_;  // the weight's shape
  // Two, so that who asks for w as it is leaves alone what products read.
  const std::shared_ptr<WeightNormCache> cache_ = std::make_shared<WeightNormCache>();
  const std::shared_ptr<WeightNormCache> rounded_cache_ =  // of the dtype that was asked for
      std::make_shared<WeightNormCache>();
};

// Computes all weights of a model that are weight-normalised and whose g or v has changed,
// together: one launch on "cuda" forward, and one backward. The call of a module that no other
// module calls does so first.
void refresh_weight_norm(Module& model, const Site& site = Site::here());

struct WeightNormOf {
  std::string name = "weight";  // which of the layer's weights
  NormDim dim = 0;
};

// Applies to, or removes from, a layer's weight. ValueError if it is there already, or absent, or
// the layer has no weight of that name; ShapeError for a dim that the weight does not have.
void apply_weight_norm(Module& layer, const WeightNormOf& of, const Site& site);

template <std::derived_from<Module> Layer>
Layer& weight_norm(Layer& layer, const WeightNormOf& of = {}, const Site& site = Site::here()) {
  apply_weight_norm(layer, of, site);
  return layer;
}

template <std::derived_from<Module> Layer>
Layer& remove_weight_norm(Layer& layer, const std::string& name = "weight",
                          const Site& site = Site::here()) {
  weight_of(layer, name, "remove_weight_norm", site)
      .remove_reparametrization("remove_weight_norm", site);
  return layer;
}

}  // namespace warptape
