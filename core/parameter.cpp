#include "core/parameter.h"

#include <mutex>
#include <ostream>
#include <unordered_map>

#include "core/primitives.h"

namespace warptape {

namespace {

// Every parameter that exists, for tensors that are the value of one.
struct LiveParameters {
  std::mutex mutex;
  uint64_t last_id = 0;
  std::unordered_map<uint64_t, ParameterState*> states;
};

LiveParameters& live_parameters() {
  static auto* parameters = new LiveParameters;  // outlives every parameter
  return *parameters;
}

uint64_t add_to_live(ParameterState* state) {
  LiveParameters& live = live_parameters();
  const std::lock_guard lock(live.mutex);
  live.states.emplace(++live.last_id, state);
  return live.last_id;
}

}  // namespace

ParameterState::ParameterState() : id(add_to_live(this)) {}

ParameterState::~ParameterState() {
  LiveParameters& live = live_parameters();
  const std::lock_guard lock(live.mutex);
  live.states.erase(id);
}

void ParameterState::set_value(const Tensor& tensor) {
  value = tensor;
  value.set_parameter_id(tensor.defined() ? id : 0);
}

std::shared_ptr<ParameterState> find_parameter(const Tensor& value) {
  std::shared_ptr<ParameterState> state;
  {
    LiveParameters& live = live_parameters();
    const std::lock_guard lock(live.mutex);
    const auto found = live.states.find(value.parameter_id());
    // One that is being destroyed waits for the lock, and has no owner any more: null.
    state = found == live.states.end() ? nullptr : found->second->weak_from_this().lock();
  }
  return state && state->value.shares_storage_with(value) ? state : nullptr;
}

Parameter::Parameter(const Tensor& value) : Parameter() {
  state_->set_value(value);
}

Parameter::Parameter(const Parameter& other) : Parameter() {
  if (other.defined()) {
    state_->set_value(other.value().detach().clone());
    state_->requires_grad = other.requires_grad();
  }
}

Parameter& Parameter::operator=(const Parameter& other) {
  if (this != &other) {
    *this = Parameter(other);
  }
  return *this;
}

void Parameter::assign(const Tensor& value, const Site& site) {
  check<ShapeError>(value.shape() == state_->value.shape(), site,
                    "[assign] shape: got {}, wanted {}", value.shape(), state_->value.shape());
  Tensor& own = state_->value;
  primitives::copy(value.detach().to(own.dtype()).to(own.device()), own);
}

std::ostream& operator<<(std::ostream& out, const Parameter& parameter) {
  return out << parameter.value();
}

}  // namespace warptape
