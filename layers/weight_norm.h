#pragma once
// Weight normalization of a layer's weight: w = g * v / ||v||, one norm per slice of dim 0: per
// output channel, and, as in PyTorch, per input channel of a transposed convolution.
//
//   Conv2d conv({.in_channels = 3, .out_channels = 64, .kernel_size = 3});
//   weight_norm(conv);   // its parameters are now weight_g and weight_v; the function is unchanged
//
// w is computed once per change of g or v, however often and from however many threads it is used,
// and kept at a fixed address. In mixed precision (precision.h) it is written in bfloat16 at once.

#include "kernels/weight_norm/weight_norm.h"
#include "layers/weight.h"

namespace warptape {

class WeightNorm final : public Reparametrization {
 public:
  explicit WeightNorm(const Tensor& weight);  // g = ||weight||, v = weight
  WeightNorm(const WeightNorm& other) : g_(other.g_), v_(other.v_) {}
  WeightNorm& operator=(const WeightNorm&) = delete;
  std::unique_ptr<Reparametrization> clone() const override;
  Tensor materialize(const Site& site) override;
  Tensor materialize_in(DType dtype, const Site& site) override;
  void split(const Tensor& weight) override;
  void fields(const std::string& name, Visitor& visit) override;
  std::string settings() const override { return "weight_norm(dim=0)"; }
  void set_requires_grad(bool on) override;
  bool requires_grad() const override { return v_.requires_grad(); }
  bool assign_from(const Reparametrization& other) override;

  Parameter& g() { return g_; }
  Parameter& v() { return v_; }
  WeightNormUse use(const Site& site);
  WeightNormUse use_in(DType dtype, const Site& site);

 private:
  Parameter g_;  // (O, 1, ..., 1)
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

// Applies to, or removes from, a layer that has a `weight`. ValueError if it is there already, or
// absent.
template <class Layer>
Layer& weight_norm(Layer& layer, const Site& site = Site::here()) {
  layer.weight.reparametrize(std::make_unique<WeightNorm>(layer.weight.value()), "weight_norm",
                             site);
  return layer;
}

template <class Layer>
Layer& remove_weight_norm(Layer& layer, const Site& site = Site::here()) {
  layer.weight.remove_reparametrization("remove_weight_norm", site);
  return layer;
}

}  // namespace warptape
