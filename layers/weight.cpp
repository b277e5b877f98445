#include "layers/weight.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <typeinfo>
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

// The fields of a reparametrisation: either a parameter or a buffer each.
struct OwnFields : Visitor {
  struct Field {
    std::string name;
    Parameter* parameter;
    Buffer* buffer;
    const Tensor& value() const {
      return parameter != nullptr ? parameter->value() : buffer->value();
    }
    void move_to(Device device) const {
      if (value().device() == device) {
        return;
      }
      const Tensor moved = value().detach().to(device);
      if (parameter != nullptr) {
        parameter->state()->set_value(moved);
      } else {
        buffer->set_value(moved);
      }
    }
  };
  // Those that checkpoints hold.
  std::vector<Field> kept() const {
    std::vector<Field> result;
    std::copy_if(found.begin(), found.end(), std::back_inserter(result), [](const Field& field) {
      return field.buffer == nullptr || field.buffer->is_persistent();
    });
    return result;
  }
  OwnFields(const Reparametrization& by, const std::string& name) {
    // fields() lists for readers and for writers.
    const_cast<Reparametrization&>(by).fields(name, *this);
  }
  void on_parameter(const std::string& name, Parameter& parameter) override {
    found.push_back({name, &parameter, nullptr});
  }
  void on_buffer(const std::string& name, Buffer& buffer) override {
    found.push_back({name, nullptr, &buffer});
  }
  std::vector<Field> found;
};

// Whether two tensors of any devices have the same elements.
bool has_elements_of(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) {
    return false;
  }
  bool same = false;
  dispatch_all(a.dtype(), [&]<class T>() {
    const std::vector<T> of_a = a.to(cpu).to_vector<T>();
    const std::vector<T> of_b = b.to(cpu).to_vector<T>();
    same = std::memcmp(of_a.data(), of_b.data(), of_a.size() * sizeof(T)) == 0;
  });
  return same;
}

}  // namespace

ParameterRole Reparametrization::role_of(const Parameter&) const {
  return ParameterRole::Other;
}

void Reparametrization::set_requires_grad(bool on) {
  for (const OwnFields::Field& field : OwnFields(*this, "weight").found) {
    if (field.parameter != nullptr) {
      field.parameter->set_requires_grad(on);
    }
  }
}

bool Reparametrization::requires_grad() const {
  const OwnFields own(*this, "weight");
  return std::any_of(own.found.begin(), own.found.end(), [](const OwnFields::Field& field) {
    return field.parameter != nullptr && field.parameter->requires_grad();
  });
}

bool Reparametrization::assign_from(const Reparametrization& other) {
  const OwnFields own(*this, "weight");
  const OwnFields others(other, "weight");
  const bool fits =
      typeid(*this) == typeid(other) && settings() == other.settings() &&
      std::equal(own.found.begin(), own.found.end(), others.found.begin(), others.found.end(),
                 [](const OwnFields::Field& a, const OwnFields::Field& b) {
                   return a.value().shape() == b.value().shape() &&
                          a.value().dtype() == b.value().dtype();
                 });
  for (size_t i = 0; fits && i < own.found.size(); ++i) {
    if (own.found[i].parameter != nullptr) {
      *own.found[i].parameter = *others.found[i].parameter;
    } else {
      *own.found[i].buffer = *others.found[i].buffer;
    }
  }
  return fits;
}

std::vector<std::vector<std::string>> Reparametrization::spellings(const std::string& name) const {
  std::vector<std::string> names;
  for (const OwnFields::Field& field : OwnFields(*this, name).kept()) {
    names.push_back(field.name);
  }
  return {names};
}

std::vector<Shape> Reparametrization::shapes() const {
  std::vector<Shape> shapes;
  for (const OwnFields::Field& field : OwnFields(*this, "weight").kept()) {
    shapes.push_back(field.value().shape());
  }
  return shapes;
}

std::vector<Shape> Reparametrization::shapes_to_load(const std::vector<Shape>&) const {
  return shapes();
}

void Reparametrization::load(const std::vector<Tensor>& values, const Site& site) {
  const std::vector<OwnFields::Field> own = OwnFields(*this, "weight").kept();
  for (size_t i = 0; i < values.size(); ++i) {
    if (own[i].parameter != nullptr) {
      own[i].parameter->assign(values[i], site);
    } else {
      own[i].buffer->assign(values[i], site);
    }
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

std::unique_ptr<Reparametrization> Weight::remove_reparametrization(const char* who,
                                                                    const Site& site) {
  check<ValueError>(by_ != nullptr, site, "[{}] this weight has no reparametrization", who);
  Parameter plain(value().detach().clone());
  plain.set_requires_grad(by_->requires_grad());
  plain_ = std::move(plain);
  return std::exchange(by_, nullptr);
}

void Weight::restore_reparametrization(std::unique_ptr<Reparametrization> by, bool in_training,
                                       const char* who, const Site& site) {
  check<ValueError>(by_ == nullptr, site, "[{}] this weight has a reparametrization already: {}",
                    who, by_ ? by_->settings() : "");
  by->train(false);  // what it computes changes nothing
  const Tensor before = by->materialize(site).detach();
  const Tensor value = plain_.value().detach();
  check<ShapeError>(before.shape() == value.shape(), site,
                    "[{}] {}: got that of a weight of shape {}, wanted {}", who, by->settings(),
                    before.shape(), value.shape());
  for (const OwnFields::Field& field : OwnFields(*by, "weight").found) {
    field.move_to(value.device());
  }
  if (!has_elements_of(before, value)) {
    by->split(value);
  }
  by->train(in_training);
  by_ = std::move(by);
  plain_ = Parameter();
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

void reparametrize(Module& layer, const std::string& name,
                   const std::function<std::unique_ptr<Reparametrization>(const Tensor&)>& make,
                   const char* who, const Site& site) {
  Weight& weight = weight_of(layer, name, who, site);
  check<ValueError>(weight.reparametrization() == nullptr, site,
                    "[{}] this weight has a reparametrization already: {}", who,
                    weight.reparametrization() ? weight.reparametrization()->settings() : "");
  check<ValueError>(weight.defined(), site, "[{}] this weight is undefined", who);
  std::unique_ptr<Reparametrization> by = make(weight.value(site).detach());
  by->train(layer.is_training());
  weight.reparametrize(std::move(by), who, site);
}

}  // namespace warptape
