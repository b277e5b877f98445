#include "models/impulse_test.h"

#include <cmath>

#include "core/check.h"
#include "core/tape.h"
#include "kernels/slice/slice.h"
#include "kernels/sum/sum.h"
#include "layers/layer_norm.h"

namespace warptape {
namespace {

// Of a weight-normalised layer all elements of v are alike, so that w = g / sqrt(n).
void make_mean(const NamedParameter& named) {
  Parameter& parameter = *named.parameter;
  const Shape& shape = parameter.value().shape();
  const auto fill = [&](double value) {
    parameter.assign(Tensor::full(shape, value, parameter.value().dtype()));
  };
  if (named.name.ends_with("bias")) {
    fill(0);
  } else if (shape.rank() >= 2 && !named.name.ends_with("_g")) {
    fill(static_cast<double>(shape[0]) / static_cast<double>(parameter.value().numel()));
  } else {
    fill(1);
  }
}

// g in front of its v: the norm of v is then that of a mean.
void make_means(Module& model) {
  const std::vector<NamedParameter> all = named_parameters(model);
  for (size_t i = 0; i < all.size(); ++i) {
    make_mean(all[i]);
    if (i > 0 && all[i].name.ends_with("_v") && all[i - 1].name.ends_with("_g")) {
      const Tensor& v = all[i].parameter->value();
      Parameter& g = *all[i - 1].parameter;
      const double fan_in = static_cast<double>(v.numel()) / static_cast<double>(v.size(0));
      g.assign(Tensor::full(g.value().shape(), 1 / std::sqrt(fan_in), v.dtype()));
    }
  }
}

// Layer norms pass on what they get: they take from each channel the mean of all, and what comes
// along all of them alike is gone behind them. Which steps reach which does not depend on them.
struct Unnormalize : Visitor {
  void on_module(const std::string&, Module& module) override {
    if (dynamic_cast<LayerNorm*>(&module) != nullptr) {
      module.register_forward_hook(
          [](Module&, const std::vector<Operand>& inputs, Tensor& output) { output = inputs[0]; });
    }
    descend(module);
  }
};

}  // namespace

std::vector<int64_t> impulse_test(Module& model, int64_t input_channels, int64_t length,
                                  int64_t t) {
  check<ValueError>(t >= 0 && t < length, "[impulse_test] t: got {}, wanted 0 to {}", t,
                    length - 1);
  make_means(model);
  Unnormalize().descend(model);
  model.eval();
  const Parameter x(Tensor::full({1, input_channels, length}, 1.0, float64));
  Tape tape;
  tape.backward(sum(slice(model(x), 1, t, t + 1)));
  const std::vector<double> gradient = x.grad().to_vector<double>();
  std::vector<int64_t> found;
  for (int64_t i = 0; i < length; ++i) {
    bool is_seen = false;
    for (int64_t c = 0; c < input_channels; ++c) {
      is_seen = is_seen || gradient[static_cast<size_t>(c * length + i)] != 0;
    }
    if (is_seen) {
      found.push_back(i);
    }
  }
  return found;
}

}  // namespace warptape
