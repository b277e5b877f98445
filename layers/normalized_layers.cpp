#include "layers/normalized_layers.h"

#include <utility>

#include "core/check.h"
#include "layers/conv1d.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose1d.h"
#include "layers/conv_transpose2d.h"
#include "layers/embedding.h"

namespace warptape {
namespace {

ProductLayout layout_of(const Module& layer) {
  ProductLayout layout;
  const auto look = [&]<class Layer>(const Layer* convolution, int output_axis) {
    if (convolution != nullptr) {
      layout = {output_axis, convolution->options().groups};
    }
  };
  look(dynamic_cast<const Conv1d*>(&layer), 0);
  look(dynamic_cast<const Conv2d*>(&layer), 0);
  look(dynamic_cast<const ConvTranspose1d*>(&layer), 1);
  look(dynamic_cast<const ConvTranspose2d*>(&layer), 1);
  return layout;
}

class FindNormalizedLayers : public Visitor {
 public:
  FindNormalizedLayers(Module& model, const char* who, const Site& site) : who_(who), site_(site) {
    meet("", model);
  }
  std::vector<NormalizedLayer> found;

 protected:
  void on_module(const std::string& name, Module& module) override {
    meet(path_.empty() ? name : path_ + "." + name, module);
  }
  void on_weight(const std::string& name, Weight& weight) override {
    auto* const norm = dynamic_cast<WeightNorm*>(weight.reparametrization());
    if (norm == nullptr) {
      return;
    }
    check<ValueError>(own_.norm == nullptr, site_,
                      "[{}] {} {}: got {} as a second weight-normalised weight, wanted one", who_,
                      own_.module->type_name(), escaped(own_.name), excerpt(name));
    own_.weight = &weight;
    own_.norm = norm;
  }
  void on_parameter(const std::string& name, Parameter& parameter) override {
    if (name == "bias") {
      own_.bias = &parameter;
    }
  }

 private:
  void meet(const std::string& path, Module& module) {
    const NormalizedLayer outer =
        std::exchange(own_, {&module, path, nullptr, nullptr, nullptr, layout_of(module)});
    const std::string outer_path = std::exchange(path_, path);
    descend(module);
    if (own_.norm != nullptr && dynamic_cast<Embedding*>(&module) == nullptr) {
      found.push_back(own_);
    }
    own_ = outer;
    path_ = outer_path;
  }

  const char* who_;
  Site site_;
  std::string path_;
  NormalizedLayer own_ = {};
};

}  // namespace

std::vector<NormalizedLayer> normalized_layers(Module& model, const char* who, const Site& site) {
  std::vector<NormalizedLayer> found = FindNormalizedLayers(model, who, site).found;
  check<ValueError>(
      !found.empty(), site,
      "[{}] {}: got no weight-normalised layer, wanted one; weight_norm() comes first", who,
      model.type_name());
  return found;
}

}  // namespace warptape
