#include "layers/precision.h"

#include "core/check.h"
#include "layers/weight.h"

namespace warptape {
namespace {

class Weights : public Visitor {
 public:
  std::vector<Weight*> found;

 protected:
  void on_module(const std::string&, Module& module) override { module.fields(*this); }
  void on_weight(const std::string&, Weight& weight) override { found.push_back(&weight); }
};

}  // namespace

void set_precision(Module& module, DType dtype, const Site& site) {
  Weights weights;
  module.fields(weights);
  for (Weight* weight : weights.found) {
    weight->check_computes_in(dtype, site);
  }
  for (Weight* weight : weights.found) {
    weight->compute_in(dtype);
  }
}

void set_precision(Module& module, const std::string& name, const Site& site) {
  check<ValueError>(name == "float32" || name == "bf16", site,
                    "[set_precision] got \"{}\", wanted float32 or bf16", escaped(name));
  set_precision(module, name == "bf16" ? bfloat16 : float32, site);
}

Tensor in_float32(const Tensor& output) {
  return output.defined() && output.dtype() == bfloat16 ? output.to(float32) : output;
}

}  // namespace warptape
