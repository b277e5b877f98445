#include "training/optimizer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/fresh_gradients.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "training/constraints.h"
#include "training/kept_updates.h"

namespace warptape {
namespace {

void check_trainable(const char* who, const ParameterStates& parameters) {
  check_parameters(who, parameters);
  const bool any = std::any_of(parameters.begin(), parameters.end(),
                               [](const auto& parameter) { return parameter->requires_grad; });
  check<ValueError>(
      any,
      "[{}] got {} parameter{} that all require no gradient, {} first; unfreeze() what shall train",
      who, parameters.size(), parameters.size() == 1 ? "" : "s", describe(*parameters[0]));
}

// Whether it is among them. Looks from `place` on, where it leaves the place behind the one found:
// an optimizer's parameters are mostly in the order of the model's.
bool find_from(const ParameterStates& states, const std::shared_ptr<ParameterState>& wanted,
               size_t& place) {
  for (size_t i = 0; i < states.size(); ++i) {
    const size_t at = (place + i) % states.size();
    if (states[at] == wanted) {
      place = at + 1;
      return true;
    }
  }
  return false;
}

}  // namespace

double OptimizerOptions::operator[](std::string_view name) const {
  const auto found =
      std::find_if(begin(), end(), [&](const auto& option) { return option.name == name; });
  check(found != end(), "[optimizer] there is no option {}", name);
  return found->value;
}

Optimizer::Optimizer(const char* name, std::vector<GroupOf> groups) : name_(name) {
  ParameterStates all;
  for (const GroupOf& group : groups) {
    all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  }
  for (const GroupOf& group : groups) {
    check_rate(group.learning_rate);
  }
  check_trainable(name, all);
  add_entries(std::move(groups), state_keys(all));
}

void Optimizer::add_entries(std::vector<GroupOf> groups, const std::vector<std::string>& keys) {
  for (GroupOf& group : groups) {
    for (auto& parameter : group.parameters) {
      ++parameter->optimizers;
      entries_.push_back({std::move(parameter), groups_.size(), keys[entries_.size()], {}});
    }
    groups_.push_back({group.learning_rate, std::move(group.options)});
  }
}

void Optimizer::check_rate(double learning_rate) const {
  check<ValueError>(std::isfinite(learning_rate) && learning_rate >= 0,
                    "[{}] learning rate: got {}, wanted a finite number of 0 or more", name_,
                    learning_rate);
}

void Optimizer::check_groups(const std::vector<GroupState>& groups) const {
  for (const GroupState& group : groups) {
    check_rate(group.learning_rate);
    for (const OptimizerOption& option : group.options) {
      check<ValueError>(option.value >= option.low && option.value < option.high,
                        "[{}] {}: got {}, wanted {} <= value < {}", name_, option.name,
                        option.value, option.low, option.high);
    }
    check_options(group.options);
  }
  check_constraints(groups);
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

double Optimizer::learning_rate(size_t group) const {
  check<ValueError>(group < groups_.size(), "[{}] group: got {}, wanted one of {} groups", name_,
                    group, groups_.size());
  return groups_[group].learning_rate;
}

void Optimizer::set_learning_rate(size_t group, double learning_rate) {
  const double before = this->learning_rate(group);
  check_rate(learning_rate);
  GroupState& own = groups_[group];
  own.rate_has_changed = own.rate_has_changed || learning_rate != before;
  own.learning_rate = learning_rate;
  if (!rates_wait_) {
    write_rate(own);
  }
}

void Optimizer::write_rate(GroupState& group) {
  if (group.rate_has_changed && group.rate_on_device.defined()) {
    primitives::fill(group.rate_on_device, group.learning_rate);
    group.rate_has_changed = false;
  }
}

void Optimizer::write_changed_rates(const std::function<void(double*, double)>& visit) {
  for (GroupState& group : groups_) {
    if (group.rate_has_changed && group.rate_on_device.defined()) {
      visit(group.rate_on_device.mutable_data<double>(), group.learning_rate);
      group.rate_has_changed = false;
    }
  }
}

void Optimizer::set_learning_rate(double learning_rate) {
  for (size_t group = 0; group < groups_.size(); ++group) {
    set_learning_rate(group, learning_rate);
  }
}

void Optimizer::zero_grad() {
  fresh_gradients::clear();  // what came before belongs to no step that is still to come
  for (Entry& entry : entries_) {
    entry.parameter->grad_is_empty = true;
  }
}

Tensor Optimizer::make_buffer(size_t /*buffer*/, const Tensor& value) const {
  return Tensor::empty_like(value);
}

void Optimizer::prepare_state(Device device) {
  if (!state_.steps.defined()) {
    for (GroupState& group : groups_) {
      group.rate_on_device = Tensor::full({1}, group.learning_rate, float64, device);
      group.rate_has_changed = false;
    }
    state_.steps = Tensor::zeros({static_cast<int64_t>(entries_.size())}, int64, device);
    state_.arrivals = Tensor::zeros({1}, int64, device);
  }
  check<DeviceError>(state_.steps.device() == device,
                     "[{}] parameters: got one on {}, wanted all on {} as at the first step", name_,
                     to_string(device), to_string(state_.steps.device()));
}

Optimizer::Updates Optimizer::updates_of(size_t group, const ClipFactor& clip) {
  const std::vector<const char*> kept = buffers(groups_[group].options);
  Updates result;
  std::vector<ParameterUpdate>& updates = result.of_parameters;
  std::vector<std::pair<size_t, std::shared_ptr<KeptValue>>> kept_of_updates;
  size_t place = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    ParameterState& parameter = *entry.parameter;
    if (entry.group != group || parameter.grad_is_empty || !parameter.requires_grad) {
      continue;
    }
    prepare_state(parameter.value.device());
    for (size_t k = 0; k < kept.size(); ++k) {
      if (kept[k] != nullptr && !entry.buffers[k].defined()) {
        entry.buffers[k] = make_buffer(k, parameter.value);
      }
    }
    updates.push_back({parameter.value, parameter.grad, entry.buffers, static_cast<int64_t>(i)});
    updates.back().constraint = constraint_of(groups_[group].options);
    if (clip.norm_and_factor.defined() && find_from(*clip.of, entry.parameter, place)) {
      updates.back().clip = clip.norm_and_factor;
    }
    if (parameter.value.device() != cpu) {
      if (auto kept_value = KeptValue::of(parameter)) {
        kept_of_updates.emplace_back(updates.size() - 1, std::move(kept_value));
      }
    }
  }
  for (auto& [at, kept_value] : kept_of_updates) {
    if (write_with(updates, at, *kept_value)) {
      result.kept.push_back(std::move(kept_value));
    }
  }
  return result;
}

void Optimizer::step(StepOptions options) {
  const profile::Range range("optimizer");
  if (!options.allow_unheld) {
    check_all_held();
  }
  fresh_gradients::clear();
  for (size_t group = 0; group < groups_.size(); ++group) {
    auto [updates, kept] = updates_of(group, options.clip);
    if (!updates.empty()) {
      write_rate(groups_[group]);
      state_.learning_rate = groups_[group].rate_on_device;
      profile::note([&] {
        profile::Work work;
        for (const ParameterUpdate& each : updates) {
          work.add(profile::moved({&each.value, &each.grad}, {&each.value}));
          for (const Tensor& buffer : each.buffers) {
            work.add(profile::moved({&buffer}, {&buffer}));
          }
          work.add(profile::moved({}, {&each.rounded}));
          if (each.normalized) {
            work.add(profile::moved({}, {&each.normalized->w, &each.normalized->inv_norm}));
          }
        }
        return work;
      });
      update(state_.steps.device(), updates, groups_[group].options, state_);
      for (const auto& each : kept) {
        each->mark_fresh();
      }
    }
  }
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
  profile::note([&] {
    profile::Work work = profile::moved({}, {&result});
    for (const Tensor& tensor : tensors) {
      work.add(profile::moved({&tensor}, {}));
    }
    return work;
  });
  on_device(
      "grad_norm", device, [&] { clip_factor_cpu(tensors, max_norm, result); },
      [&] { clip_factor_cuda(tensors, max_norm, result); });
  return result;
}

void check_max_norm(double max_norm) {
  check<ValueError>(max_norm > 0, "[clip_grad_norm] max_norm: got {}, wanted more than 0",
                    max_norm);
}

}  // namespace

Tensor queue_grad_norm(const ParameterStates& parameters) {
  const profile::Range range("grad_norm");
  const std::vector<Tensor> tensors = gradients("grad_norm", parameters);
  return tensors.empty() ? Tensor::zeros({1}, float64) : norm_and_factor(tensors, 1).slice(0, 1);
}

ClipFactor queue_clip_factor(const ParameterStates& parameters, double max_norm) {
  check_max_norm(max_norm);
  const profile::Range range("grad_norm");
  const std::vector<Tensor> tensors = gradients("clip_grad_norm", parameters);
  if (tensors.empty()) {
    return {Tensor::zeros({2}, float64), &parameters};
  }
  return {norm_and_factor(tensors, max_norm), &parameters};
}

Tensor queue_clip_grad_norm(const ParameterStates& parameters, double max_norm) {
  check_max_norm(max_norm);
  const profile::Range range("clip_grad_norm");
  std::vector<Tensor> tensors = gradients("clip_grad_norm", parameters);
  if (tensors.empty()) {
    return Tensor::zeros({1}, float64);
  }
  const Tensor result = norm_and_factor(tensors, max_norm);
  profile::note([&] {
    profile::Work work = profile::moved({&result}, {});
    for (const Tensor& tensor : tensors) {
      work.add(profile::moved({&tensor}, {&tensor}));
    }
    return work;
  });
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
