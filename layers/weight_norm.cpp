#include "layers/weight_norm.h"

#include "core/primitives.h"

namespace warptape {

WeightNorm::WeightNorm(const Tensor& weight) : g_(norm_per_channel(weight)), v_(weight.clone()) {}

std::unique_ptr<Reparametrization> WeightNorm::clone() const {
  auto copy = std::make_unique<WeightNorm>(*this);  // parameters copy deeply
  copy->cache_ = {};
  return copy;
}

Tensor WeightNorm::materialize(const Site& site) {
  return weight_norm(Operand(v_, site.file, site.line), Operand(g_, site.file, site.line), cache_);
}

void WeightNorm::split(const Tensor& weight) {
  v_.assign(weight);
  // The norm of what v holds, which may be a rounded `weight`.
  g_.assign(norm_per_channel(v_.value()));
}

void WeightNorm::fields(const std::string& name, Visitor& visit) {
  visit(name + "_g", g_)(name + "_v", v_);
}

void WeightNorm::set_requires_grad(bool on) {
  g_.set_requires_grad(on);
  v_.set_requires_grad(on);
}

}  // namespace warptape
