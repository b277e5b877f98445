#include "training/optimizer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "core/device/on_device.h"
#include "core/fresh_gradients.h"
#include "core/primitives.h"
#include "core/profile.h"

namespace warptape {
namespace {

void check_option(const char* optimizer, const char* option, double value, double low,
                  double high) {
  check<ValueError>(value >= low && value < high, "[{}] {}: got {}, wanted {} <= value < {}",
                    optimizer, option, value, low, high);
}

// "conv1.weight of shape (8, 3, 3, 3)"; "a parameter of shape ..." where no module has listed it.
std::string describe(const ParameterState& parameter) {
  return fmt::format("{} of shape {}", parameter.name.empty() ? "a parameter" : parameter.name,
                     parameter.value.shape());
}

void check_each_once(const char* who, const ParameterStates& parameters) {
  std::unordered_map<const ParameterState*, size_t> places;
  for (size_t i = 0; i < parameters.size(); ++i) {
    check<ValueError>(parameters[i] != nullptr && parameters[i]->value.defined(),
                      "[{}] parameter {} (counted from 0): got an undefined one", who, i);
    const auto [first, is_new] = places.emplace(parameters[i].get(), i);
    check<ValueError>(is_new, "[{}] got {} twice, as parameters {} and {} (counted from 0)", who,
                      describe(*parameters[i]), first->second, i);
  }
}

void check_parameters(const char* who, const ParameterStates& parameters) {
  check<ValueError>(!parameters.empty(),
                    "[{}] got no parameters: does the module list its members in fields()?", who);
  check_each_once(who, parameters);
  for (const auto& parameter : parameters) {
    check<DTypeError>(is_floating(parameter->value.dtype()), "[{}] {}: got {}, wanted {}", who,
                      describe(*parameter), to_string(parameter->value.dtype()),
                      floating_dtype_names);
  }
  const bool any = std::any_of(parameters.begin(), parameters.end(),
                               [](const auto& parameter) { return parameter->requires_grad; });
  check<ValueError>(
      any,
      "[{}] got {} parameter{} that all require no gradient, {} first; unfreeze() what shall train",
      who, parameters.size(), parameters.size() == 1 ? "" : "s", describe(*parameters[0]));
}

}  // namespace

Optimizer::Optimizer(const char* name, ParameterStates parameters, double learning_rate,
                     std::vector<const char*> buffers)
    : name_(name), buffers_(std::move(buffers)) {
  set_learning_rate(learning_rate);
  check_parameters(name, parameters);
  std::map<std::string, int> uses;
  for (const auto& parameter : parameters) {
    ++uses[parameter->name];
  }
  for (auto& parameter : parameters) {
    const bool has_own_name = !parameter->name.empty() && uses[parameter->name] == 1;
    std::string key = has_own_name ? parameter->name : std::to_string(entries_.size());
    ++parameter->optimizers;
    entries_.push_back({std::move(parameter), std::move(key), {}, {}});
  }
}

Optimizer::~Optimizer() {
  for (const Entry& entry : entries_) {
    --entry.parameter->optimizers;
  }
}

void Optimizer::check_all_held() const {
  constexpr size_t most_named = 8;
  std::vector<std::string> unheld;
  for (const auto& [parameter, op, site] : fresh_gradients::list()) {
    if (parameter->optimizers == 0 && parameter->requires_grad && !parameter->grad_is_empty) {
      unheld.push_back(fmt::format("{} (used by {}{})", describe(*parameter), op, at(site)));
    }
  }
  const size_t count = unheld.size();
  if (count > most_named) {
    unheld.resize(most_named);
    unheld.emplace_back("...");
  }
  check<ValueError>(
      count == 0,
      "[{}] step: {} parameter{} got a gradient that no optimizer holds: {}. Does fields() list "
      "every member? Was the module copied, replaced or weight-normalised after its optimizer was "
      "made? Freeze what shall not train, or allow it: step({{.allow_unheld = true}})",
      name_, count, count == 1 ? "" : "s", fmt::join(unheld, ", "));
}

void Optimizer::set_learning_rate(double learning_rate) {
  check<ValueError>(std::isfinite(learning_rate) && learning_rate >= 0,
                    "[{}] learning rate: got {}, wanted a finite number of 0 or more", name_,
                    learning_rate);
  if (state_.learning_rate.defined() && learning_rate != learning_rate_) {
    primitives::fill(state_.learning_rate, learning_rate);
  }
  learning_rate_ = learning_rate;
}

void Optimizer::zero_grad() {
  fresh_gradients::clear();  // what came before belongs to no step that is still to come
  for (Entry& entry : entries_) {
    entry.parameter->grad_is_empty = true;
  }
}

void Optimizer::prepare_state(Device device) {
  if (!state_.steps.defined()) {
    state_.learning_rate = Tensor::full({1}, learning_rate_, float64, device);
    state_.steps = Tensor::zeros({static_cast<int64_t>(entries_.size())}, int64, device);
    state_.arrivals = Tensor::zeros({1}, int64, device);
  }
  check<DeviceError>(state_.steps.device() == device,
                     "[{}] parameters: got one on {}, wanted all on {} as at the first step", name_,
                     to_string(device), to_string(state_.steps.device()));
}

StateDict Optimizer::state_dict() {
  StateDict state;
  if (!state_.steps.defined()) {
    return state;
  }
  state.emplace_back("steps", state_.steps);
  for (Entry& entry : entries_) {
    for (size_t k = 0; k < buffers_.size(); ++k) {
      if (entry.buffer(k).defined()) {
        state.emplace_back(entry.key + "." + buffers_[k], entry.buffer(k));
      }
    }
  }
  return state;
}

void Optimizer::load_state_dict(const StateDict& state) {
  std::map<std::string, Tensor> given;
  for (const auto& [key, tensor] : state) {
    check<ValueError>(given.emplace(key, tensor).second, "[{}] state: got {} twice", name_,
                      escaped(key));
  }
  const auto take = [&](const std::string& key) {
    const auto node = given.extract(key);
    return node.empty() ? Tensor() : node.mapped();
  };
  const auto count = static_cast<int64_t>(entries_.size());
  const Tensor steps = take("steps");
  std::vector<int64_t> updates(entries_.size(), 0);
  if (steps.defined()) {
    check<ValueError>(steps.dtype() == int64 && steps.shape() == Shape{count},
                      "[{}] state: steps: got {} of shape {}, wanted int64 of shape {}", name_,
                      to_string(steps.dtype()), steps.shape(), Shape{count});
    updates = steps.to_vector<int64_t>();
  }
  std::vector<std::vector<Tensor>> buffers;  // of each entry
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Tensor& value = entries_[i].parameter->value;
    check<ValueError>(updates[i] >= 0, "[{}] state: steps: got {} of {}, wanted 0 or more", name_,
                      updates[i], entries_[i].key);
    buffers.emplace_back();
    for (const char* buffer : buffers_) {
      const std::string key = entries_[i].key + "." + buffer;
      const Tensor tensor = take(key);
      check<ValueError>(tensor.defined() || updates[i] == 0,
                        "[{}] state: {}: got none, wanted one of a parameter that was updated {} "
                        "times",
                        name_, escaped(key), updates[i]);
      if (tensor.defined()) {
        check<ValueError>(tensor.dtype() == value.dtype() && tensor.shape() == value.shape(),
                          "[{}] state: {}: got {} of shape {}, wanted {} of shape {}", name_,
                          escaped(key), to_string(tensor.dtype()), tensor.shape(),
                          to_string(value.dtype()), value.shape());
      }
      buffers.back().push_back(tensor);
    }
  }
  check<ValueError>(given.empty(), "[{}] state: got {}, which this optimizer does not have", name_,
                    given.empty() ? "" : escaped(given.begin()->first));

  const Device device = entries_[0].parameter->value.device();
  state_ = StepState();
  if (steps.defined()) {
    prepare_state(device);
    primitives::copy(steps.to(device), state_.steps);
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    for (size_t k = 0; k < buffers_.size(); ++k) {
      Tensor& own = entries_[i].buffer(k);
      own = Tensor();
      if (buffers[i][k].defined()) {
        own = Tensor::empty_like(entries_[i].parameter->value);
        primitives::copy(buffers[i][k].to(device), own);
      }
    }
  }
}

void Optimizer::step(StepOptions options) {
  const profile::Range range("optimizer");
  if (!options.allow_unheld) {
    check_all_held();
  }
  fresh_gradients::clear();
  std::vector<ParameterUpdate> updates;
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    ParameterState& parameter = *entry.parameter;
    if (parameter.grad_is_empty || !parameter.requires_grad) {
      continue;
    }
    prepare_state(parameter.value.device());
    for (size_t k = 0; k < buffers_.size(); ++k) {
      if (!entry.buffer(k).defined()) {
        entry.buffer(k) = Tensor::empty_like(parameter.value);
      }
    }
    updates.push_back(
        {parameter.value, parameter.grad, entry.first, entry.second, static_cast<int64_t>(i)});
  }
  if (!updates.empty()) {
    update(state_.steps.device(), updates, state_);
  }
}

SGD::SGD(ParameterStates parameters, Options options)
    : Optimizer(
          "SGD", std::move(parameters), options.lr,
          options.momentum != 0 ? std::vector{"momentum_buffer"} : std::vector<const char*>{}),
      constants_{options.momentum, options.dampening, options.weight_decay, options.nesterov} {
  check_option("SGD", "momentum", options.momentum, 0, INFINITY);
  check_option("SGD", "weight_decay", options.weight_decay, 0, INFINITY);
  check<ValueError>(!options.nesterov || (options.momentum > 0 && options.dampening == 0),
                    "[SGD] nesterov: got momentum {} and dampening {}, wanted momentum above 0 and "
                    "no dampening",
                    options.momentum, options.dampening);
}

void SGD::update(Device device, std::span<ParameterUpdate> updates, StepState& state) {
  on_device(
      "SGD", device, [&] { sgd_step_cpu(updates, constants_, state); },
      [&] { sgd_step_cuda(updates, constants_, state); });
}

Adam::Adam(const char* name, ParameterStates parameters, Options options, bool decoupled)
    : Optimizer(name, std::move(parameters), options.lr, {"exp_avg", "exp_avg_sq"}),
      constants_{options.beta1, options.beta2, options.eps, options.weight_decay, decoupled} {
  check_option(name, "beta1", options.beta1, 0, 1);
  check_option(name, "beta2", options.beta2, 0, 1);
  check_option(name, "eps", options.eps, 0, INFINITY);
  check_option(name, "weight_decay", options.weight_decay, 0, INFINITY);
}

void Adam::update(Device device, std::span<ParameterUpdate> updates, StepState& state) {
  on_device(
      "Adam", device, [&] { adam_step_cpu(updates, constants_, state); },
      [&] { adam_step_cuda(updates, constants_, state); });
}

namespace {

std::vector<Tensor> gradients(const char* who, const ParameterStates& parameters) {
  check_each_once(who, parameters);
  std::vector<Tensor> result;
  for (const auto& parameter : parameters) {
    if (!parameter->grad_is_empty && parameter->requires_grad) {
      result.push_back(parameter->grad);
    }
  }
  return result;
}

// {norm, factor} of tensors that are not empty, on their device.
Tensor norm_and_factor(std::span<const Tensor> tensors, double max_norm) {
  const Device device = tensors[0].device();
  for (const Tensor& tensor : tensors) {
    check<DeviceError>(tensor.device() == device,
                       "[grad_norm] gradients: got one on {} and one on {}, wanted one device",
                       to_string(device), to_string(tensor.device()));
  }
  Tensor result = Tensor::empty({2}, float64, device);
  on_device(
      "grad_norm", device, [&] { clip_factor_cpu(tensors, max_norm, result); },
      [&] { clip_factor_cuda(tensors, max_norm, result); });
  return result;
}

}  // namespace

Tensor queue_grad_norm(const ParameterStates& parameters) {
  const profile::Range range("grad_norm");
  const std::vector<Tensor> tensors = gradients("grad_norm", parameters);
  return tensors.empty() ? Tensor::zeros({1}, float64) : norm_and_factor(tensors, 1).slice(0, 1);
}

Tensor queue_clip_grad_norm(const ParameterStates& parameters, double max_norm) {
  check<ValueError>(max_norm > 0, "[clip_grad_norm] max_norm: got {}, wanted more than 0",
                    max_norm);
  const profile::Range range("clip_grad_norm");
  std::vector<Tensor> tensors = gradients("clip_grad_norm", parameters);
  if (tensors.empty()) {
    return Tensor::zeros({1}, float64);
  }
  const Tensor result = norm_and_factor(tensors, max_norm);
  on_device(
      "clip_grad_norm", result.device(), [&] { scale_by_factor_cpu(tensors, result); },
      [&] { scale_by_factor_cuda(tensors, result); });
  return result.slice(0, 1);
}

double grad_norm(const ParameterStates& parameters) {
  return queue_grad_norm(parameters).item();
}

double clip_grad_norm(const ParameterStates& parameters, double max_norm) {
  return queue_clip_grad_norm(parameters, max_norm).item();
}

}  // namespace warptape
