#include "layers/weight_norm.h"

#include "core/primitives.h"

namespace warptape {
namespace {

class Uses : public Visitor {
 public:
  explicit Uses(const Site& site) : site_(site) {}
  std::vector<WeightNormUse> found;

 protected:
  void on_module(const std::string&, Module& module) override { module.fields(*this); }
  void on_weight(const std::string&, Weight& weight) override {
    if (auto* norm = dynamic_cast<WeightNorm*>(weight.reparametrization())) {
      found.push_back(weight.computes_in_bfloat16() ? norm->use_in(bfloat16, site_)
                                                    : norm->use(site_));
    }
  }

 private:
  Site site_;
};

}  // namespace

void refresh_weight_norm(Module& model, const Site& site) {
  Uses uses(site);
  model.fields(uses);
  weight_norm_together(uses.found);
}

WeightNorm::WeightNorm(const Tensor& weight)
    : g_(norm_per_channel(weight)), v_(weight.detach().clone()) {}

std::unique_ptr<Reparametrization> WeightNorm::clone() const {
  return std::make_unique<WeightNorm>(*this);  // parameters copy deeply, the cache starts anew
}

bool WeightNorm::assign_from(const Reparametrization& other) {
  const auto* norm = dynamic_cast<const WeightNorm*>(&other);
  if (norm == nullptr || !(v_.value().shape() == norm->v_.value().shape()) ||
      v_.value().dtype() != norm->v_.value().dtype()) {
    return false;
  }
  g_ = norm->g_;
  v_ = norm->v_;
  return true;
}

WeightNormUse WeightNorm::use(const Site& site) {
  return {Operand(v_, site.file, site.line), Operand(g_, site.file, site.line), cache_.get()};
}

WeightNormUse WeightNorm::use_in(DType dtype, const Site& site) {
  return {Operand(v_, site.file, site.line),
          Operand(g_, site.file, site.line),
          rounded_cache_.get(),
          {.dtype = dtype}};
}

Tensor WeightNorm::materialize(const Site& site) {
  const WeightNormUse own = use(site);
  return weight_norm(own.v, own.g, *own.cache);
}

Tensor WeightNorm::materialize_in(DType dtype, const Site& site) {
  const WeightNormUse own = use_in(dtype, site);
  return weight_norm(own.v, own.g, *own.cache, own.options);
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
