#include "layers/weight.h"

#include <functional>
#include <utility>

#include "core/check.h"

namespace warptape {
namespace {

// Gives parameters their names for messages.
struct Rename : Visitor {
  void on_parameter(const std::string& name, Parameter& parameter) override {
    parameter.state()->name = name;
  }
};

// Of what is not float32 the dtype that it met last.
struct FindOtherDType : Visitor {
  void on_parameter(const std::string&, Parameter& parameter) override {
    if (parameter.value().dtype() != float32) {
      found = parameter.value().dtype();
    }
  }
  DType found = float32;
};

}  // namespace

Tensor Reparametrization::materialize_in(DType dtype, const Site& site) {
  return materialize(site).to(dtype, site);
}

namespace {

// The fields of a reparametrisation.
struct OwnFields : Visitor {
  void on_parameter(const std::string& name, Parameter& parameter) override {
    names.push_back(name);
    shapes.push_back(parameter.value().shape());
    assign.emplace_back([&](const Tensor& value, const Site& site) {
      parameter.assign(value, site);
    });
  }
  void on_buffer(const std::string& name, Buffer& buffer) override {
    names.push_back(name);
    shapes.push_back(buffer.value().shape());
    assign.emplace_back([&](const Tensor& value, const Site&) { buffer.assign(value); });
  }
  std::vector<std::string> names;
  std::vector<Shape> shapes;
  std::vector<std::function<void(const Tensor&, const Site&)>> assign;
};

OwnFields own_fields(const Reparametrization& by, const std::string& name) {
  OwnFields fields;
  // fields() lists for readers and for writers.
  const_cast<Reparametrization&>(by).fields(name, fields);
  return fields;
}

}  // namespace

std::vector<std::vector<std::string>> Reparametrization::spellings(const std::string& name) const {
  return {own_fields(*this, name).names};
}

std::vector<Shape> Reparametrization::shapes() const {
  return own_fields(*this, "weight").shapes;
}

std::vector<Shape> Reparametrization::shapes_to_load(const std::vector<Shape>&) const {
  return shapes();
}

void Reparametrization::load(const std::vector<Tensor>& values, const Site& site) {
  const OwnFields own = own_fields(*this, "weight");
  for (size_t i = 0; i < values.size(); ++i) {
    own.assign[i](values[i], site);
  }
}

Weight::Weight(const Weight& other)
    : Member(other),
      plain_(other.plain_),
      by_(other.by_ ? other.by_->clone() : nullptr),
      shape_(other.shape_),
      in_products_(other.in_products_) {
  set_in_bfloat16(other.in_bfloat16_);
}

void Weight::set_in_bfloat16(bool on) {
  in_bfloat16_ = on;
  if (!on) {
    rounded_ = nullptr;
  } else if (rounded_ == nullptr) {
    rounded_ = std::make_shared<RoundedValue>();
  }
}

Weight& Weight::operator=(const Weight& other) {
  if (this == &other) {
    return *this;
  }
  if (!by_ && !other.by_) {
    plain_ = other.plain_;
    shape_ = other.shape_;
    in_products_ = other.in_products_;
    set_in_bfloat16(in_bfloat16_ && plain_.defined() && plain_.value().dtype() == float32);
    return *this;
  }
  if (by_ && other.by_ && by_->assign_from(*other.by_)) {
    return *this;
  }
  Weight copy(other);
  const bool fits = defined() && copy.defined() && shape_ == copy.shape_ &&
                    value().dtype() == copy.value().dtype();
  if (!fits) {
    // Its own precision, as wherever a weight is assigned; float64 has only one.
    copy.set_in_bfloat16(in_bfloat16_ && copy.defined() && copy.value().dtype() == float32);
    return *this = std::move(copy);
  }
  assign(copy.value());
  return *this;
}

Operand Weight::operand(const Site& site) {
  if (by_) {
    return {in_bfloat16_ ? by_->materialize_in(bfloat16, site) : by_->materialize(site), site.file,
            site.line};
  }
  if (in_bfloat16_) {
    return {rounded_->of(Operand(plain_, site.file, site.line)), site.file, site.line};
  }
  return {plain_, site.file, site.line};
}

Operand Weight::input(const Operand& x) const {
  if (in_bfloat16_ && x.defined() && x.dtype() == float32) {
    return {x.to(bfloat16, x.site()), x.site().file, x.site().line};
  }
  return x;
}

void Weight::check_computes_in(DType dtype, const Site& site) {
  check<ValueError>(dtype == float32 || dtype == bfloat16, site,
                    "[set_precision] dtype: got {}, wanted float32 or bfloat16", to_string(dtype));
  FindOtherDType other;
  fields("weight", other);
  check<DTypeError>(other.found == float32, site,
                    "[set_precision] a weight: got {}, wanted float32", to_string(other.found));
}

Tensor Weight::value(const Site& site) {
  return by_ ? by_->materialize(site) : Operand(plain_, site.file, site.line).tensor();
}

void Weight::assign(const Tensor& value, const Site& site) {
  check<ShapeError>(value.shape() == shape_, site, "[assign] weight: got shape {}, wanted {}",
                    value.shape(), shape_);
  if (by_) {
    by_->split(value);
  } else {
    plain_.assign(value, site);
  }
}

void Weight::reparametrize(std::unique_ptr<Reparametrization> by, const char* who,
                           const Site& site) {
  check<ValueError>(!by_, site, "[{}] this weight has a reparametrization already: {}", who,
                    by_ ? by_->settings() : "");
  check<ValueError>(plain_.defined(), site, "[{}] this weight is undefined", who);
  by->split(plain_.value().detach());
  by->set_requires_grad(plain_.requires_grad());
  if (!plain_.state()->name.empty()) {
    Rename rename;
    by->fields(plain_.state()->name, rename);
  }
  by_ = std::move(by);
  plain_ = Parameter();
}

void Weight::remove_reparametrization(const char* who, const Site& site) {
  check<ValueError>(by_ != nullptr, site, "[{}] this weight has no reparametrization", who);
  Parameter plain(value().detach().clone());
  plain.set_requires_grad(by_->requires_grad());
  by_ = nullptr;
  plain_ = std::move(plain);
}

void Weight::fields(const std::string& name, Visitor& visit) {
  if (by_) {
    by_->fields(name, visit);
  } else {
    visit(name, plain_);
  }
}

Weight& weight_of(Module& layer, const std::string& name, const char* who, const Site& site) {
  struct Find : Visitor {
    void on_weight(const std::string& name, Weight& weight) override {
      found.emplace_back(name, &weight);
    }
    std::vector<std::pair<std::string, Weight*>> found;
  } find;
  layer.fields(find);
  std::string names;
  for (const auto& [own, weight] : find.found) {
    if (own == name) {
      return *weight;
    }
    names += (names.empty() ? "" : ", ") + own;
  }
  throw ValueError(fmt::format("[{}] {}: got the name {}, wanted a weight of it: {}{}", who,
                               layer.type_name(), excerpt(name),
                               names.empty() ? "it has none" : names, at(site)));
}

}  // namespace warptape
