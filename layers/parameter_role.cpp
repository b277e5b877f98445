#include "layers/parameter_role.h"

#include <unordered_map>
#include <utility>

#include "layers/weight.h"

namespace warptape {
namespace {

class FindRoles : public Visitor {
 public:
  explicit FindRoles(Module& module) : inside_(&module) { module.fields(*this); }
  std::unordered_map<const ParameterState*, ParameterRole> found;

 protected:
  void on_module(const std::string&, Module& module) override {
    const Module* const outer = std::exchange(inside_, &module);
    module.fields(*this);
    inside_ = outer;
  }
  void on_weight(const std::string& name, Weight& weight) override {
    by_ = weight.reparametrization();
    Visitor::on_weight(name, weight);
    by_ = nullptr;
  }
  void on_parameter(const std::string& name, Parameter& parameter) override {
    found.try_emplace(parameter.state().get(), role_of(name, parameter));
  }

 private:
  ParameterRole role_of(const std::string& name, const Parameter& parameter) const {
    if (by_ != nullptr) {
      return by_->role_of(parameter);
    }
    if (inside_->is_norm()) {
      return ParameterRole::Norm;
    }
    return name == "bias" ? ParameterRole::Bias : ParameterRole::Other;
  }

  const Module* inside_;
  const Reparametrization* by_ = nullptr;  // of the weight whose parameters are met
};

}  // namespace

const char* to_string(ParameterRole role) {
  switch (role) {
    case ParameterRole::V:
      return "v";
    case ParameterRole::G:
      return "g";
    case ParameterRole::Bias:
      return "bias";
    case ParameterRole::Norm:
      return "norm";
    case ParameterRole::Other:
      break;
  }
  return "other";
}

std::vector<RoleOfParameter> parameter_roles(Module& module) {
  const FindRoles roles(module);
  std::vector<RoleOfParameter> result;
  for (const auto& parameter : parameters(module)) {
    result.push_back({parameter, roles.found.at(parameter.get())});
  }
  return result;
}

}  // namespace warptape
