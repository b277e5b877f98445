#include "training/optimizer.h"

#include <cmath>

#include "core/profile.h"

namespace warptape {
namespace {

void check_option(const char* optimizer, const char* option, double value, double low,
                  double high) {
  check<ValueError>(value >= low && value < high, "[{}] {}: got {}, wanted {} <= value < {}",
                    optimizer, option, value, low, high);
}

}  // namespace

Optimizer::Optimizer(const char* name, ParameterStates parameters, double learning_rate,
                     int buffers)
    : name_(name), buffers_(buffers) {
  set_learning_rate(learning_rate);
  check<ValueError>(!parameters.empty(), "[{}] got no parameters", name);
  for (auto& parameter : parameters) {
    entries_.push_back({std::move(parameter), {}, {}});
  }
}

void Optimizer::set_learning_rate(double learning_rate) {
  check<ValueError>(std::isfinite(learning_rate) && learning_rate >= 0,
                    "[{}] learning rate: got {}, wanted a finite number of 0 or more", name_,
                    learning_rate);
  scalars_.learning_rate = learning_rate;
}

void Optimizer::zero_grad() {
  for (Entry& entry : entries_) {
    entry.parameter->grad_is_empty = true;
  }
}

void Optimizer::step() {
  const profile::Range range("optimizer");
  std::vector<ParameterUpdate> updates;
  for (Entry& entry : entries_) {
    ParameterState& parameter = *entry.parameter;
    if (parameter.grad_is_empty || !parameter.requires_grad) {
      continue;
    }
    if (entry.steps++ == 0) {
      entry.first = buffers_ > 0 ? Tensor::empty_like(parameter.value) : Tensor();
      entry.second = buffers_ > 1 ? Tensor::empty_like(parameter.value) : Tensor();
    }
    updates.push_back({parameter.value, parameter.grad, entry.first, entry.second, entry.steps});
  }
  if (!updates.empty()) {
    on_device(name_, updates[0].value.device(), [&] { update(updates, &scalars_); });
  }
}

SGD::SGD(ParameterStates parameters, Options options)
    : Optimizer("SGD", std::move(parameters), options.lr, options.momentum != 0 ? 1 : 0),
      constants_{options.momentum, options.dampening, options.weight_decay, options.nesterov} {
  check_option("SGD", "momentum", options.momentum, 0, INFINITY);
  check_option("SGD", "weight_decay", options.weight_decay, 0, INFINITY);
  check<ValueError>(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
                    "[SGD] nesterov: got momentum {} and dampening {}, wanted momentum above 0 and "
                    "no dampening",
                    options.momentum, options.dampening);
}

void SGD::update(std::span<ParameterUpdate> updates, const StepScalars* scalars) {
  sgd_step_cpu(updates, constants_, scalars);
}

Adam::Adam(const char* name, ParameterStates parameters, Options options, bool decoupled)
    : Optimizer(name, std::move(parameters), options.lr, 2),
      constants_{options.beta1, options.beta2, options.eps, options.weight_decay, decoupled} {
  check_option(name, "beta1", options.beta1, 0, 1);
  check_option(name, "beta2", options.beta2, 0, 1);
  check_option(name, "eps", options.eps, 0, INFINITY);
  check_option(name, "weight_decay", options.weight_decay, 0, INFINITY);
}

void Adam::update(std::span<ParameterUpdate> updates, const StepScalars* scalars) {
  adam_step_cpu(updates, constants_, scalars);
}

namespace {

std::vector<Tensor> gradients(const ParameterStates& parameters) {
  std::vector<Tensor> result;
  for (const auto& parameter : parameters) {
    if (!parameter->grad_is_empty) {
      result.push_back(parameter->grad);
    }
  }
  return result;
}

}  // namespace

double grad_norm(const ParameterStates& parameters) {
  const profile::Range range("grad_norm");
  const std::vector<Tensor> tensors = gradients(parameters);
  double squares = 0;
  if (!tensors.empty()) {
    on_device("grad_norm", tensors[0].device(), [&] { squares = sum_of_squares_cpu(tensors); });
  }
  return std::sqrt(squares);
}

double clip_grad_norm(const ParameterStates& parameters, double max_norm) {
  check<ValueError>(max_norm > 0, "[clip_grad_norm] max_norm: got {}, wanted more than 0",
                    max_norm);
  const double norm = grad_norm(parameters);
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1) {
    std::vector<Tensor> tensors = gradients(parameters);
    on_device("clip_grad_norm", tensors[0].device(), [&] { scale_cpu(tensors, factor); });
  }
  return norm;
}

}  // namespace warptape
