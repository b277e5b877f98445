// The state dicts of optimizers.

#include <map>

#include "core/check.h"
#include "core/primitives.h"
#include "training/optimizer.h"

namespace warptape {
namespace {

std::string group_key(size_t group, const char* option) {
  return "param_groups." + std::to_string(group) + "." + option;
}

}  // namespace

std::vector<int64_t> Optimizer::numbers_of(size_t group) const {
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].group == group) {
      numbers.push_back(static_cast<int64_t>(i));
    }
  }
  return numbers;
}

StateDict Optimizer::state_dict() {
  StateDict state;
  if (state_.steps.defined()) {
    state.emplace_back("steps", state_.steps);
  }
  for (Entry& entry : entries_) {
    const std::vector<const char*> names = buffers(groups_[entry.group].options);
    for (size_t k = 0; k < names.size(); ++k) {
      if (names[k] != nullptr && entry.buffers[k].defined()) {
        state.emplace_back(entry.key + "." + names[k], entry.buffers[k]);
      }
    }
  }
  for (size_t group = 0; group < groups_.size(); ++group) {
    const auto add = [&](const char* option, double value) {
      state.emplace_back(group_key(group, option), Tensor::full({1}, value, float64));
    };
    add("lr", groups_[group].learning_rate);
    for (const OptimizerOption& option : groups_[group].options) {
      add(option.name, option.value);
    }
    const std::vector<int64_t> numbers = numbers_of(group);
    state.emplace_back(group_key(group, "params"),
                       tensor<int64_t>(numbers, {static_cast<int64_t>(numbers.size())}));
  }
  return state;
}

// Reads a state for an optimizer, which it does not change.
struct Optimizer::Reader {
  Reader(const Optimizer& optimizer, const StateDict& state)
      : own(optimizer), updates(optimizer.entries_.size(), 0) {
    for (const auto& [key, tensor] : state) {
      has_groups = has_groups || key.starts_with("param_groups.");
      check<ValueError>(given.emplace(key, tensor).second, "[{}] state: got {} twice", own.name_,
                        escaped(key));
    }
    read_groups();
    read_steps();
    for (size_t i = 0; i < own.entries_.size(); ++i) {
      read_buffers(i);
    }
    check<ValueError>(given.empty(), "[{}] state: got {}, which this optimizer does not have",
                      own.name_, given.empty() ? "" : escaped(given.begin()->first));
  }

  Tensor take(const std::string& key) {
    const auto node = given.extract(key);
    return node.empty() ? Tensor() : node.mapped();
  }

  void read_groups() {
    groups = own.groups_;
    if (!has_groups) {
      return;
    }
    for (size_t g = 0; g < groups.size(); ++g) {
      groups[g].learning_rate = read_option(group_key(g, "lr"));
      for (OptimizerOption& option : groups[g].options) {
        const std::string key = group_key(g, option.name);
        // States from before there were constraints have none.
        if (option.name != std::string_view("constraint") || given.count(key) > 0) {
          option.value = read_option(key);
        }
      }
      read_numbers(g);
    }
    own.check_groups(groups);
  }

  double read_option(const std::string& key) {
    const Tensor option = take(key);
    check<ValueError>(option.defined() && option.dtype() == float64 && option.shape() == Shape{1},
                      "[{}] state: {}: got {}, wanted one float64", own.name_, key,
                      describe(option));
    return option.item();
  }

  void read_numbers(size_t group) {
    const std::string key = group_key(group, "params");
    const Tensor numbers = take(key);
    const std::vector<int64_t> wanted = own.numbers_of(group);
    check<ValueError>(
        numbers.defined() && numbers.dtype() == int64 && numbers.to_vector<int64_t>() == wanted,
        "[{}] state: {}: got {}, wanted the numbers of {} parameters from {} on", own.name_, key,
        describe(numbers), wanted.size(), wanted.empty() ? 0 : wanted[0]);
  }

  void read_steps() {
    steps = take("steps");
    if (!steps.defined()) {
      return;
    }
    const Shape wanted{static_cast<int64_t>(updates.size())};
    check<ValueError>(steps.dtype() == int64 && steps.shape() == wanted,
                      "[{}] state: steps: got {}, wanted int64 of shape {}", own.name_,
                      describe(steps), wanted);
    updates = steps.to_vector<int64_t>();
  }

  void read_buffers(size_t i) {
    const Entry& entry = own.entries_[i];
    const Tensor& value = entry.parameter->value;
    check<ValueError>(updates[i] >= 0, "[{}] state: steps: got {} of {}, wanted 0 or more",
                      own.name_, updates[i], entry.key);
    buffers.emplace_back();
    const std::vector<const char*> names = own.buffers(groups[entry.group].options);
    for (size_t k = 0; k < names.size(); ++k) {
      if (names[k] == nullptr) {
        continue;
      }
      const std::string key = entry.key + "." + names[k];
      const Tensor tensor = take(key);
      check<ValueError>(tensor.defined() || updates[i] == 0,
                        "[{}] state: {}: got none, wanted one of a parameter that was updated {} "
                        "times",
                        own.name_, escaped(key), updates[i]);
      if (!tensor.defined()) {
        continue;
      }
      Tensor buffer = own.make_buffer(k, value);
      check<ValueError>(tensor.dtype() == buffer.dtype() && tensor.shape() == buffer.shape(),
                        "[{}] state: {}: got {}, wanted {} of shape {}", own.name_, escaped(key),
                        describe(tensor), to_string(buffer.dtype()), buffer.shape());
      primitives::copy(tensor.to(buffer.device()), buffer);
      buffers.back()[k] = buffer;
    }
  }

  static std::string describe(const Tensor& tensor) {
    return tensor.defined()
               ? fmt::format("{} of shape {}", to_string(tensor.dtype()), tensor.shape())
               : "none";
  }

  const Optimizer& own;
  std::map<std::string, Tensor> given;  // that is left
  bool has_groups = false;
  std::vector<GroupState> groups;
  Tensor steps;
  std::vector<int64_t> updates;                           // of each entry
  std::vector<std::array<Tensor, most_buffers>> buffers;  // of each entry: its own, filled
};

void Optimizer::load_state_dict(const StateDict& state) {
  Reader read(*this, state);
  const Device device = entries_[0].parameter->value.device();
  groups_ = std::move(read.groups);
  state_ = StepState();
  ++revision_;
  for (GroupState& group : groups_) {
    group.rate_on_device = Tensor();
  }
  if (read.steps.defined()) {
    prepare_state(device);
    primitives::copy(read.steps.to(device), state_.steps);
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].buffers = std::move(read.buffers[i]);
  }
}

}  // namespace warptape
