#include "layers/weight_norm.h"

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

WeightNorm::WeightNorm(const Tensor& weight, NormDim dim, const Site& site)
    : dim_(std::move(dim)), g_(norm_except_dim(weight, dim_, site)), v_(weight.detach().clone()) {}

std::unique_ptr<Reparametrization> WeightNorm::clone() const {
  return std::make_unique<WeightNorm>(*this);  // parameters copy deeply, the cache starts anew
}

WeightNormUse WeightNorm::use(const Site& site) {
  return {Operand(v_, site.file, site.line),
          Operand(g_, site.file, site.line),
          cache_.get(),
          {.dim = dim_}};
}

WeightNormUse WeightNorm::use_in(DType dtype, const Site& site) {
  return {Operand(v_, site.file, site.line),
          Operand(g_, site.file, site.line),
          rounded_cache_.get(),
          {.dim = dim_, .dtype = dtype}};
}

Tensor WeightNorm::materialize(const Site& site) {
  const WeightNormUse own = use(site);
  return weight_norm(own.v, own.g, *own.cache, own.options);
}

Tensor WeightNorm::materialize_in(DType dtype, const Site& site) {
  const WeightNormUse own = use_in(dtype, site);
  return weight_norm(own.v, own.g, *own.cache, own.options);
}

void WeightNorm::split(const Tensor& weight) {
  v_.assign(weight);
  // The norm of what v holds, which may be a rounded `weight`.
  g_.assign(norm_except_dim(v_.value(), dim_));
}

void WeightNorm::fields(const std::string& name, Visitor& visit) {
  visit(name + "_g", g_)(name + "_v", v_);
}

std::vector<std::vector<std::string>> WeightNorm::keys_of(const std::string& name) {
  const std::string newer = "parametrizations." + name + ".original";
  return {{name + "_g", name + "_v"}, {newer + "0", newer + "1"}};
}

std::vector<Shape> WeightNorm::shapes_to_load(const std::vector<Shape>& found) const {
  const Shape& v = v_.value().shape();
  const NormDim dim = NormDim::of_shapes(v, found[0], dim_).value_or(dim_);
  return {dim.norm_shape(v, "weight_norm", {}), v};
}

void WeightNorm::load(const std::vector<Tensor>& values, const Site& site) {
  const Tensor& g = values[0];
  if (!(g.shape() == g_.value().shape())) {
    const NormDim dim = *NormDim::of_shapes(v_.value().shape(), g.shape(), dim_);
    Parameter other(norm_except_dim(v_.value(), dim, site));
    other.set_requires_grad(g_.requires_grad());
    other.state()->name = g_.state()->name;
    g_ = std::move(other);
    dim_ = dim;
  }
  g_.assign(g, site);
  v_.assign(values[1], site);
}

void apply_weight_norm(Module& layer, const WeightNormOf& of, const Site& site) {
  reparametrize(
      layer, of.name,
      [&](const Tensor& weight) { return std::make_unique<WeightNorm>(weight, of.dim, site); },
      "weight_norm", site);
}

}  // namespace warptape
