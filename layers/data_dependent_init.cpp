#include "layers/data_dependent_init.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "core/check.h"
#include "core/tape.h"
#include "kernels/mean/mean.h"
#include "kernels/pointwise/pointwise.h"
#include "layers/init.h"
#include "layers/mode_scope.h"
#include "layers/normalized_layers.h"

namespace warptape {
namespace {

constexpr const char* who = "data_dependent_init";

// Dropout is off; layers that normalise keep their mode.
void set_modes(Module& model) {
  struct Norms : Visitor {
    void on_module(const std::string&, Module& module) override {
      if (module.is_norm() && module.is_training()) {
        found.push_back(&module);
      }
      module.fields(*this);
    }
    std::vector<Module*> found;
  } norms;
  norms.on_module("", model);
  model.eval();
  for (Module* norm : norms.found) {
    norm->train();
  }
}

// Values that come back: those of buffers always, those of parameters unless kept.
class Originals {
 public:
  explicit Originals(Module& model) {
    for (const NamedBuffer& named : named_buffers(model)) {
      buffers_.emplace_back(named.buffer, named.buffer->value().clone());
    }
  }
  ~Originals() {
    for (const auto& [buffer, value] : buffers_) {
      buffer->assign(value);
    }
    for (const auto& [parameter, value] : parameters_) {
      parameter->assign(value);
    }
  }
  Originals(const Originals&) = delete;
  Originals& operator=(const Originals&) = delete;
  void remember(Parameter& parameter) {
    parameters_.emplace_back(&parameter, parameter.value().detach().clone());
  }
  void keep_new() { parameters_.clear(); }

 private:
  std::vector<std::pair<Buffer*, Tensor>> buffers_;
  std::vector<std::pair<Parameter*, Tensor>> parameters_;
};

struct Statistics {
  std::vector<double> mean;  // of each channel
  std::vector<double> variance;
};

Statistics statistics_of(const Tensor& y, int channel_axis) {
  std::vector<int> others;
  for (int axis = 0; axis < y.rank(); ++axis) {
    if (axis != channel_axis) {
      others.push_back(axis);
    }
  }
  const Tensor wide = y.detach().to(float64);
  const Tensor means = mean(wide, others, true);
  const Tensor centred = sub(wide, means);
  return {means.to_vector<double>(), mean(mul(centred, centred), others).to_vector<double>()};
}

// One layer on its way through the batch.
class LayerInit {
 public:
  LayerInit(const NormalizedLayer& layer, const DataDependentInitOptions& options)
      : layer_(layer), options_(options) {}

  // t = v.x / ||v||
  void begin(Originals& originals) {
    originals.remember(layer_.norm->v());
    originals.remember(layer_.norm->g());
    if (layer_.bias != nullptr) {
      originals.remember(*layer_.bias);
      init::zeros(*layer_.bias);
    }
    if (options_.v_std) {
      init::normal(layer_.norm->v(), 0, *options_.v_std);
    }
    init::ones(layer_.norm->g());
  }

  // Takes t for what it is, and gives it mean 0 and variance 1.
  DataDependentLayer finish(const std::vector<Operand>& inputs, Tensor& output) {
    check<ValueError>(inputs.size() == 1, "[{}] {}: got {} inputs, wanted one", who,
                      layer_.module->type_name(), inputs.size());
    check<ShapeError>(output.rank() >= 2, "[{}] {}: got an output of shape {}, wanted (N, C, ...)",
                      who, layer_.module->type_name(), output.shape());
    const int axis = layer_.norm->v().value().rank() <= 2 ? output.rank() - 1 : 1;
    check<ShapeError>(
        layer_.bias == nullptr || layer_.bias->value().shape() == Shape{output.size(axis)},
        "[{}] {}: got a bias of shape {}, wanted ({},)", who, layer_.module->type_name(),
        layer_.bias == nullptr ? Shape{} : layer_.bias->value().shape(), output.size(axis));
    const Statistics t = statistics_of(output, axis);
    set(t);
    output = layer_.module->forward(inputs[0]);
    check_result(statistics_of(output, axis));
    DataDependentLayer report{layer_.name, t.mean, {}};
    for (const double variance : t.variance) {
      report.std.push_back(std::sqrt(variance));
    }
    return report;
  }

 private:
  void set(const Statistics& t) {
    const auto channels = static_cast<int64_t>(t.mean.size());
    double mean_variance = 0;
    for (size_t c = 0; c < t.variance.size(); ++c) {
      check<ValueError>(t.variance[c] > 0 && std::isfinite(t.variance[c]),
                        "[{}] {}: got a variance of {} in output channel {}, wanted one above 0; "
                        "does the batch have rows that differ?",
                        who, layer_.module->type_name(), t.variance[c], c);
      mean_variance += t.variance[c] / static_cast<double>(channels);
    }
    const Shape& shape = layer_.norm->g().value().shape();
    const int out = layer_.layout.output_axis;
    per_channel_ = shape.numel() == channels && shape.rank() > out && shape[out] == channels;
    std::vector<double> g(static_cast<size_t>(shape.numel()), 1 / std::sqrt(mean_variance));
    std::vector<double> bias;
    for (size_t c = 0; c < t.mean.size(); ++c) {
      if (per_channel_) {
        g[c] = 1 / std::sqrt(t.variance[c]);
      }
      bias.push_back(-t.mean[c] * (per_channel_ ? g[c] : 1 / std::sqrt(mean_variance)));
    }
    layer_.norm->g().assign(tensor(g, shape));
    if (layer_.bias != nullptr) {
      layer_.bias->assign(tensor(bias, {channels}));
    }
  }

  // Of bfloat16 rounded 256 times as coarsely, too.
  void check_result(const Statistics& now) const {
    constexpr double tolerance = 0.05;
    double mean_variance = 0;
    double largest_mean = 0;
    double worst = 0;
    for (size_t c = 0; c < now.mean.size(); ++c) {
      mean_variance += now.variance[c] / static_cast<double>(now.mean.size());
      largest_mean = std::max(largest_mean, std::abs(now.mean[c]));
      worst = std::max(worst, std::abs(now.variance[c] - 1));
    }
    const double off = per_channel_ ? worst : std::abs(mean_variance - 1);
    check<ValueError>(
        off <= tolerance && (layer_.bias == nullptr || largest_mean <= tolerance),
        "[{}] {}: got means up to {} and variances {} from 1 with the new g and bias, "
        "wanted a layer whose output is its product and its bias alone",
        who, layer_.module->type_name(), largest_mean, off);
  }

  NormalizedLayer layer_;
  DataDependentInitOptions options_;
  bool per_channel_ = false;  // whether g has a value for each output channel
};

// The pass: hooks of all layers, as long as it lives.
class Pass {
 public:
  Pass(const std::vector<NormalizedLayer>& layers, const DataDependentInitOptions& options,
       Originals& originals) {
    for (const NormalizedLayer& layer : layers) {
      auto init = std::make_shared<LayerInit>(layer, options);
      const auto is_running = std::make_shared<bool>(false);
      handles_.push_back(layer.module->register_forward_pre_hook(
          [this, layer, init, is_running, &originals](Module&, std::vector<Operand>&) {
            const bool v_is_new = seen_.insert(layer.norm->v().state().get()).second;
            const bool g_is_new = seen_.insert(layer.norm->g().state().get()).second;
            *is_running = v_is_new && g_is_new;
            if (*is_running) {
              init->begin(originals);
            }
          }));
      handles_.push_back(layer.module->register_forward_hook(
          [this, init, is_running](Module&, const std::vector<Operand>& inputs, Tensor& output) {
            if (std::exchange(*is_running, false)) {
              done.push_back(init->finish(inputs, output));
            }
          }));
    }
  }
  ~Pass() {
    for (HookHandle& handle : handles_) {
      handle.remove();
    }
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  std::vector<DataDependentLayer> done;

 private:
  std::vector<HookHandle> handles_;
  std::set<const ParameterState*> seen_;  // v and g of layers that were met
};

}  // namespace

std::vector<DataDependentLayer> data_dependent_init(Module& model,
                                                    const std::function<void()>& call,
                                                    const DataDependentInitOptions& options,
                                                    const Site& site) {
  check<ValueError>(!options.v_std || (*options.v_std > 0 && std::isfinite(*options.v_std)), site,
                    "[{}] v_std: got {}, wanted a number above 0, or none", who,
                    options.v_std.value_or(0));
  const std::vector<NormalizedLayer> layers = normalized_layers(model, who, site);
  const Operand v(layers[0].norm->v());
  check<ValueError>(Tape::recording({&v}) == nullptr, site,
                    "[{}] got an open tape, wanted none: nothing is recorded", who);
  Originals originals(model);
  const ModeScope modes(model);
  set_modes(model);
  Pass pass(layers, options, originals);
  call();
  check<ValueError>(!pass.done.empty(), site,
                    "[{}] the call met none of the {} weight-normalised layers of {}", who,
                    layers.size(), model.type_name());
  originals.keep_new();
  return std::move(pass.done);
}

std::vector<DataDependentLayer> data_dependent_init(Module& model, const Operand& x,
                                                    const DataDependentInitOptions& options) {
  return data_dependent_init(
      model, [&] { model(x); }, options, x.site());
}

}  // namespace warptape
