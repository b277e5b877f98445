#include "training/study/method.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.h"
#include "core/primitives.h"
#include "layers/batch_norm.h"
#include "layers/data_dependent_init.h"
#include "layers/mean_only_batch_norm.h"
#include "layers/normalized_layers.h"
#include "layers/weight_norm.h"
#include "training/optimizers/adam.h"
#include "training/optimizers/sgd.h"

namespace warptape::weight_norm_study {
namespace {

bool has_weight_norm(Method method) {
  return method == Method::WeightNorm || method == Method::WeightNormInit ||
         method == Method::WeightNormMeanOnly;
}

bool has_norms_behind(Method method) {
  return method == Method::BatchNorm || method == Method::WeightNormMeanOnly;
}

// A norm for what a weight (O, I, ...) gives: (N, O), (N, O, L) or (N, O, H, W).
std::unique_ptr<Module> norm_behind(const Weight& weight, Method method) {
  const BatchNorm::Options options{.num_features = weight.shape()[0]};
  if (method == Method::WeightNormMeanOnly) {
    return std::make_unique<MeanOnlyBatchNorm>(options.num_features);
  }
  if (weight.shape().rank() == 4) {
    return std::make_unique<BatchNorm2d>(options);
  }
  return std::make_unique<BatchNorm1d>(options);
}

// A model whose layers have norms behind them, put there by hooks: the model itself stays as it is.
class NormedModel : public Module {
 public:
  NormedModel(std::unique_ptr<Module> model, const std::vector<NormalizedLayer>& layers,
              Method method)
      : model_(std::move(model)) {
    for (const NormalizedLayer& layer : layers) {
      norms_.push_back(norm_behind(*layer.weight, method));
      layer.module->register_forward_hook(
          [norm = norms_.back().get()](Module&, const std::vector<Operand>&, Tensor& output) {
            output = (*norm)(output);
          });
    }
  }
  void fields(Visitor& visit) override { visit("model", model_)("norms", norms_); }
  Tensor forward(const Operand& x) override { return (*model_)(x); }
  std::string type_name() const override { return "NormedModel"; }

 private:
  std::unique_ptr<Module> model_;
  std::vector<std::unique_ptr<Module>> norms_;
};

template <class Rule>
std::unique_ptr<Optimizer> make_rule(ParameterStates rows, ParameterStates others,
                                     typename Rule::Options options) {
  std::vector<typename Rule::Group> groups;
  if (!others.empty()) {
    groups.push_back({.parameters = std::move(others)});
  }
  if (!rows.empty()) {
    groups.push_back({.parameters = std::move(rows), .constraint = Constraint::UnitRows});
  }
  auto optimizer = std::make_unique<Rule>(std::move(groups), options);
  optimizer->project();
  return optimizer;
}

// The parameter that a plain weight is.
class OwnParameter : public Visitor {
 public:
  explicit OwnParameter(Weight& weight) { (*this)("weight", weight); }
  std::shared_ptr<ParameterState> state;

 protected:
  void on_parameter(const std::string&, Parameter& parameter) override {
    state = parameter.state();
  }
};

Tensor studied_rows(Weight& weight) {
  auto* const norm = dynamic_cast<WeightNorm*>(weight.reparametrization());
  const Tensor value = norm != nullptr ? norm->v().value() : weight.value().detach();
  return primitives::cast(value.detach().to(cpu), float64);
}

}  // namespace

StudiedModel::StudiedModel(std::unique_ptr<Module> model, Method method)
    : whole_(std::move(model)), method_(method) {
  const std::vector<NormalizedLayer> layers = normalized_layers(*whole_, "study", Site::here());
  for (const NormalizedLayer& layer : layers) {
    weights_.push_back(layer.weight);
    if (!has_weight_norm(method)) {
      layer.weight->remove_reparametrization("study", Site::here());
    }
  }
  if (has_norms_behind(method)) {
    const Device device = parameters(*whole_).front()->value.device();
    whole_ = std::make_unique<NormedModel>(std::move(whole_), layers, method);
    whole_->to(device);
  }
}

// v stays: all methods begin with the same directions.
void StudiedModel::begin_with(const Tensor& inputs) {
  data_dependent_init(*whole_, inputs, {.v_std = std::nullopt});
}

std::unique_ptr<Optimizer> StudiedModel::make_optimizer(const std::string& name,
                                                        double learning_rate, double momentum) {
  ParameterStates rows;
  if (method_ == Method::UnitRows) {
    for (Weight* const weight : weights_) {
      rows.push_back(OwnParameter(*weight).state);
    }
  }
  ParameterStates others;
  for (const auto& parameter : parameters(*whole_)) {
    if (std::find(rows.begin(), rows.end(), parameter) == rows.end()) {
      others.push_back(parameter);
    }
  }
  if (name == "sgd") {
    return make_rule<SGD>(std::move(rows), std::move(others),
                          {.lr = learning_rate, .momentum = momentum});
  }
  return make_rule<Adam>(std::move(rows), std::move(others), {.lr = learning_rate});
}

std::vector<double> StudiedModel::row_norms() const {
  std::vector<double> norms;
  for (Weight* const weight : weights_) {
    const std::vector<double> values = studied_rows(*weight).to_vector<double>();
    const auto rows = static_cast<size_t>(weight->shape()[0]);
    const size_t length = values.size() / rows;
    for (size_t row = 0; row < rows; ++row) {
      double sum = 0;
      for (size_t i = 0; i < length; ++i) {
        sum += values[row * length + i] * values[row * length + i];
      }
      norms.push_back(std::sqrt(sum));
    }
  }
  return norms;
}

}  // namespace warptape::weight_norm_study
