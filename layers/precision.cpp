#include "layers/precision.h"

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

}  // namespace warptape
