#include "training/parameter_average.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"

namespace warptape {
namespace {

constexpr const char* count_key = "n_averaged";
constexpr const char* key_prefix = "module.";

// "float32 of shape (3, 2) on cpu"
std::string describe(const Tensor& tensor) {
  return tensor.defined() ? fmt::format("{} of shape {} on {}", to_string(tensor.dtype()),
                                        tensor.shape(), to_string(tensor.device()))
                          : "none";
}

bool are_alike(const Tensor& a, const Tensor& b) {
  return a.device() == b.device() && a.dtype() == b.dtype() && a.shape() == b.shape() &&
         a.memory_format() == b.memory_format();
}

}  // namespace

ParameterAverage::ParameterAverage(ParameterStates parameters, Options options)
    : parameters_(std::move(parameters)), constants_{options.decay} {
  check<ValueError>(options.decay >= 0 && options.decay < 1,
                    "[ParameterAverage] decay: got {}, wanted 0 <= decay < 1", options.decay);
  check_parameters("ParameterAverage", parameters_);
  keys_ = state_keys(parameters_);
}

void ParameterAverage::check_not_swapped(const char* what) const {
  check<ValueError>(!is_swapped_,
                    "[ParameterAverage] {}: the model has the averages, wanted its own parameters "
                    "(swap() gives them back)",
                    what);
}

void ParameterAverage::check_unchanged() const {
  for (size_t i = 0; i < averages_.size(); ++i) {
    const Tensor& value = parameters_[i]->value;
    check<ValueError>(are_alike(value, averages_[i]),
                      "[ParameterAverage] update: {} is {}, wanted {} as at the first update",
                      keys_[i], describe(value), describe(averages_[i]));
  }
}

// Averages and counts that hold nothing yet.
void ParameterAverage::begin() {
  const Device device = parameters_[0]->value.device();
  std::vector<Tensor> averages;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i]->value;
    check<DeviceError>(value.device() == device,
                       "[ParameterAverage] update: {} is on {}, wanted all on {} as {}", keys_[i],
                       to_string(value.device()), to_string(device), keys_[0]);
    averages.push_back(Tensor::empty_like(value));
  }
  state_ = {.learning_rate = Tensor::zeros({1}, float64, device),
            .steps = Tensor::zeros({static_cast<int64_t>(averages.size())}, int64, device),
            .arrivals = Tensor::zeros({1}, int64, device)};
  averages_ = std::move(averages);
}

void ParameterAverage::update() {
  const profile::Range range("average");
  check_not_swapped("update");
  if (!has_begun()) {
    begin();
  }
  check_unchanged();
  std::vector<ParameterUpdate> updates;
  for (size_t i = 0; i < averages_.size(); ++i) {
    updates.push_back({averages_[i], parameters_[i]->value, {}, static_cast<int64_t>(i)});
  }
  on_device(
      "average", state_.steps.device(), [&] { optimizer_step_cpu(updates, constants_, state_); },
      [&] { optimizer_step_cuda(updates, constants_, state_); });
}

void ParameterAverage::swap() {
  check<ValueError>(has_begun(),
                    "[ParameterAverage] swap: got no averages, wanted an update first");
  for (size_t i = 0; i < averages_.size(); ++i) {
    const Tensor value = parameters_[i]->value.detach();
    parameters_[i]->set_value(averages_[i]);
    averages_[i] = value;
  }
  is_swapped_ = !is_swapped_;
}

void ParameterAverage::apply() {
  check_not_swapped("apply");
  check<ValueError>(has_begun(),
                    "[ParameterAverage] apply: got no averages, wanted an update first");
  check_unchanged();
  for (size_t i = 0; i < averages_.size(); ++i) {
    primitives::copy(averages_[i], parameters_[i]->value);
  }
}

bool ParameterAverage::holds(const ParameterState& parameter) const {
  return std::any_of(parameters_.begin(), parameters_.end(),
                     [&](const auto& own) { return own.get() == &parameter; });
}

StateDict ParameterAverage::state_dict() const {
  check_not_swapped("state_dict");
  StateDict state;
  if (has_begun()) {
    state.emplace_back(count_key, state_.steps.slice(0, 1));
    for (size_t i = 0; i < averages_.size(); ++i) {
      state.emplace_back(key_prefix + keys_[i], averages_[i]);
    }
  }
  return state;
}

// Those of the parameters, in their order; ValueError for anything else.
std::vector<Tensor> ParameterAverage::read_averages(const StateDict& state) const {
  std::map<std::string, Tensor> given;
  for (const auto& [key, tensor] : state) {
    check<ValueError>(given.emplace(key, tensor).second, "[ParameterAverage] state: got {} twice",
                      escaped(key));
  }
  const auto take = [&](const std::string& key) {
    const auto node = given.extract(key);
    return node.empty() ? Tensor() : node.mapped();
  };
  const Tensor count = take(count_key);
  check<ValueError>(count.defined() && count.dtype() == int64 && count.numel() == 1 &&
                        count.to_vector<int64_t>()[0] >= 1,
                    "[ParameterAverage] state: {}: got {}, wanted one int64 of 1 or more",
                    count_key, describe(count));
  std::vector<Tensor> averages;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const std::string key = key_prefix + keys_[i];
    const Tensor& value = parameters_[i]->value;
    const Tensor average = take(key);
    check<ValueError>(
        average.defined() && average.dtype() == value.dtype() && average.shape() == value.shape(),
        "[ParameterAverage] state: {}: got {}, wanted {} of shape {}", escaped(key),
        describe(average), to_string(value.dtype()), value.shape());
    averages.push_back(average);
  }
  check<ValueError>(given.empty(),
                    "[ParameterAverage] state: got {}, which these parameters do not have",
                    given.empty() ? "" : escaped(given.begin()->first));
  return averages;
}

void ParameterAverage::load_state_dict(const StateDict& state) {
  check_not_swapped("load_state_dict");
  if (state.empty()) {
    averages_.clear();
    return;
  }
  const std::vector<Tensor> averages = read_averages(state);
  const auto count = std::find_if(state.begin(), state.end(),
                                  [](const auto& entry) { return entry.first == count_key; });
  begin();
  const std::vector<int64_t> counts(averages_.size(), count->second.to_vector<int64_t>()[0]);
  primitives::copy(tensor<int64_t>(counts, state_.steps.shape()).to(state_.steps.device()),
                   state_.steps);
  for (size_t i = 0; i < averages.size(); ++i) {
    primitives::copy(averages[i].to(averages_[i].device()), averages_[i]);
  }
}

}  // namespace warptape
