#include "layers/state_dict.h"

#include <functional>
#include <map>

#include "core/primitives.h"
#include "kernels/weight_norm/weight_norm.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

// Walks a module and decides for each of its fields what to do with which tensors; the assignments
// are carried out only if nothing was wrong.
class Loader : public Visitor {
 public:
  explicit Loader(const StateDict& state) {
    for (const auto& [key, tensor] : state) {
      tensors_.emplace(key, tensor);
    }
  }

  void on_module(const std::string& name, Module& module) override {
    const std::string outer = prefix_;
    prefix_ += name + ".";
    module.fields(*this);
    prefix_ = outer;
  }

  void on_parameter(const std::string& name, Parameter& parameter) override {
    const std::string key = prefix_ + name;
    if (const Tensor* tensor = take(key, parameter.value().shape())) {
      assignments_.push_back([&parameter, tensor] { parameter.assign(*tensor); });
    }
  }

  void on_weight(const std::string& name, Weight& weight) override {
    const std::string key = prefix_ + name;
    const std::string newer = prefix_ + "parametrizations." + name + ".original";
    if (has(key + "_g") || has(key + "_v")) {
      load_pair(weight, key + "_g", key + "_v");
    } else if (has(newer + "0") || has(newer + "1")) {
      load_pair(weight, newer + "0", newer + "1");
    } else if (has(key) || weight.reparametrization() == nullptr) {
      if (const Tensor* tensor = take(key, weight.shape())) {
        assignments_.push_back([&weight, tensor] { weight.assign(*tensor); });
      }
    } else {
      load_pair(weight, key + "_g", key + "_v");  // names what is missing
    }
  }

  void finish(const Module& module, const Site& site) {
    std::string problems = missing_;
    for (const auto& [key, tensor] : tensors_) {
      if (!used_.count(key)) {
        problems += fmt::format("\n  unexpected: {} {}", key, tensor.shape());
      }
    }
    problems += mis_shaped_;
    check<ValueError>(problems.empty(), site, "[load_state_dict] does not fit {}:{}",
                      module.type_name(), problems);
    for (const auto& assign : assignments_) {
      assign();
    }
  }

 private:
  bool has(const std::string& key) const { return tensors_.count(key) > 0; }

  // The tensor of this key if it is there and has the shape; else the problem is noted.
  const Tensor* take(const std::string& key, const Shape& wanted) {
    const auto found = tensors_.find(key);
    if (found == tensors_.end()) {
      missing_ += fmt::format("\n  missing: {} {}", key, wanted);
      return nullptr;
    }
    used_[key] = true;
    if (!(found->second.shape() == wanted)) {
      mis_shaped_ +=
          fmt::format("\n  mis-shaped: {}: got {}, wanted {}", key, found->second.shape(), wanted);
      return nullptr;
    }
    return &found->second;
  }

  void load_pair(Weight& weight, const std::string& key_g, const std::string& key_v) {
    Shape norms = weight.shape();
    for (int d = 1; d < norms.rank(); ++d) {
      norms[d] = 1;
    }
    const Tensor* g = take(key_g, norms);
    const Tensor* v = take(key_v, weight.shape());
    if (g == nullptr || v == nullptr) {
      return;
    }
    assignments_.push_back([&weight, g, v] {
      if (auto* norm = dynamic_cast<WeightNorm*>(weight.reparametrization())) {
        norm->g().assign(*g);
        norm->v().assign(*v);
      } else {
        weight.assign(weight_norm(primitives::cast(*v, float64), primitives::cast(*g, float64)));
      }
    });
  }

  std::map<std::string, Tensor> tensors_;
  std::map<std::string, bool> used_;
  std::string prefix_;
  std::string missing_;
  std::string mis_shaped_;
  std::vector<std::function<void()>> assignments_;
};

}  // namespace

StateDict state_dict(const Module& module) {
  StateDict result;
  for (const NamedParameter& named : named_parameters(to_list(module))) {
    result.emplace_back(named.name, named.parameter->value().detach());
  }
  return result;
}

void load_state_dict(Module& module, const StateDict& state, const Site& site) {
  Loader loader(state);
  module.fields(loader);
  loader.finish(module, site);
}

}  // namespace warptape
